"""Probes that disagree: found when they do, silent when they agree or have too few packets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from linkgauge.frame import Frame
from linkgauge.histogram import Histogram
from linkgauge.model import Link
from linkgauge.schema import WINDOW
from quality.objectives import Objectives
from quality.verdicts.divergence import WINDOWS, divergent
from tests.quality.world import START_NS, WINDOW_NS, row, spec, windows

STAMP, ICMP, TCP = 1, 2, 4


def _told(rows: list[dict[str, Any]]) -> int:
    found = divergent(windows(rows), Objectives.of([spec()]), "0", START_NS, WINDOW_NS)
    assert found.shape == (1,)
    return int(found[0])


def _probe(probe: str, lost_ratio: float, rtt_us: float = 2_000.0, **more: Any) -> list[dict[str, Any]]:
    """WINDOWS windows of one probe: 100 packets of STAMP, 5 of another; losses spread evenly."""
    sent = 100 if probe == "stamp" else 5
    made = []
    for at in range(WINDOWS):
        lost = round(sent * lost_ratio * (at + 1)) - round(sent * lost_ratio * at)
        where = {"lost_forward" if probe == "stamp" else "lost_unattributed": lost}
        delays = rtt_us * np.linspace(0.98, 1.02, sent - lost)
        made.append(row(at, probe=probe, sent=sent, replied=sent - lost, rtt_us=delays, **where, **more))
    return made


@pytest.mark.parametrize(
    ("stamp", "icmp", "tcp", "bits"),
    [
        (0, 0, 0, 0),
        (0, 1, 0, ICMP),
        (0, 0, 1, TCP),
        (1, 0, 0, STAMP),
        (0, 1, 1, ICMP + TCP),
        (1, 1, 0, STAMP + ICMP),
        (1, 1, 1, 0),
        (0.1, 0.1, 0.1, 0),
        (0.01, 0, 0, 0),
        (0, 1 / 60, 0, 0),
        (0, 2 / 60, 0, 0),
        (0, 0.1, 0, ICMP),
        (0.3, 0, 0, STAMP),
        (0.1, 0.9, 0.1, ICMP),
    ],
)
def test_loss(stamp: float, icmp: float, tcp: float, bits: int) -> None:
    assert _told([*_probe("stamp", stamp), *_probe("icmp", icmp), *_probe("tcp", tcp)]) == bits


@pytest.mark.parametrize(
    ("stamp_us", "icmp_us", "tcp_us", "bits"),
    [
        (2_000, 2_000, 2_000, 0),
        (2_000, 2_900, 2_000, 0),  # less than a millisecond
        (2_000, 3_600, 2_000, ICMP),
        (20_000, 22_000, 20_000, 0),  # less than a fifth
        (20_000, 20_000, 26_000, TCP),
        (26_000, 20_000, 26_000, STAMP + TCP),
        (9_000, 2_000, 2_000, STAMP),
    ],
)
def test_delay(stamp_us: float, icmp_us: float, tcp_us: float, bits: int) -> None:
    rows = [*_probe("stamp", 0, stamp_us), *_probe("icmp", 0, icmp_us), *_probe("tcp", 0, tcp_us)]
    assert _told(rows) == bits


def test_a_median_of_few_packets_tells_nothing() -> None:
    slow = row(probe="icmp", sent=7, replied=7, rtt_us=[90_000.0] * 7)
    assert _told([*_probe("stamp", 0), slow]) == 0
    assert _told([*_probe("stamp", 0), {**slow, "rtt_ns": Histogram.of(np.full(8, 9e7))}]) == ICMP


def test_one_probe_alone_or_none_cannot_disagree() -> None:
    assert _told(_probe("stamp", 1)) == 0
    assert _told(_probe("tcp", 0.5)) == 0
    assert _told([]) == 0


def test_only_windows_that_both_measured_fit_count() -> None:
    dead = _probe("icmp", 1)
    assert _told([*_probe("stamp", 0)[6:], *dead[:6]]) == 0
    assert _told([*_probe("stamp", 0, unfit=1), *dead]) == 0
    assert _told([*_probe("stamp", 0), *_probe("icmp", 1, unfit=2)]) == 0


def test_windows_before_the_last_few_and_other_classes_do_not_count() -> None:
    before = [{**each, "start_ns": each["start_ns"] - WINDOWS * WINDOW_NS} for each in _probe("icmp", 1)]
    assert _told([*_probe("stamp", 0), *_probe("icmp", 0), *before]) == 0
    other = [{**each, "class": "46"} for each in _probe("stamp", 1)]
    assert _told([*_probe("stamp", 0), *_probe("icmp", 0), *other]) == 0


def test_a_closed_port_is_no_loss_and_late_replies_neither() -> None:
    closed = [row(at, probe="tcp", sent=5, replied=0, refused=5) for at in range(WINDOWS)]
    late = [row(at, probe="icmp", sent=5, replied=0, late=5) for at in range(WINDOWS)]
    assert _told([*_probe("stamp", 0), *closed, *late]) == 0


def test_delay_under_a_throughput_test_of_our_own_does_not_count() -> None:
    assert _told([*_probe("stamp", 0), *_probe("icmp", 0, 90_000, under_test=1)]) == 0


def test_counts_that_cannot_be_do_no_harm() -> None:
    assert _told([row(replied=2**62), row(probe="icmp", lost_forward=2**62, replied=2**62)]) in range(8)


@pytest.mark.parametrize("ratio", [0.001, 0.02, 0.3])
def test_false_alarms_keep_within_their_bound(ratio: float) -> None:
    """3 000 links that lose alike in all probes: at most one in a hundred may be told, and three standard
    errors of that many draws."""
    links = [Link(f"n{at}", "z", "net") for at in range(3_000)]
    chance, columns = np.random.default_rng(11), dict[str, list[Any]]()
    for probe, sent in (("stamp", 1_200), ("icmp", 60), ("tcp", 60)):
        lost = chance.binomial(sent, ratio, len(links)).tolist()
        given: dict[str, list[Any]] = {
            "link": list(map(str, links)),
            "probe": [probe] * len(links),
            "class": ["0"] * len(links),
        }
        given |= {"start_ns": [START_NS] * len(links), "sent": [sent] * len(links), "lost_unattributed": lost}
        for name, values in {**given, "replied": [sent - each for each in lost]}.items():
            columns.setdefault(name, []).extend(values)
    objectives = Objectives.of([spec(link) for link in links])
    found = divergent(Frame.of(WINDOW, columns), objectives, "0", START_NS, WINDOW_NS)
    assert (found > 0).mean() <= 0.01 + 0.0055
