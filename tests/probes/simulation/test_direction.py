"""Direction of loss against the truth: exact wherever it can be known, never wrong beyond what cannot.

What cannot be known, whatever the algorithm:
- losses after the last reply of a session, and between two lives of the reflector: nothing shows whether the
  reflector had them (`Truth.knowable`); nor of those before the first reply, unless both ends count from 0;
- of losses both ways in a row that crosses a window's border, which window had which (`Truth.mixed`);
- a number that the reflector gave to a copy whose reply was lost: to the sender it looks like the number of a
  packet whose reply was lost (`Truth.unseen`). Each may turn one loss nearby, no more;
- where packets overtook each other on the way out, which of two losses close together it was, and whether
  the last ones of a session have numbers beyond that of the last reply.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.probes.simulation.course import MS, Course
from tests.probes.simulation.runs import JITTER_NS, Run, run
from tests.probes.simulation.way import Way

LOSSY = Way(loss=0.02, jitter_ns=JITTER_NS)
LIVES = ((350 * MS, 360 * MS), (4_000 * MS, 4_300 * MS), (4_400 * MS, 4_420 * MS))


def exact(made: Run) -> None:
    """Directions are the truth but for what cannot be known."""
    truth, told = made.truth, made.told
    room = truth.table(truth.mixed)
    for name, mask in (("forward", truth.lost & truth.away), ("backward", truth.lost & ~truth.away)):
        true = truth.table(mask & truth.knowable)
        counted = told.counts(f"lost_{name}")
        assert (np.abs(counted - true) <= room).all(), name
        assert counted.sum() == true.sum(), name
    assert np.array_equal(told.counts("lost_unattributed"), truth.table(truth.lost & ~truth.knowable))


def test_direction_is_the_truth_where_it_can_be_known(each_run: Run) -> None:
    course, truth, told = each_run.course, each_run.truth, each_run.told
    if not course.forward.reorder and not truth.unseen.any():
        exact(each_run)
        return
    lost = int(truth.lost.sum())
    room = int(truth.unseen.sum()) + lost // 100
    for name, mask in (("forward", truth.lost & truth.away), ("backward", truth.lost & ~truth.away)):
        surplus = int(told.counts(f"lost_{name}").sum()) - int(truth.table(mask).sum())
        assert surplus <= room, name  # not more told of either than there were
    unknowable = int((truth.lost & ~truth.knowable).sum())
    assert told.counts("lost_unattributed").sum() <= unknowable + 2 * room


@pytest.mark.parametrize("loss", [0.02, 0.2])
def test_loss_one_way_only_is_never_told_as_the_other(loss: float) -> None:
    for forward, backward, other in ((loss, 0.0, "lost_backward"), (0.0, loss, "lost_forward")):
        course = Course(
            20, Way(loss=forward, jitter_ns=JITTER_NS), Way(loss=backward, reorder=0.1), ticks=500
        )
        made = run("one way", course)
        exact(made)
        assert not made.told.counts(other).any()


def test_forward_loss_stays_forward_where_packets_overtake_each_other() -> None:
    course = Course(21, Way(loss=0.02, reorder=0.05, jitter_ns=JITTER_NS), Way(jitter_ns=JITTER_NS))
    made = run("overtaking", course)
    exact(made)
    assert not made.told.counts("lost_backward").any()


def test_backward_loss_stays_backward_where_packets_overtake_each_other() -> None:
    for seed in (22, 201, 211):
        course = Course(
            seed, Way(reorder=0.05, jitter_ns=JITTER_NS), Way(loss=0.02, jitter_ns=JITTER_NS), ticks=500
        )
        made = run("overtaking", course)
        forward = made.told.counts("lost_forward")
        assert not forward[0].any()
        assert forward[1].sum() <= 3  # of the last packets of 100 sessions
        unknowable = int((made.truth.lost & ~made.truth.knowable).sum())
        assert made.told.counts("lost_unattributed").sum() <= unknowable


def test_a_restarted_reflector_turns_no_loss_round() -> None:
    refusing = run("restart", Course(23, LOSSY, LOSSY, down=LIVES))
    exact(refusing)
    assert refusing.truth.refused.sum() > 1_000
    silent = run("restart", Course(24, LOSSY, LOSSY, down=LIVES, refuses=False))
    exact(silent)
    assert silent.told.counts("lost_unattributed").sum() > 1_000


@pytest.mark.parametrize("number", [2**32 - 300, 3_000_000_000])
def test_a_reflector_restarts_late_in_its_count(number: int) -> None:
    exact(run("restart", Course(25, LOSSY, LOSSY, first_number=number, down=((4_000 * MS, 4_300 * MS),))))


def test_both_counters_wrap() -> None:
    course = Course(26, LOSSY, LOSSY, first_seq=2**32 - 600, first_number=2**32 - 300, v6=True)
    made = run("wrap", course)
    exact(made)
    assert np.array_equal(made.told.counts("replied"), made.truth.table(made.truth.replied))
    assert made.course.first_seq + made.course.ticks > 2**32
