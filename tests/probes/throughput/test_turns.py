"""The timetable on the wall clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from linkgauge.plan import Turn
from probes.throughput.turns import Due, next_turn
from tests.probes.plans import plan

SEND = Turn("a>b@n", "send", "10.0.0.1", "10.0.0.2", 10)
SERVE = Turn("b>a@n", "serve", "10.0.0.1", "10.0.0.2", 40)


def test_turns_follow_each_other_through_the_cycles() -> None:
    made = plan(turns=[SEND, SERVE], cycle_ns=100)
    at, seen = 1000, list[tuple[Turn, int]]()
    for _ in range(4):
        due = next_turn(made, at)
        assert due is not None
        at = due.at_ns
        seen.append((due.turn, at))
    assert seen == [(SEND, 1010), (SERVE, 1040), (SEND, 1110), (SERVE, 1140)]


def test_a_plan_without_turns_or_cycle_has_none() -> None:
    assert next_turn(plan(), 0) is None
    assert next_turn(plan(turns=[SEND], cycle_ns=0), 0) is None


@given(st.lists(st.integers(0, 99), min_size=1, max_size=5), st.integers(1, 100), st.integers(0, 10_000))
def test_equals_the_slow_search(offsets: list[int], cycle_ns: int, after_ns: int) -> None:
    turns = [Turn(f"t{row}", "send", "", "", offset % cycle_ns) for row, offset in enumerate(offsets)]
    at_ns = after_ns + 1
    while not any(turn.offset_ns == at_ns % cycle_ns for turn in turns):
        at_ns += 1
    turn = next(turn for turn in turns if turn.offset_ns == at_ns % cycle_ns)
    assert next_turn(plan(turns=turns, cycle_ns=cycle_ns), after_ns) == Due(turn, at_ns)
