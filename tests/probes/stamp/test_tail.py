"""The silent end of a window: what counts as an answer, over flows and windows without any."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.stamp.window import report
from tests.probes.stamp.table import INTERVAL, T0, WINDOW, groups, span, table
from tests.probes.stamp.test_fate import ANY, BACKWARD, FAILED, FORWARD, LATE, REFUSED, REPLIED, play


def tail(*each: list[str], of: list[int] | None = None) -> list[tuple[int, float]]:
    """(unanswered, unanswered_s) of each group."""
    sessions = table(len(each))
    play(sessions, list(each))
    frame = report(sessions, groups(sessions, of=of), span(sessions)).frame
    return list(zip(frame.count("unanswered").tolist(), frame.real("unanswered_s").tolist(), strict=True))


def since(packet: int) -> float:
    """Seconds from the sending of a packet to the window's end."""
    return (WINDOW - packet * INTERVAL) / 1e9


@pytest.mark.parametrize(
    ("fates", "count", "first"),
    [
        ([REPLIED, REPLIED], 0, None),
        ([FORWARD, REPLIED], 0, None),
        ([REPLIED, FORWARD, BACKWARD], 2, 1),
        ([REPLIED, FORWARD, REPLIED, FORWARD], 1, 3),
        ([FORWARD, FORWARD], 2, 0),
        ([FORWARD, LATE], 0, None),
        ([FORWARD, REFUSED, FORWARD], 0, None),
        ([REPLIED, FORWARD, FAILED], 1, 1),
    ],
)
def test_packets_after_the_last_answer(fates: list[str], count: int, first: int | None) -> None:
    expected = 0.0 if first is None else since(first)
    [(found, seconds)] = tail(fates)
    assert found == count
    assert seconds == pytest.approx(expected, abs=1e-6)


def test_one_flow_that_answers_speaks_for_the_link() -> None:
    [(count, seconds)] = tail([FORWARD, FORWARD, FORWARD], [REPLIED, REPLIED, REPLIED], of=[0, 0])
    assert (count, seconds) == (0, 0)


def test_links_are_told_apart() -> None:
    assert [count for count, _ in tail([REPLIED, FORWARD], [REPLIED, REPLIED])] == [1, 0]


def test_a_link_that_sent_nothing_is_not_silent() -> None:
    sessions = table(1)
    play(sessions, [[FAILED]])
    frame = report(sessions, groups(sessions), span(sessions)).frame
    assert frame.count("unanswered").tolist() == [0]
    assert math.isnan(frame.real("unanswered_s")[0])


@given(st.lists(st.sampled_from(ANY), min_size=1, max_size=12))
def test_as_a_plain_reading_of_the_fates(fates: list[str]) -> None:
    fates = [REPLIED, *fates]
    sessions = table(1)
    play(sessions, [fates])
    made = report(sessions, groups(sessions), span(sessions))
    inside = np.flatnonzero(made.fates.inside)
    answers = [bool(made.fates.seen[at] or made.fates.refused[at]) for at in inside]
    last = max(at for at, answered in enumerate(answers) if answered)
    lost = [bool(made.fates.lost[at]) for at in inside]
    assert made.frame.count("unanswered").tolist() == [sum(lost[last + 1 :])]


def test_what_was_heard_of_the_far_end_stands_beside() -> None:
    sessions = table(2)
    play(sessions, [[REPLIED], [REPLIED]])
    told = groups(sessions, peers=["10.0.0.1", "10.0.0.2"])
    frame = report(sessions, told, span(sessions, heard={"10.0.0.1": 98})).frame
    assert frame.real("heard").tolist() == [98, pytest.approx(math.nan, nan_ok=True)]
    assert frame.count("start_ns").tolist() == [T0, T0]


@pytest.mark.parametrize(
    ("flows", "runs"),
    [
        ([[REPLIED, REPLIED, REPLIED]], 0),
        ([[REPLIED, FORWARD, BACKWARD, REPLIED, FORWARD]], 2),
        ([[FORWARD, FORWARD, FORWARD]], 1),
        ([[FORWARD, FAILED, FORWARD]], 1),
        ([[FORWARD, REPLIED, FORWARD], [REPLIED, REPLIED, REPLIED]], 2),
        ([[FORWARD, FORWARD, REPLIED], [FORWARD, FORWARD, REPLIED]], 1),
        ([[FORWARD, FORWARD, FORWARD], [REPLIED, REPLIED, REPLIED]], 3),
    ],
)
def test_a_burst_is_one_run_whatever_its_flows_and_a_dead_flow_is_many(
    flows: list[list[str]], runs: int
) -> None:
    sessions = table(len(flows))
    play(sessions, flows)
    sessions.told_ns[1:] += INTERVAL // 2
    of = [0] * len(flows)
    frame = report(sessions, groups(sessions, of=of), span(sessions)).frame
    assert frame.real("lost_runs").tolist() == [runs]
