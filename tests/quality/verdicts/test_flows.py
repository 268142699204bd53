"""Bad flows: found where there are some, and not where there are none."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quality.objectives import Objectives
from quality.verdicts.flows import FALSE_SHARE, FlowCounts, Unequal, gather_flows, unequal
from tests.quality.world import BACK, START_NS, THERE, WINDOW_NS, flow_row, flows, spec

OBJECTIVES = Objectives.of([spec(THERE, mirrored=True), spec(BACK, mirrored=True)])
LINKS = 10_000


def _counts(sent: NDArray[Any], lost: NDArray[Any]) -> FlowCounts:
    """sent, lost (links, flows)."""
    links, flows_each = lost.shape
    every = np.broadcast_to(sent, lost.shape).ravel().astype(np.int64)
    return FlowCounts(np.repeat(np.arange(links), flows_each), every, lost.ravel().astype(np.int64), links)


def _one(sent: list[int], lost: list[int]) -> Unequal:
    return unequal(_counts(np.array([sent]), np.array([lost])))


def test_three_of_32_lose_everything_where_the_average_says_nine_percent() -> None:
    lost = [94 if flow in (4, 17, 30) else 0 for flow in range(32)]
    told = _one([94] * 32, lost)
    assert (told.flows[0], told.bad[0], told.bad_loss_ratio[0]) == (32, 3, 1.0)
    assert np.flatnonzero(told.is_bad).tolist() == [4, 17, 30]
    assert sum(lost) / (94 * 32) == pytest.approx(0.094, abs=1e-3)


@pytest.mark.parametrize(
    ("sent", "lost"),
    [
        ([50] * 32, [50] * 32),
        ([50] * 32, [25] * 32),
        ([50] * 32, [0] * 32),
        ([3_000], [1_500]),
        ([1] * 8, [1] + [0] * 7),
        ([2] * 4, [2, 0, 0, 0]),
        ([1], [1]),
    ],
    ids=["all", "half of each", "none", "one flow", "one packet each", "two packets each", "one packet"],
)
def test_no_bad_flow(sent: list[int], lost: list[int]) -> None:
    told = _one(sent, lost)
    assert (told.flows[0], told.bad[0]) == (len(sent), 0)
    assert math.isnan(told.bad_loss_ratio[0])
    assert not told.is_bad.any()


def test_one_lost_packet_is_no_bad_flow_though_the_others_lost_none() -> None:
    assert _one([500] * 32, [1] + [0] * 31).bad[0] == 0
    assert _one([500] * 32, [10] + [0] * 31).bad[0] == 1


@pytest.mark.parametrize(
    ("flow_count", "sent", "ratio"),
    [(32, 94, 0.01), (32, 94, 0.1), (32, 1_000, 0.001), (16, 20, 0.3), (2, 1_500, 0.5), (38, 80, 0.5),
     (8, 3, 0.5), (4, 50, 0.97), (203, 15, 0.05)],
)  # fmt: skip
def test_false_alarms_keep_within_their_bound(flow_count: int, sent: int, ratio: float) -> None:
    """10^4 links with the same loss in every flow. One in a hundred may be called uneven; 0.013 is that and
    three standard errors of 10^4 draws."""
    chance = np.random.default_rng(flow_count * sent)
    told = unequal(_counts(np.array(sent), chance.binomial(sent, ratio, (LINKS, flow_count))))
    assert (told.bad > 0).mean() <= 0.013
    assert (told.uneven_p <= 0.01).mean() <= 0.013
    assert (told.uneven_p <= 0.05).mean() <= 0.05 + 0.007


def test_uneven_numbers_of_packets_raise_no_false_alarm() -> None:
    chance = np.random.default_rng(5)
    sent = chance.integers(1, 400, (LINKS, 32))
    assert (unequal(_counts(sent, chance.binomial(sent, 0.05))).bad > 0).mean() <= 0.013


@pytest.mark.parametrize(
    ("paths", "flow_count", "bad_loss", "found"),
    [(2, 5, 1.0, 0.99), (4, 16, 1.0, 0.99), (8, 38, 1.0, 0.99), (16, 90, 1.0, 0.99), (32, 203, 1.0, 0.99),
     (4, 16, 0.2, 0.99), (8, 38, 0.5, 0.99), (8, 38, 0.1, 0.6)],
)  # fmt: skip
def test_one_bad_path_of_n_is_found(paths: int, flow_count: int, bad_loss: float, found: float) -> None:
    """3 000 packets of each link (300 s at 10 per second); every flow takes one of the paths at random, and
    one path loses. Found: of the flows on it, those that are named, over links with flows on both sorts."""
    chance = np.random.default_rng(paths)
    on_bad = chance.integers(0, paths, (1_000, flow_count)) == 0
    lost = chance.binomial(3_000 // flow_count, np.where(on_bad, bad_loss, 0.0005))
    told = unequal(_counts(np.array(3_000 // flow_count), lost))
    mixed = np.repeat(on_bad.any(1) & ~on_bad.all(1), flow_count)
    hits, truth = told.is_bad[mixed], on_bad.ravel()[mixed]
    assert hits[truth].mean() >= found
    assert (~truth[hits]).mean() <= FALSE_SHARE


def test_ten_thousand_links_of_32_flows_are_compared_in_time() -> None:
    """The bound is far above what it takes (a tenth of a second): machines are busy."""
    lost = np.random.default_rng(3).binomial(94, 0.05, (LINKS, 32))
    began = time.process_time()
    unequal(_counts(np.array(94), lost))
    assert time.process_time() - began < 5


def _gathered(rows: list[dict[str, Any]], told_elsewhere: bool = False) -> list[tuple[int, int, int]]:
    """(link, sent, lost) of each flow."""
    elsewhere = np.array([told_elsewhere, told_elsewhere])
    got = gather_flows(flows(rows), OBJECTIVES, "0", START_NS + WINDOW_NS, elsewhere)
    return list(zip(got.link.tolist(), got.sent.tolist(), got.lost.tolist(), strict=True))


def test_rows_of_a_flow_add_up_in_the_order_of_links() -> None:
    rows = [flow_row(3, link=str(BACK)), flow_row(1, 6, lost_forward=2), flow_row(1), flow_row(2, sent=10)]
    assert sorted(_gathered(rows)) == [(0, 100, 0), (0, 200, 2), (1, 100, 0)]


def test_only_rows_that_count_are_gathered() -> None:
    rows = [
        flow_row(1, probe="icmp"), flow_row(2, link="x>y@net"), flow_row(3, unfit=1), flow_row(4, -1),
        {**flow_row(5), "class": "46"}, flow_row(6, sent=0, replied=0), flow_row(7, sent=50, replied=0),
    ]  # fmt: skip
    assert _gathered(rows) == []
    assert _gathered([]) == []


def test_of_two_copies_the_later_counts() -> None:
    assert _gathered([flow_row(1, lost_forward=9), flow_row(2), flow_row(1, lost_forward=4)]) == [
        (0, 100, 4),
        (0, 100, 0),
    ]


def test_backward_loss_counts_where_the_reverse_link_does_not_tell_it() -> None:
    rows = [flow_row(1, lost_forward=1, lost_backward=20, lost_unattributed=3)]
    assert _gathered(rows) == [(0, 100, 24)]
    assert _gathered(rows, told_elsewhere=True) == [(0, 100, 4)]


def test_counts_that_cannot_be_do_no_harm() -> None:
    rows = [flow_row(flow, replied=2**62, lost_forward=2**62 * (flow == 1)) for flow in (1, 2, 3)]
    got = gather_flows(flows(rows), OBJECTIVES, "0", START_NS + WINDOW_NS, np.array([False, False]))
    told = unequal(got)
    assert told.flows.tolist() == [3, 0]
    assert told.bad[0] <= 3
