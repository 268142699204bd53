"""Whose turn it is: the throughput timetable of a plan on the wall clock. Pure.

The timetable repeats with `cycle_ns`, aligned to the Unix epoch, so that both ends of a test find the same
moment without talking to each other.
"""

from __future__ import annotations

from dataclasses import dataclass

from linkgauge.plan import Plan, Turn


@dataclass(frozen=True, slots=True)
class Due:
    """A turn and when it begins, Unix ns."""

    turn: Turn
    at_ns: int


def next_turn(plan: Plan, after_ns: int) -> Due | None:
    """The first turn that begins later than `after_ns` (Unix ns); None when the plan has none.

    Of turns at the same moment the first in the plan; a plan that is right has none such at one node.
    """
    if plan.cycle_ns <= 0 or not plan.turns:
        return None
    times = [_next_time(turn.offset_ns, plan.cycle_ns, after_ns) for turn in plan.turns]
    at_ns = min(times)
    return Due(plan.turns[times.index(at_ns)], at_ns)


def _next_time(offset_ns: int, cycle_ns: int, after_ns: int) -> int:
    """Smallest offset + k cycle that is later than `after_ns`."""
    return offset_ns + ((after_ns - offset_ns) // cycle_ns + 1) * cycle_ns
