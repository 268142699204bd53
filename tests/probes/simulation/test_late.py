"""Replies after the timeout, after their window's report, after its correction; and wall clocks that step."""

from __future__ import annotations

import numpy as np
import pytest

from probes.stamp.sessions import Discard
from tests.probes.simulation.course import MS, WINDOW_TICKS, Course
from tests.probes.simulation.runs import JITTER_NS, Run, run
from tests.probes.simulation.way import HostClock, Way

PLAIN = Way(jitter_ns=JITTER_NS)
STEP_NS = 5_000 * MS
IN_FLIGHT_TICKS = 5


@pytest.fixture(scope="module")
def late() -> Run:
    way = Way(loss=0.01, late=0.03, jitter_ns=JITTER_NS, late_ns=(400 * MS, 12_000 * MS))
    return run("late", Course(40, PLAIN, way))


def test_late_replies_are_late_and_not_lost(late: Run) -> None:
    truth, told = late.truth, late.told
    assert truth.late.sum() > 500
    for name, mask in (("replied", truth.replied), ("late", truth.late)):
        assert np.array_equal(told.counts(name), truth.table(mask)), name
    lost = told.counts("lost_forward") + told.counts("lost_backward") + told.counts("lost_unattributed")
    assert np.array_equal(lost, truth.table(truth.lost))
    assert not told.counts("lost_forward").any()


def test_what_comes_after_the_correction_is_counted_as_too_late(late: Run) -> None:
    sessions = late.told.sessions
    waiting = sum(len(came) for came in sessions.corrections)
    gone = int(late.truth.gone.sum())
    assert gone > 100
    assert late.told.too_late + waiting + int(sessions.discarded[Discard.TOO_LATE]) == gone
    assert sessions.discarded[Discard.TOO_LATE] > 0
    assert sessions.discarded.sum() == sessions.discarded[Discard.TOO_LATE]


def test_a_corrected_window_has_a_higher_revision(late: Run) -> None:
    revisions = late.told.counts("revision")
    course, truth = late.course, late.truth
    came_between = (truth.replied | truth.late) & (truth.first_ns >= course.closed_ns(course.window_of))
    assert revisions[truth.table(came_between) > 0].tolist() == [1] * int(
        (truth.table(came_between) > 0).sum()
    )
    keys = [
        (start, link, revision)
        for frame in late.told.frames
        for start, link, revision in zip(
            frame.count("start_ns"), frame.text("link"), frame.count("revision"), strict=True
        )
    ]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("by_ns", [3_000 * MS, -3_000 * MS])
def test_a_step_of_the_own_clock_changes_no_count_of_loss(by_ns: int) -> None:
    lossy = Way(loss=0.02, jitter_ns=JITTER_NS)
    made = run("step", Course(41, lossy, lossy, near=HostClock(steps=((STEP_NS, by_ns),))))
    truth, told = made.truth, made.told
    lost = told.counts("lost_forward") + told.counts("lost_backward") + told.counts("lost_unattributed")
    assert np.array_equal(lost, truth.table(truth.lost))
    forward, backward = (truth.lost & truth.knowable & way for way in (truth.away, ~truth.away))
    assert told.counts("lost_forward").sum() == forward.sum()
    assert told.counts("lost_backward").sum() == backward.sum()
    answered = truth.table(truth.replied | truth.late)
    assert np.array_equal(told.counts("replied") + told.counts("late"), answered)
    in_flight = made.course.sessions * IN_FLIGHT_TICKS
    assert told.counts("late").sum() <= in_flight
    spoiled = np.abs(told.table("rtt_max_us")) > 1e6
    spoiled |= told.table("rtt_min_us") < 0
    assert not np.delete(spoiled, STEP_NS // (WINDOW_TICKS * 10 * MS) - 1, axis=0).any()


def test_a_step_of_the_far_clock_leaves_the_round_trip_and_moves_the_one_way_values() -> None:
    by_ns = 2_000 * MS
    made = run("far step", Course(42, PLAIN, PLAIN, far=HostClock(steps=((STEP_NS, by_ns),))))
    told = made.told
    assert np.array_equal(told.counts("replied"), made.truth.table(made.truth.replied))
    caught = (made.truth.t3_ns - made.truth.t2_ns) > 1_000 * MS  # the step fell between its two stamps
    assert caught.sum() < made.course.sessions
    assert (told.table("rtt_max_us") < 100_000).all()
    assert (told.table("rtt_min_us") > 20_000)[made.truth.table(caught) == 0].all()
    before, after = told.table("forward_p50_us")[1], told.table("forward_p50_us")[3]
    assert after - before == pytest.approx(by_ns / 1e3, abs=500)
    assert told.counts("one_way_negative")[3].min() == 2 * WINDOW_TICKS
