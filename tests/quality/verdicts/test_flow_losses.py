"""What flows lost on the way out since a trouble began, through the ledger: spans, directions, moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from quality.ledger import Ledger
from quality.verdicts.flow_losses import LONGEST_NS, LossOfFlows
from tests.quality.world import BACK, START_NS, THERE, WINDOW_NS, flow_row, flows, row, spec, windows

MIRRORED = (spec(THERE, mirrored=True), spec(BACK, mirrored=True))
NAME = str(THERE)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(WINDOW_NS, 30 * WINDOW_NS)


def absorb(ledger: Ledger, told: Sequence[Mapping[str, Any]], *rows: Mapping[str, Any]) -> None:
    ledger.absorb([windows(rows)] if rows else [], [flows(told)], MIRRORED)


def heard(packets: int, window: int = 0) -> dict[str, Any]:
    """The far end's own window: what it heard of ours."""
    return row(window, link=str(BACK), heard=float(packets))


def since(ledger: Ledger, windows_ago: int = 0) -> LossOfFlows:
    return ledger.flow_losses({NAME: START_NS - windows_ago * WINDOW_NS})[NAME]


def test_a_dead_flow_is_told_as_soon_as_its_row_and_the_far_ends_word_are_there(ledger: Ledger) -> None:
    told = [flow_row(0), flow_row(1, lost_unattributed=100)]
    absorb(ledger, told, row(sent=200, replied=100, lost_unattributed=100))
    unheard = since(ledger)
    assert unheard.doubtful == 100
    assert unheard.lost.tolist() == [0, 0]
    absorb(ledger, [], heard(100))
    found = since(ledger)
    assert dict(zip(found.names, found.bad.tolist(), strict=True)) == {"0": False, "1": True}
    assert (found.lost.tolist(), found.doubtful) == ([0, 100], 0)


def test_a_flow_that_is_dead_on_its_way_back_has_lost_nothing_on_the_way_out(ledger: Ledger) -> None:
    told = [flow_row(0), flow_row(1, lost_unattributed=100)]
    absorb(ledger, told, row(sent=200, replied=100, lost_unattributed=100), heard(200))
    found = since(ledger)
    assert (found.lost.tolist(), found.bad.tolist(), found.doubtful) == ([0, 0], [False, False], 0)


def test_what_was_lost_on_the_way_back_counts_as_sent_and_not_as_lost(ledger: Ledger) -> None:
    absorb(ledger, [flow_row(0, lost_backward=30), flow_row(1, lost_forward=30)])
    found = since(ledger)
    assert (found.sent.tolist(), found.lost.tolist()) == ([100, 100], [0, 30])


def test_rows_of_windows_and_of_a_minute_count_by_their_span(ledger: Ledger) -> None:
    minute = {"length_ns": 6 * WINDOW_NS}
    absorb(ledger, [flow_row(0, 6, lost_forward=7, **minute), flow_row(0, 0, lost_forward=1)])
    assert since(ledger).lost.tolist() == [1]
    assert since(ledger, 1).lost.tolist() == [8]
    absorb(ledger, [flow_row(0, 6, lost_forward=5, **minute), flow_row(1, 0, lost_forward=2)])
    assert since(ledger).lost.tolist() == [1, 2]


def test_links_that_lost_nothing_or_are_not_asked_for_are_not_there(ledger: Ledger) -> None:
    absorb(ledger, [flow_row(0), flow_row(1)])
    assert ledger.flow_losses({NAME: 0, "x>y@z": 0}) == {}
    absorb(ledger, [flow_row(1, lost_forward=1)])
    assert ledger.flow_losses({str(BACK): 0}) == {}
    assert ledger.flow_losses({NAME: START_NS + WINDOW_NS}) == {}


def test_losses_stay_with_their_link_and_are_forgotten_in_time(ledger: Ledger) -> None:
    absorb(ledger, [flow_row(0, lost_forward=1)])
    ledger.absorb([], [], MIRRORED[::-1])
    assert since(ledger).lost.tolist() == [1]
    ledger.absorb([windows([row(-100)])], [], MIRRORED)
    assert ledger.flow_losses({NAME: 0}) == {}


def test_a_copy_of_a_row_counts_once_and_a_corrected_one_replaces_it(ledger: Ledger) -> None:
    told = [flow_row(0), flow_row(1, lost_forward=30)]
    absorb(ledger, told)
    absorb(ledger, [*told, *told])
    found = since(ledger)
    assert (found.sent.tolist(), found.lost.tolist()) == ([100, 100], [0, 30])
    absorb(ledger, [flow_row(1, lost_forward=20)])
    assert since(ledger).lost.tolist() == [0, 20]


def test_a_long_period_does_not_keep_the_losses_of_all_of_it() -> None:
    ledger = Ledger(WINDOW_NS, 10 * LONGEST_NS)
    ages = [0, LONGEST_NS // WINDOW_NS, LONGEST_NS // WINDOW_NS + 1]
    absorb(ledger, [flow_row(0, age, lost_forward=1 + age) for age in ages])
    assert since(ledger, 10 * ages[-1]).lost.tolist() == [1 + ages[0] + 1 + ages[1]]
