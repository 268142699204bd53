"""One plan being carried out: the STAMP engine, and the rounds of the other probes.

Rounds run on the agent's schedule, the engine has a loop of its own. Built for a plan, started, stopped for
good; a new plan is a new execution.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from msgspec.structs import replace

from linkgauge.clock import NS_PER_S, Clock, ClockQuality
from linkgauge.frame import Frame, concat
from linkgauge.model import Probe
from linkgauge.plan import Plan, PlanLink
from linkgauge.schema import WINDOW
from probes import presence
from probes.discards import Count
from probes.echo import EchoRound
from probes.engine import Engine
from probes.fitness import HostFitness
from probes.flight import Caught
from probes.keyless import keyless_frame, keyless_links, sentence
from probes.launcher import Launcher
from probes.noted import Fitness
from probes.path.probe import Counts
from probes.presence import absent
from probes.reporter import Reporter
from probes.schedule import Schedule

_JITTER = 0.2
"""A round comes earlier or later by up to this share of its interval, so that nodes do not march in step."""
_UNSEEN = 64
"""Windows that may wait for the path prober."""
_OBSERVE = "observe"
_log = logging.getLogger(__name__)


class EchoProber(Protocol):
    """A probe that asks each target once a round."""

    @property
    def discarded(self) -> int:
        """What came and could not be used, since the start. Asked from other threads, and after `close`."""

    def round(self, links: Sequence[PlanLink], timeout_ns: int) -> EchoRound: ...
    def close(self) -> None: ...


class TlsProber(EchoProber, Protocol):
    """An echo prober that also saw certificates."""

    def certificates(self) -> Frame:
        """CERTIFICATE rows of the last round."""


class Counting(Protocol):
    def counts(self) -> Counts:
        """What was discarded and what was put off, since the start."""


class PathProber(Counting, Protocol):
    """Finds the ways that the flows of the links take. All but `round` come from other threads."""

    def caught(self, caught: Caught) -> None:
        """What came of packets of sweeps; never blocks."""

    def observe(self, window: Frame) -> Frame:
        """Take WINDOW rows; returns the EVENT rows that are clear by now."""

    def round(self) -> Frame:
        """Sweep the flows whose turn it is; returns PATH rows."""

    def stop(self) -> None:
        """End a running round soon."""


class Responder(Protocol):
    """Answers the TCP probes of peers."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Probers:
    """Makers of the real things for a plan. echo: by probe, icmp and tcp."""

    echo: Mapping[str, Callable[[Plan], EchoProber]]
    tls: Callable[[Plan], TlsProber]
    path: Callable[[Plan, Launcher], PathProber]
    responder: Callable[[Plan], Responder]


@dataclass(frozen=True, slots=True)
class Station:
    """This node: its clock and how good it is, its host, local ports that differ from the plan's, its keys.

    bind_ports: local address -> port of the reflector. keys: peer address -> HMAC key.
    """

    clock: Clock
    clock_quality: Callable[[], ClockQuality]
    host: HostFitness
    bind_ports: Mapping[str, int]
    keys: Mapping[str, bytes] = field(repr=False)


