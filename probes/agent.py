"""The agent: takes its plan, carries it out, and has what is found reported.

A schedule drives what is not packet by packet: rounds, throughput turns, plan refresh, heartbeat. Nothing
here waits for the collector: without it the last plan is used.

A plan that comes while another is in force takes over at the start of a window, at the time that it says, so
that both ends of a link change together; its peers are answered from the moment it is known. No window of a
link that stands in both is lost, and nothing that is no longer sent counts as lost. An agent that starts
meanwhile begins with the plan that it kept; a new node's has none and only answers until then, because its
peers do not know it yet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from linkgauge.clock import NS_PER_S, seconds
from linkgauge.errors import LinkgaugeError
from linkgauge.model import Probe
from linkgauge.plan import MAX_TAKE_OVER_S, Plan
from probes import turn_taker
from probes.execution import Execution, Probers, Station
from probes.notice import Notice
from probes.plan_cache import PlanCache, PlanFetcher
from probes.presence import absent
from probes.reporter import Reporter
from probes.schedule import Schedule
from probes.turn_taker import ThroughputTester, TurnTaker

DEFAULT_HEARTBEAT_NS = 10 * NS_PER_S
_EAGER_S = 3.0
_LEAD_NS = 2 * NS_PER_S
"""Before a plan takes over it is laid out, and its ports are bound."""
_SPREAD = 0.2
"""A plan is asked for earlier or later by up to this share of the interval: not by all agents at once."""
_TAKE_OVER = "take over"
_ROUNDS = (Probe.ICMP.value, Probe.TCP.value, Probe.TLS.value, Probe.PATH.value)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kit:
    """What an agent is built from. interrupt: ends a throughput test that runs, for good."""

    probers: Probers
    throughput: ThroughputTester
    interrupt: Callable[[], None]


class Agent:
    """One node's agent. Raises nothing once started: what goes wrong is said, counted, and tried again."""

    def __init__(
        self,
        kit: Kit,
        station: Station,
        reporter: Reporter,
        cache: PlanCache,
        fetcher: PlanFetcher,
        plan_refresh_s: float,
    ) -> None:
        self._kit, self._station, self._reporter = kit, station, reporter
        self._cache, self._fetcher, self._plan_refresh_s = cache, fetcher, plan_refresh_s
        self._schedule = Schedule((turn_taker.THREAD, *_ROUNDS), reporter.missed)
        self._turns = TurnTaker(kit.throughput, self._schedule, station.clock, reporter.add)
        self._plan: Plan | None = None
        self._coming: Plan | None = None
        self._kept: Plan | None = None
        self._execution: Execution | None = None
        self._failed = False
        self._times: tuple[float, int] | None = None
        self._confirmed_mono_ns: int | None = None
        self._trouble = Notice(_log)

    @property
    def running(self) -> bool:
        """Between `start` and `stop`."""
        return self._schedule.running

    @property
    def plan(self) -> Plan | None:
        """The plan in force, or about to take over at the next window's start."""
        return self._plan

    def plan_age_s(self) -> float:
        """Time since a collector confirmed the plan, s; NaN when none did in this run."""
        if self._confirmed_mono_ns is None:
            return float("nan")
        return (self._station.clock.now().mono_ns - self._confirmed_mono_ns) / NS_PER_S

    def under_test(self, start_ns: int, end_ns: int) -> bool:
        """Whether a throughput test of this node touched that time."""
        return self._turns.under_test(start_ns, end_ns)

    def start(self) -> None:
        """Begin with a fresh plan, or with the last one when no collector answers."""
        self._reporter.start()
        self._schedule.start()
        if not self.refresh_plan() and (kept := self._cache.load()) is not None:
            _log.info("measures by the plan kept on disk until a collector gives a new one")
            self._carry_out(kept)
        self._set_times()

    def stop(self) -> None:
        """End all probes, report what they found, and close everything."""
        self._kit.interrupt()
        if self._execution is not None:
            self._execution.interrupt()
        self._schedule.stop()
        self._close_plan()
        self._reporter.stop()
        self._fetcher.close()

    def refresh_plan(self) -> bool:
        """Ask for the plan and act on a new one; says whether a plan is in force."""
        answer = self._fetcher.fetch()
        if answer is not None:
            self._confirmed_mono_ns = self._station.clock.now().mono_ns
        if isinstance(answer, Plan) and not _same(answer, self._coming or self._plan):
            self._await(answer, self._plan or self._cache.load())
        elif self._coming is None and self._plan is not None and self._is_to_begin_anew(self._plan):
            self._apply(self._plan)
        return self._plan is not None

    def _await(self, plan: Plan, former: Plan | None) -> None:
        """Have a plan take over when it says, but within MAX_TAKE_OVER_S: somebody's clock may be wrong.

        Until then the former one is carried out; without one, peers are answered and none is asked.
        """
        self._coming = None
        self._schedule.cancel(_TAKE_OVER)
        if _same(plan, self._plan):
            return  # the change was taken back
        now_ns = self._station.clock.now().wall_ns
        at_ns = min(plan.takes_over_ns, now_ns + seconds(MAX_TAKE_OVER_S)) - _LEAD_NS
        if at_ns <= now_ns or (self._plan is None and _same(plan, former)):
            self._apply(plan)
            return
        if self._execution is None:
            self._carry_out(former or replace(plan, links=[], turns=[]))
        _log.info("a new plan takes over in %.0f s, %d links", (at_ns - now_ns) / NS_PER_S, len(plan.links))
        self._coming = plan
        self._schedule.once(_TAKE_OVER, self._take_over, at_ns, "default")
        if self._execution is None:
            return  # it was said why
        try:
            self._execution.expect(plan)
        except (LinkgaugeError, OSError) as err:
            self._trouble.trouble(str(err), f"{err}; tried again when the new plan takes over")

    def _take_over(self) -> None:
        coming, self._coming = self._coming, None
        if coming is not None:
            self._apply(coming)

    def _is_to_begin_anew(self, plan: Plan) -> bool:
        """A bug ended it, it could not be begun or followed, or an address that it does without has come."""
        execution = self._execution
        if execution is None or not execution.alive or self._failed:
            return True
        return absent(execution.absent) != execution.absent

    def _apply(self, plan: Plan) -> None:
        """Keep a plan, from when it is in force, and carry it out."""
        if plan != self._kept:
            try:
                self._cache.store(plan)
                self._kept = plan
            except LinkgaugeError as err:
                _log.warning("%s", err)
        self._carry_out(plan)

    def _carry_out(self, plan: Plan) -> None:
        execution = self._execution
        if execution is not None and execution.alive and execution.can_follow(plan):
            self._follow(execution, plan)
        else:
            self._begin(plan)

    def _follow(self, execution: Execution, plan: Plan) -> None:
        self._plan = plan
        try:
            from_ns = execution.follow(plan)
        except (LinkgaugeError, OSError) as err:
            self._failed = True
            self._trouble.trouble(
                str(err), f"{err}; the former plan goes on, tried again when it is refreshed"
            )
            return
        self._in_force(plan, from_ns)

    def _begin(self, plan: Plan) -> None:
        self._close_plan()
        self._plan = plan
        try:
            self._execution = Execution(
                plan,
                self._kit.probers,
                self._station,
                self._reporter,
                self._schedule,
                self._turns.under_test,
            )
            self._execution.start()
        except (LinkgaugeError, OSError) as err:
            self._trouble.trouble(str(err), f"{err}; tried again when the plan is refreshed")
            self._close_plan()
            return
        self._in_force(plan, 0)

    def _in_force(self, plan: Plan, from_ns: int) -> None:
        self._failed = False
        self._trouble.over("the plan can be carried out")
        self._turns.follow(plan, from_ns)
        self._set_times()
        _log.info("plan in force: %d links, %d throughput turns", len(plan.links), len(plan.turns))

    def _set_times(self) -> None:
        """Without a plan there is nothing to do but to ask for one."""
        seconds = self._plan_refresh_s if self._plan else min(self._plan_refresh_s, _EAGER_S)
        window_ns = self._plan.window_ns if self._plan else DEFAULT_HEARTBEAT_NS
        if self._times == (seconds, window_ns):
            return  # or a heartbeat would be left out
        self._times = seconds, window_ns
        self._schedule.every("refresh", self.refresh_plan, seconds, jitter_s=_SPREAD * seconds)
        self._schedule.every("heartbeat", lambda: self._reporter.heartbeat(window_ns), window_ns / NS_PER_S)

    def _close_plan(self) -> None:
        self._turns.stop()
        if self._execution is not None:
            self._execution.stop()
            self._execution = None


def _same(plan: Plan, other: Plan | None) -> bool:
    """Whether they say the same, whenever they take over."""
    return other is not None and replace(plan, takes_over_ns=other.takes_over_ns) == other
