"""The agent: takes its plan, runs the probes by it, and hands what they find to the reporter.

APScheduler drives what is not packet by packet: echo rounds, throughput turns, plan refresh, heartbeat. The
STAMP engine has a loop of its own. Nothing here waits for the collector: without it the last plan is used.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from apscheduler.executors.pool import BasePoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from linkgauge.clock import NS_PER_S, Clock, ClockQuality
from linkgauge.code import Outcome
from linkgauge.errors import LinkgaugeError
from linkgauge.wire import Plan, PlanLink
from probes.echo import EchoRound
from probes.engine import Engine
from probes.notice import Notice
from probes.plan_cache import PlanCache, PlanFetcher
from probes.reporter import Reporter
from probes.throughput.report import Report
from probes.throughput.turns import Due, next_turn

_log = logging.getLogger(__name__)
DEFAULT_HEARTBEAT_NS = 10 * NS_PER_S
_ROUND_JITTER = 0.2
_EAGER_S = 3.0
LATEST_TURN_NS = 1_500_000_000
"""A turn that begins later than this would run into the next one."""
_REMEMBERED_NS = 900 * NS_PER_S


class EchoProber(Protocol):
    """A probe that asks each target once a round."""

    def round(self, links: Sequence[PlanLink], timeout_ns: int) -> EchoRound: ...
    def close(self) -> None: ...


class ThroughputTester(Protocol):
    """Runs one throughput test, at either end."""

    def measure(self, local: str, peer: str, port: int, duration_ns: int, limit_bps: int) -> Report: ...
    def serve_once(self, local: str, port: int, duration_ns: int) -> Outcome: ...


class Responder(Protocol):
    """Answers the TCP probes of peers."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Kit:
    """What an agent is built from: each makes the real thing for a plan.

    echo: probe name -> prober for a plan. responder: answers the TCP probes of peers. interrupt: ends a
    throughput test that runs, for good.
    """

    echo: Mapping[str, Callable[[Plan], EchoProber]]
    responder: Callable[[Plan], Responder]
    throughput: ThroughputTester
    interrupt: Callable[[], None]


