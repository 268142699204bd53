"""When sessions send: once a cycle each, the flows of a link evenly spaced, due times exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.stamp.timetable import (
    LONGEST_TICK_NS,
    LONGEST_TRAIN,
    SHORTEST_TICK_NS,
    PoissonTimes,
    Wheel,
    wheel,
)

MS = 1_000_000
START_NS = 7_123_456_789

intervals = st.sampled_from([1, 50_000, 100_000, MS, 3 * MS, 10 * MS, 100 * MS, 333_333_333, 10_000 * MS])
shapes = st.tuples(st.integers(0, 40), st.integers(1, 9))


def below(seed: int) -> Callable[[int], int]:
    random = np.random.default_rng(seed)
    return lambda n: int(random.integers(0, n))


def laid(links: int, flows: int, interval_ns: int, seed: int = 1) -> Wheel:
    """Every flow leaves through a port of its own."""
    link = [i for i in range(links) for _ in range(flows)]
    flow = list(range(flows)) * links
    return wheel(link, flow, flows, flow, interval_ns, below(seed))


def slot_of(made: Wheel) -> dict[int, int]:
    """Slot of each session."""
    return {
        int(session): slot
        for slot in range(made.slots)
        for session in made.order[made.begin[slot] : made.begin[slot + 1]]
    }


@given(shapes, intervals, st.integers(0, 99))
def test_every_session_has_one_slot(shape: tuple[int, int], interval_ns: int, seed: int) -> None:
    made = laid(*shape, interval_ns, seed)
    count = shape[0] * shape[1]
    assert sorted(made.order.tolist()) == list(range(count))
    assert made.begin[0] == 0
    assert made.begin[-1] == count
    assert len(made.begin) == made.slots + 1
    assert (np.diff(made.begin) >= 0).all()
    assert sorted(slot_of(made)) == list(range(count))


@given(shapes, intervals, st.integers(0, 99))
def test_a_session_sends_its_rate(shape: tuple[int, int], interval_ns: int, seed: int) -> None:
    made = laid(*shape, interval_ns, seed)
    assert made.cycle_ns == interval_ns * made.train
    assert 1 <= made.train <= LONGEST_TRAIN
    assert made.train & (made.train - 1) == 0
    assert made.train == 1 or shape[0] * shape[1] * made.train <= 2 * LONGEST_TRAIN
    if interval_ns >= LONGEST_TICK_NS:
        assert made.train == 1
        assert SHORTEST_TICK_NS * 0.6 <= made.tick_ns <= LONGEST_TICK_NS * 1.5


@given(st.integers(1, 20), st.integers(1, 8), st.integers(0, 99))
def test_flows_of_a_link_share_the_interval_evenly(links: int, flows: int, seed: int) -> None:
    made = laid(links, flows, 1_000 * MS, seed)
    slot = slot_of(made)
    for link in range(links):
        mine = [slot[link * flows + flow] for flow in range(flows)]
        steps = [(b - a) % made.slots for a, b in zip(mine, [*mine[1:], mine[0]], strict=True)]
        ideal = made.slots / flows
        assert flows == 1 or all(math.floor(ideal) <= step <= math.ceil(ideal) for step in steps)


@given(shapes, intervals)
def test_within_a_slot_sessions_stand_by_port(shape: tuple[int, int], interval_ns: int) -> None:
    made = laid(*shape, interval_ns)
    flows = shape[1]
    for slot in range(made.slots):
        ports = made.order[made.begin[slot] : made.begin[slot + 1]] % flows
        assert (np.diff(ports) >= 0).all()


def test_phases_are_random_over_the_whole_cycle() -> None:
    made = laid(2_000, 1, 10_000 * MS)
    counts = np.diff(made.begin)
    eighths = np.array([part.sum() for part in np.array_split(counts, 8)])
    assert (np.abs(eighths - 250) < 5 * math.sqrt(250)).all()  # five standard deviations


@given(shapes, intervals)
def test_due_times_are_exact_over_a_million_ticks(shape: tuple[int, int], interval_ns: int) -> None:
    made = laid(*shape, interval_ns)
    for tick in (0, 1, 2, made.slots - 1, made.slots, 999_999, 10**6, 10**6 + 1):
        exact = START_NS + math.floor(Fraction(tick * made.cycle_ns, made.slots))
        assert made.due_ns(tick, START_NS) == exact
    cycles = 10**6 // made.slots
    assert made.due_ns(cycles * made.slots, START_NS) == START_NS + cycles * made.cycle_ns


@given(shapes, intervals, st.integers(0, 10**6))
def test_the_next_used_tick_is_the_first_with_sessions(
    shape: tuple[int, int], interval_ns: int, tick: int
) -> None:
    made = laid(*shape, interval_ns)
    used = {int(slot) for slot in np.flatnonzero(np.diff(made.begin))}
    expected = next((t for t in range(tick, tick + made.slots) if t % made.slots in used), tick)
    assert made.next_used(tick) == expected


@pytest.mark.parametrize(
    ("sessions", "interval_ns", "train"),
    [
        (1, 10 * MS, 1),
        (1, MS, 2),
        (1, 100_000, 16),
        (1, 1_000, LONGEST_TRAIN),
        (400, MS, 1),
        (1, 20 * MS, 1),
    ],
)
def test_trains(sessions: int, interval_ns: int, train: int) -> None:
    assert laid(sessions, 1, interval_ns).train == train
    alone = wheel([0] * sessions, [0] * sessions, 1, [0] * sessions, interval_ns, below(1), longest_train=1)
    assert (alone.train, alone.cycle_ns) == (1, interval_ns)


def uniform(seed: int) -> PoissonTimes:
    return PoissonTimes(1, 10 * MS, START_NS, np.random.default_rng(seed).random)


def test_poisson_gaps_are_exponential_with_the_mean_asked_for() -> None:
    times = uniform(5)
    due = []
    for _ in range(20_000):
        due.append(times.next_ns())
        now, late = times.due(due[-1], 50 * MS)
        assert (now.tolist(), late.tolist()) == ([0], [])
    gaps = np.diff(due) / (10 * MS)
    assert gaps.min() > 0
    assert gaps.mean() == pytest.approx(1, abs=5 / math.sqrt(len(gaps)))
    # memoryless: the share above x is exp(-x)
    for x in (0.1, 0.5, 1, 2, 4):
        share = math.exp(-x)
        assert (gaps > x).mean() == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / len(gaps)))


def test_a_poisson_session_that_is_too_late_is_missed_and_not_made_up_for() -> None:
    times = PoissonTimes(3, 10 * MS, START_NS, lambda n: np.full(n, 0.5))
    gap = times.next_ns() - START_NS
    times.due_ns[:] = [START_NS, START_NS + 30 * MS, START_NS + 40 * MS]
    now, late = times.due(START_NS + 35 * MS, 20 * MS)
    assert (now.tolist(), late.tolist()) == ([0, 1], [0, 0, 0]), "7 ms between its packets: 3 in 15 ms"
    assert times.due_ns.tolist() == [START_NS + 4 * gap, START_NS + 30 * MS + gap, START_NS + 40 * MS]


def test_what_poisson_sessions_missed_while_they_were_held_up_is_counted_packet_by_packet() -> None:
    times = PoissonTimes(20, 10 * MS, START_NS, np.random.default_rng(4).random)
    now, late = times.due(START_NS + 1_020 * MS, 20 * MS)
    assert np.bincount(late, minlength=20).mean() == pytest.approx(100, abs=6 * math.sqrt(100 / 20))
    assert len(now) <= 20
    assert (times.due_ns > START_NS + 1_000 * MS).all()


def test_poisson_keeps_its_rate_when_looked_at_now_and_then() -> None:
    times = PoissonTimes(50, 10 * MS, START_NS, np.random.default_rng(2).random)
    sent = sum(len(times.due(START_NS + k * 3 * MS, 20 * MS)[0]) for k in range(2_000))
    # a session sends at most once a look, so a few gaps below 3 ms are moved, none is lost
    assert sent == pytest.approx(50 * 600, rel=0.02)
