"""Which rows count."""

from __future__ import annotations

from typing import Any

import numpy as np

from linkgauge.model import Probe
from quality.evidence import Evidence, gather
from quality.objectives import Objectives
from tests.quality.world import BACK, START_NS, THERE, WINDOW_NS, row, spec, windows

OBJECTIVES = Objectives.of([spec(THERE, mirrored=True), spec(BACK, mirrored=True)])


def _gathered(rows: list[dict[str, Any]], judged_class: str = "0") -> Evidence:
    return gather(windows(rows), OBJECTIVES, START_NS + WINDOW_NS, judged_class)


def _sent(rows: list[dict[str, Any]], judged_class: str = "0") -> list[int]:
    return [int(sent) for sent in _gathered(rows, judged_class).total("sent")]


def test_only_stamp_counts() -> None:
    assert _sent([row(sent=5), row(probe="icmp", sent=7), row(probe="tcp", sent=9)]) == [5, 0]


def test_only_the_class_that_is_judged_counts_be_it_the_lowest_or_not() -> None:
    rows = [{**row(sent=sent), "class": name} for name, sent in (("46", 5), ("8", 7), ("0", 9))]
    assert [_sent(rows, name)[0] for name in ("46", "8", "0", "10")] == [5, 7, 9, 0]


def test_of_two_copies_the_higher_revision_counts_in_whatever_order_they_come() -> None:
    copies = [row(sent=5, revision=1), row(sent=7, revision=2), row(sent=9), row(sent=4, revision=2)]
    assert _sent(copies) == [4, 0]
    assert _sent(copies[::-1]) == [7, 0]


def test_another_probe_can_be_gathered_whatever_its_class() -> None:
    rows = [row(sent=5), {**row(probe="icmp", sent=7), "class": "46"}]
    got = gather(windows(rows), OBJECTIVES, START_NS + WINDOW_NS, "0", Probe.ICMP)
    assert got.total("sent").tolist() == [7, 0]


def test_counts_that_cannot_be_are_held_to_what_can_be_counted() -> None:
    assert _sent([row(at, sent=2**62) for at in range(3)]) == [2**62, 0]


def test_of_two_copies_of_a_window_the_later_counts_and_later_windows_do_not() -> None:
    assert _sent([row(sent=5), row(1, sent=7), row(sent=9), row(-1, sent=11)]) == [16, 0]


def test_links_that_are_not_expected_and_windows_without_packets_are_left_out() -> None:
    evidence = _gathered([row(link="x>y@net"), row(sent=0, replied=0)])
    assert len(evidence.row) == 0


def test_rows_are_ordered_by_link_and_time() -> None:
    rows = [row(0, link=str(BACK)), row(0), row(2), row(1, link=str(BACK)), row(1)]
    evidence = _gathered(rows)
    assert evidence.link.tolist() == [0, 0, 0, 1, 1]
    assert np.diff(evidence.count("start_ns")).tolist()[:2] == [WINDOW_NS, WINDOW_NS]
    assert evidence.row.tolist() == [2, 4, 1, 3, 0]


def test_unfit_and_loaded_windows_can_be_told_apart() -> None:
    rows = [row(0, unfit=1), row(1, under_test=1), row(2)]
    evidence = _gathered(rows)
    assert (len(evidence.row), len(evidence.fit.row), len(evidence.fit.unloaded.row)) == (3, 2, 1)