class _Executor(BasePoolExecutor):  # type: ignore[misc]  # the library has no types
    """Runs the scheduler's jobs in a pool that we keep, to wait for it ourselves."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        super().__init__(pool)


class Agent:
    """One node's agent. Raises nothing once started: what goes wrong is said, counted, and tried again."""

    def __init__(
        self,
        kit: Kit,
        reporter: Reporter,
        cache: PlanCache,
        fetcher: PlanFetcher,
        clock: Clock,
        clock_quality: Callable[[], ClockQuality],
        bind_ports: Mapping[str, int],
        plan_refresh_s: float,
    ) -> None:
        self._kit, self._reporter, self._cache, self._fetcher = kit, reporter, cache, fetcher
        self._clock, self._clock_quality, self._bind_ports = clock, clock_quality, bind_ports
        self._plan_refresh_s = plan_refresh_s
        self._plan: Plan | None = None
        self._engine: Engine | None = None
        self._probers: list[EchoProber] = []
        self._responder: Responder | None = None
        self._confirmed_mono_ns: int | None = None
        self._tests: list[tuple[int, int]] = []
        self._trouble = Notice(_log)
        self._pools = {name: ThreadPoolExecutor(1) for name in ("default", "throughput", *kit.echo)}
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={name: _Executor(pool) for name, pool in self._pools.items()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 5},
        )

    @property
    def running(self) -> bool:
        """Between `start` and `stop`."""
        return bool(self._scheduler.running)

    @property
    def plan(self) -> Plan | None:
        """The plan in force."""
        return self._plan

    def plan_age_s(self) -> float:
        """Time since a collector confirmed the plan, s; NaN when none did in this run."""
        if self._confirmed_mono_ns is None:
            return float("nan")
        return (self._clock.now().mono_ns - self._confirmed_mono_ns) / NS_PER_S

    def start(self) -> None:
        """Begin with a fresh plan, or with the last one when no collector answers."""
        self._reporter.start()
        self._scheduler.start()
        if not self.refresh_plan() and (kept := self._cache.load()) is not None:
            _log.info("measures by the plan kept on disk until a collector gives a new one")
            self._apply(kept)
        self._set_refresh()
        self._set_heartbeat()

    def stop(self) -> None:
        """End all probes, report what they found, and close everything."""
        self._kit.interrupt()
        # the scheduler would wait for its jobs with a lock held that a job needs to book the next turn, and a
        # turn that falls due meanwhile would be looked for in vain: so it pauses, the jobs end, then it does
        self._scheduler.pause()
        for pool in self._pools.values():
            pool.shutdown(wait=True)
        self._scheduler.shutdown(wait=False)
        self._close_plan()
        self._reporter.stop()
        self._fetcher.close()

    def refresh_plan(self) -> bool:
        """Ask for the plan and act on a new one; says whether a plan is in force."""
        answer = self._fetcher.fetch()
        if answer is not None:
            self._confirmed_mono_ns = self._clock.now().mono_ns
        if isinstance(answer, Plan) and answer != self._plan:
            try:
                self._cache.store(answer)
            except LinkgaugeError as err:
                _log.warning("%s", err)
            self._apply(answer)
        elif self._plan is not None and (self._engine is None or not self._engine.alive):
            self._apply(self._plan)
        return self._plan is not None

    def under_test(self, start_ns: int, end_ns: int) -> bool:
        """Whether a throughput test of this node touched that time."""
        return any(a < end_ns and b > start_ns for a, b in self._tests)

    def _apply(self, plan: Plan) -> None:
        self._close_plan()
        self._plan = plan
        try:
            self._engine = Engine(
                plan,
                self._clock,
                self._clock_quality,
                self._reporter.deliver,
                self.under_test,
                self._bind_ports,
            )
            if plan.tcp_port:
                self._responder = self._kit.responder(plan)
        except (LinkgaugeError, OSError) as err:
            self._trouble.trouble(str(err), f"{err}; tried again when the plan is refreshed")
            self._close_plan()
            return
        self._trouble.over("the plan can be carried out")
        self._engine.start()
        if self._responder is not None:
            self._responder.start()
        intervals = {
            "icmp": (plan.icmp_interval_ns, plan.icmp_timeout_ns),
            "tcp": (plan.tcp_interval_ns, plan.tcp_timeout_ns),
        }
        for probe, make in self._kit.echo.items():
            interval_ns, timeout_ns = intervals[probe]
            if interval_ns and plan.links:
                self._start_rounds(probe, make(plan), plan, interval_ns, timeout_ns)
        self._book_turn(plan)
        self._set_refresh()
        self._set_heartbeat()
        _log.info("plan in force: %d links, %d throughput turns", len(plan.links), len(plan.turns))

    def _start_rounds(
        self, probe: str, prober: EchoProber, plan: Plan, interval_ns: int, timeout_ns: int
    ) -> None:
        self._probers.append(prober)

        def one_round() -> None:
            self._reporter.echo(probe, lambda: prober.round(plan.links, timeout_ns))

        interval_s = interval_ns / NS_PER_S
        self._every(probe, one_round, interval_s, probe, interval_s * _ROUND_JITTER)

    def _book_turn(self, plan: Plan) -> None:
        due = next_turn(plan, self._clock.now().wall_ns)
        if due is None:
            return
        self._scheduler.add_job(
            lambda: self._take_turn(plan, due),
            DateTrigger(datetime.fromtimestamp(due.at_ns / NS_PER_S, UTC)),
            id="turn",
            executor="throughput",
            replace_existing=True,
            misfire_grace_time=None,
            max_instances=2,  # a new plan's turn may fall due while the old plan's test still runs
        )

    def _take_turn(self, plan: Plan, due: Due) -> None:
        try:
            late_ns = self._clock.now().wall_ns - due.at_ns
            if late_ns > LATEST_TURN_NS:
                _log.warning(
                    "%s: its throughput turn came %.1f s late and is left out", due.turn.link, late_ns / 1e9
                )
                return
            span = (due.at_ns, due.at_ns + plan.throughput_duration_ns + NS_PER_S)
            self._tests = [test for test in self._tests if test[1] > span[0] - _REMEMBERED_NS] + [span]
            duration_ns = plan.throughput_duration_ns
            if due.turn.role == "send":
                turn = due.turn
                report = self._kit.throughput.measure(
                    turn.local, turn.peer, plan.throughput_port, duration_ns, plan.throughput_limit_bps
                )
                self._reporter.tested(report.frame(turn.link, due.at_ns, duration_ns))
            else:
                self._kit.throughput.serve_once(due.turn.local, plan.throughput_port, duration_ns)
        finally:
            if plan is self._plan:
                self._book_turn(plan)

    def _set_refresh(self) -> None:
        """Without a plan there is nothing to do but to ask for one."""
        seconds = self._plan_refresh_s if self._plan else min(self._plan_refresh_s, _EAGER_S)
        self._every("refresh", self.refresh_plan, seconds, "default")

    def _set_heartbeat(self) -> None:
        window_ns = self._plan.window_ns if self._plan else DEFAULT_HEARTBEAT_NS
        self._every("heartbeat", lambda: self._reporter.heartbeat(window_ns), window_ns / NS_PER_S, "default")

    def _every(
        self,
        name: str,
        job: Callable[[], object],
        seconds: float,
        executor: str,
        jitter_s: float | None = None,
    ) -> None:
        trigger = IntervalTrigger(seconds=seconds, jitter=jitter_s, timezone=UTC)
        self._scheduler.add_job(job, trigger, id=name, executor=executor, replace_existing=True)

    def _close_plan(self) -> None:
        for name in (*self._kit.echo, "turn"):
            with contextlib.suppress(JobLookupError):  # a turn is gone once it runs
                self._scheduler.remove_job(name)
        if self._engine is not None:
            self._engine.stop()
            self._engine = None
        if self._responder is not None:
            self._responder.stop()
            self._responder = None
        for prober in self._probers:
            prober.close()
        self._probers = []
