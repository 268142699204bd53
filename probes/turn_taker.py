"""Takes this node's turns in the timetable of throughput tests, and knows when a test ran here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from linkgauge.clock import NS_PER_S, Clock
from linkgauge.code import Outcome
from linkgauge.frame import Frame
from linkgauge.plan import Plan
from probes.schedule import Schedule
from probes.throughput.report import Report
from probes.throughput.turns import Due, next_turn

THREAD = "throughput"
LATEST_NS = 1_500_000_000
"""A turn that begins later than this would run into the next one."""
_REMEMBERED_NS = 900 * NS_PER_S
_JOB = "turn"
_log = logging.getLogger(__name__)


class ThroughputTester(Protocol):
    """Runs one throughput test, at either end."""

    def measure(self, local: str, peer: str, port: int, duration_ns: int, limit_bps: int) -> Report: ...
    def serve_once(self, local: str, port: int, duration_ns: int) -> Outcome: ...


class TurnTaker:
    """One for the life of the agent: a new plan's turns follow those of the old. `add` gets each result."""

    def __init__(
        self, tester: ThroughputTester, schedule: Schedule, clock: Clock, add: Callable[[Frame], None]
    ) -> None:
        self._tester, self._schedule, self._clock, self._add = tester, schedule, clock, add
        self._plan: Plan | None = None
        self._former: Plan | None = None
        self._from_ns = 0
        self._tests: list[tuple[int, int]] = []

    def follow(self, plan: Plan, from_ns: int = 0) -> None:
        """Take the turns of this plan, those of the plan before until `from_ns`, Unix ns.

        One that began before then runs to its end: where the turns differ, the first of the new plan is one
        that no such test can touch.
        """
        if self._plan is not None and _timetable(self._plan) != _timetable(plan):
            self._former, self._from_ns = self._plan, from_ns
        self._plan = plan
        self._book()

    def stop(self) -> None:
        """Take no more turns; one that runs goes on."""
        self._plan = self._former = None
        self._schedule.cancel(_JOB)

    def under_test(self, start_ns: int, end_ns: int) -> bool:
        """Whether a throughput test of this node touched that time."""
        return any(a < end_ns and b > start_ns for a, b in self._tests)

    def _book(self) -> None:
        plan, due = self._next(self._clock.now().wall_ns)
        if plan is None or due is None:
            self._schedule.cancel(_JOB)
        else:
            self._schedule.once(_JOB, lambda: self._take(plan, due), due.at_ns, THREAD)

    def _next(self, now_ns: int) -> tuple[Plan | None, Due | None]:
        """The next turn, and the plan that it is of."""
        former, plan = self._former, self._plan
        if former is None or plan is None:
            return plan, next_turn(plan, now_ns) if plan is not None else None
        due = next_turn(former, now_ns)
        if due is not None and due.at_ns < self._from_ns:
            return former, due
        over_ns = self._from_ns + former.throughput_duration_ns + NS_PER_S
        return plan, next_turn(plan, max(now_ns, over_ns - 1))

    def _take(self, plan: Plan, due: Due) -> None:
        try:
            late_ns = self._clock.now().wall_ns - due.at_ns
            if late_ns > LATEST_NS:
                _log.warning(
                    "%s: its throughput turn came %.1f s late and is left out", due.turn.link, late_ns / 1e9
                )
                return
            self._remember(due.at_ns, due.at_ns + plan.throughput_duration_ns + NS_PER_S)
            self._test(plan, due)
        finally:
            if self._plan is not None:
                self._book()

    def _remember(self, start_ns: int, end_ns: int) -> None:
        recent = [test for test in self._tests if test[1] > start_ns - _REMEMBERED_NS]
        self._tests = [*recent, (start_ns, end_ns)]

    def _test(self, plan: Plan, due: Due) -> None:
        turn, duration_ns = due.turn, plan.throughput_duration_ns
        if turn.role != "send":
            self._tester.serve_once(turn.local, plan.throughput_port, duration_ns)
            return
        report = self._tester.measure(
            turn.local, turn.peer, plan.throughput_port, duration_ns, plan.throughput_limit_bps
        )
        self._add(report.frame(turn.link, due.at_ns, duration_ns))


def _timetable(plan: Plan) -> tuple[object, ...]:
    """What says when this node's tests are, and how they run."""
    return (
        plan.turns, plan.cycle_ns, plan.throughput_duration_ns,
        plan.throughput_port, plan.throughput_limit_bps,
    )  # fmt: skip