class Execution:
    """Raises LinkgaugeError or OSError when something cannot be opened; nothing stays open then."""

    def __init__(
        self,
        plan: Plan,
        probers: Probers,
        station: Station,
        reporter: Reporter,
        schedule: Schedule,
        under_test: Callable[[int, int], bool],
    ) -> None:
        self._plan, self._probers, self._reporter, self._schedule = plan, probers, reporter, schedule
        self._jobs: list[str] = []
        self._closing: list[Callable[[], None]] = []
        self._windows: deque[Frame] = deque(maxlen=_UNSEEN)
        self.absent = absent(plan.locals)
        """Addresses of the plan that this host does not have; the links from the others are measured."""
        if len(self.absent) == len(plan.locals):
            self.absent = ()  # nothing is left to measure: let it fail, and be tried again
        self._keyless = keyless_links(plan, station.keys)
        away = [link for link in plan.links if link.local in self.absent and link not in self._keyless]
        self._unsent = [*self._keyless, *away]
        here = replace(plan, locals=[ip for ip in plan.locals if ip not in self.absent])
        measured = replace(here, links=[link for link in plan.links if link not in self._unsent])
        launcher = Launcher()
        wanted = measured.path_interval_ns and measured.links
        self._path = probers.path(measured, launcher) if wanted else None
        self._engine = launcher.engine = self._make_engine(measured, station, under_test)
        try:
            self._responder = probers.responder(here) if plan.tcp_port else None
        except BaseException:
            self.stop()
            raise

    @property
    def alive(self) -> bool:
        """Whether the engine's loop runs; a bug may end it, and the agent then begins anew."""
        return self._engine.alive

    def start(self) -> None:
        """Begin to send, to answer, and to ask in rounds."""
        plan = self._plan
        if self._keyless:
            _log.warning("%s", sentence(self._keyless))
        if self.absent:
            away = sum(link.local in self.absent for link in plan.links)
            _log.warning("%s", presence.sentence(self.absent, away))
        self._engine.start()
        if self._responder is not None:
            self._closing.append(self._responder.stop)
            self._responder.start()
        intervals = {
            Probe.ICMP.value: (plan.icmp_interval_ns, plan.icmp_timeout_ns),
            Probe.TCP.value: (plan.tcp_interval_ns, plan.tcp_timeout_ns),
        }
        for probe, make in self._probers.echo.items():
            interval_ns, timeout_ns = intervals[probe]
            if interval_ns and plan.links:
                self._start_rounds(probe, make(plan), interval_ns, timeout_ns)
        if plan.tls_interval_ns and plan.links:
            self._start_tls(self._probers.tls(plan))
        if (path := self._path) is not None:
            self._watch(lambda: _of_paths(path.counts()))
            self._closing.append(path.stop)
            self._every(Probe.PATH.value, self._sweep, plan.path_interval_ns)
            self._jobs.append(_OBSERVE)
            self._schedule.every(_OBSERVE, self._observe, plan.window_ns / NS_PER_S)

    def interrupt(self) -> None:
        """End what would take long."""
        if self._path is not None:
            self._path.stop()

    def stop(self) -> None:
        """Start no more rounds; wait for the replies under way, report them, close everything."""
        for job in self._jobs:
            self._schedule.cancel(job)
        for close in reversed(self._closing):
            close()
        self._closing = []

    def _make_engine(
        self, measured: Plan, station: Station, under_test: Callable[[int, int], bool]
    ) -> Engine:
        made = Engine(
            measured,
            station.clock,
            station.clock_quality,
            self._deliver,
            under_test,
            station.bind_ports,
            keys=station.keys,
            caught=self._path.caught if self._path else None,
            host_unfit=station.host.unfit,
        )
        self._closing.append(made.stop)
        return made

    def _watch(self, count: Count) -> None:
        """Have it looked at until all is closed: what is put first is closed last."""
        self._reporter.discards.watch(count)
        self._closing.append(lambda: self._reporter.discards.forget(count))

    def _start_rounds(self, probe: str, prober: EchoProber, interval_ns: int, timeout_ns: int) -> None:
        self._watch(lambda: {"echo_discarded": prober.discarded})
        self._closing.append(prober.close)

        def one_round() -> None:
            self._reporter.echo(probe, lambda: prober.round(self._plan.links, timeout_ns))

        self._every(probe, one_round, interval_ns)

    def _start_tls(self, prober: TlsProber) -> None:
        self._watch(lambda: {"echo_discarded": prober.discarded})
        self._closing.append(prober.close)

        def one_round() -> None:
            timeout_ns = self._plan.tls_timeout_ns
            self._reporter.echo(Probe.TLS.value, lambda: prober.round(self._plan.links, timeout_ns))
            self._reporter.add(prober.certificates())

        self._every(Probe.TLS.value, one_round, self._plan.tls_interval_ns)

    def _sweep(self) -> None:
        assert self._path is not None
        self._reporter.add(self._path.round())

    def _observe(self) -> None:
        """Show the path prober the windows since the last time, not in the engine's loop."""
        assert self._path is not None
        while self._windows:
            self._reporter.add(self._path.observe(self._windows.popleft()))

    def _every(self, probe: str, job: Callable[[], None], interval_ns: int) -> None:
        self._jobs.append(probe)
        interval_s = interval_ns / NS_PER_S
        self._schedule.every(probe, job, interval_s, probe, interval_s * _JITTER)

    def _deliver(self, frames: Mapping[str, Frame], fitness: Fitness) -> None:
        """The engine's rows, and those of the links that it was not given."""
        windows = frames.get(WINDOW.name)
        if windows is not None:
            self._windows.append(windows.take(windows.count("revision") == 0))
        if self._unsent:
            unsent = keyless_frame(
                self._plan, self._unsent, fitness.start_ns, fitness.length_ns, fitness.unfit
            )
            frames = {**frames, WINDOW.name: concat(WINDOW, [windows, unsent] if windows else [unsent])}
        self._reporter.deliver(frames, fitness)


def _of_paths(counts: Counts) -> Mapping[str, int]:
    """By columns of the table health."""
    return {
        "path_discarded": counts.malformed + counts.foreign,
        "path_postponed": counts.postponed + counts.unconfirmed + counts.mtu_untold + counts.shifts_untold,
    }
