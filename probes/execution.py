"""One plan being carried out: the STAMP engine, and the rounds of the other probes.

Rounds run on the agent's schedule, the engine has a loop of its own. A plan that follows takes over at a
window's start (see the engine). Probers go on with the links of the new plan; only one whose own settings
have changed is made anew. A plan with other windows or another kind of authentication cannot follow: it takes
a new execution, whose first window begins after the last of this one was cut short.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from linkgauge.clock import Clock, ClockQuality
from linkgauge.frame import Frame, concat
from linkgauge.model import Probe
from linkgauge.plan import Plan
from linkgauge.schema import WINDOW
from probes import presence
from probes.engine.engine import Engine
from probes.engine.flight import Caught
from probes.engine.keyless import keyless_frame, sentence
from probes.engine.noted import Fitness
from probes.engine.playing import Playing
from probes.engine.reach import Reach
from probes.fitness import HostFitness
from probes.launcher import Launcher
from probes.reporter import Reporter
from probes.rounds import EchoProber, PathProber, Rounds, TlsProber
from probes.schedule import Schedule

_UNSEEN = 64
"""Windows that may wait for the path prober."""
_REMEMBERED = 8
"""Plans that were in force, whose last windows may still be told."""
_log = logging.getLogger(__name__)


class Responder(Protocol):
    """Answers the TCP probes of peers."""

    def admit(self, peers: Collection[str]) -> None:
        """Other peers from now on."""

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
    playing: the drill that a file may order.
    """

    clock: Clock
    clock_quality: Callable[[], ClockQuality]
    host: HostFitness
    bind_ports: Mapping[str, int]
    keys: Mapping[str, bytes] = field(repr=False)
    playing: Playing | None = None


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
        self._probers, self._station, self._reporter = probers, station, reporter
        self._rounds = Rounds(schedule, reporter)
        self._reach = Reach.of(plan, station.keys)
        self._reaches = [(0, self._reach)]
        self._windows: deque[Frame] = deque(maxlen=_UNSEEN)
        self._path: PathProber | None = None
        self._responder: Responder | None = None
        self._asked: dict[str, tuple[object, ...]] = {}
        self._doors: tuple[object, ...] | None = None
        self._launcher = Launcher()
        self._engine = self._launcher.engine = Engine(
            self._reach.measured,
            station.clock,
            station.clock_quality,
            self._deliver,
            under_test,
            station.bind_ports,
            keys=station.keys,
            caught=self._caught,
            host_unfit=station.host.unfit,
            playing=station.playing,
        )
        try:
            self._listen(self._reach)
        except BaseException:
            self.stop()
            raise

    @property
    def alive(self) -> bool:
        """Whether the engine's loop runs; a bug may end it, and the agent then begins anew."""
        return self._engine.alive

    @property
    def absent(self) -> tuple[str, ...]:
        """Addresses of the plan that this host did not have; the links from the others are measured."""
        return self._reach.absent

    def start(self) -> None:
        """Begin to send, to answer, and to ask in rounds."""
        _say(self._reach)
        self._engine.start()
        if self._responder is not None:
            self._responder.start()
        self._ask(self._reach)

    def can_follow(self, plan: Plan) -> bool:
        """Whether a plan can take over without a new execution."""
        return _kind(plan) == _kind(self._reach.plan)

    def expect(self, plan: Plan) -> None:
        """Answer the peers of a plan that is to take over later. Raises as `follow`."""
        self._engine.expect(Reach.of(plan, self._station.keys).here)
        if self._responder is not None:
            self._responder.admit({*self._reach.plan.peers, *plan.peers})

    def follow(self, plan: Plan) -> int:
        """Have a plan take over; returns from which window on, Unix ns.

        Raises LinkgaugeError or OSError when something cannot be opened; the former plan goes on then.
        """
        former, reach = self._reach, Reach.of(plan, self._station.keys)
        from_ns = self._engine.follow(reach.measured)
        now_ns = self._station.clock.now().wall_ns
        in_force = [(since_ns, old) for since_ns, old in self._reaches if since_ns <= now_ns]
        self._reach, self._reaches = reach, [*in_force[-_REMEMBERED:], (from_ns, reach)]
        if (former.unsent, former.absent) != (reach.unsent, reach.absent):
            _say(reach)
        if self._listen(reach) and self._responder is not None:
            self._responder.start()
        if self._responder is not None:
            self._responder.admit({*former.plan.peers, *reach.plan.peers})
        self._ask(reach)
        return from_ns

    def interrupt(self) -> None:
        """End what would take long."""
        if self._path is not None:
            self._path.stop()

    def stop(self) -> None:
        """Start no more rounds; wait for the replies under way, report them, close everything."""
        self._rounds.stop()
        if self._responder is not None:
            self._responder.stop()
        self._engine.stop()

    def _listen(self, reach: Reach) -> bool:
        """Have TCP probes answered where the plan says; says whether there is something new to be started."""
        doors = (reach.plan.tcp_port, tuple(reach.here.locals) if reach.plan.tcp_port else ())
        if doors == self._doors:
            return False
        former, self._responder, self._doors = self._responder, None, None
        if former is not None:
            former.stop()
        if reach.plan.tcp_port:
            self._responder = self._probers.responder(reach.here)
        self._doors = doors
        return True

    def _ask(self, reach: Reach) -> None:
        """Rounds of the other probes: those whose settings have changed begin anew."""
        for probe, settings in _settings(reach).items():
            if self._asked.get(probe) == settings:
                continue
            self._rounds.end(probe)
            self._asked.pop(probe, None)
            if probe == Probe.PATH.value:
                self._path = None
            if settings[0]:
                self._begin(probe, reach)
            self._asked[probe] = settings
        if self._path is not None:
            self._path.follow(reach.measured)

    def _begin(self, probe: str, reach: Reach) -> None:
        plan = reach.plan
        if probe in self._probers.echo:
            interval_ns = {Probe.ICMP.value: plan.icmp_interval_ns, Probe.TCP.value: plan.tcp_interval_ns}[
                probe
            ]
            self._rounds.echo(probe, self._probers.echo[probe](plan), interval_ns, self._targets)
        elif probe == Probe.TLS.value:
            self._rounds.tls(self._probers.tls(plan), plan.tls_interval_ns, self._targets)
        elif probe == Probe.PATH.value:
            self._path = path = self._probers.path(reach.measured, self._launcher)
            self._rounds.path(path, plan.path_interval_ns, lambda: self._observe(path), plan.window_ns)

    def _targets(self) -> Plan:
        return self._reach.plan

    def _caught(self, caught: Caught) -> None:
        if self._path is not None:
            self._path.caught(caught)

    def _observe(self, path: PathProber) -> None:
        """Show the path prober the windows since the last time, not in the engine's loop."""
        while self._windows:
            self._reporter.add(path.observe(self._windows.popleft()))

    def _deliver(self, frames: Mapping[str, Frame], fitness: Fitness) -> None:
        """The engine's rows, and those of the links that it was not given."""
        windows = frames.get(WINDOW.name)
        if windows is not None:
            self._windows.append(windows.take(windows.count("revision") == 0))
        reach = [reach for since_ns, reach in self._reaches if since_ns <= fitness.start_ns][-1:]
        unsent = reach[0].unsent if reach else ()
        if unsent:
            told = keyless_frame(reach[0].plan, unsent, fitness.start_ns, fitness.length_ns, fitness.unfit)
            frames = {**frames, WINDOW.name: concat(WINDOW, [windows, told] if windows else [told])}
        self._reporter.deliver(frames, fitness)


def _say(reach: Reach) -> None:
    if reach.keyless:
        _log.warning("%s", sentence(reach.keyless))
    if reach.absent:
        away = sum(link.local in reach.absent for link in reach.plan.links)
        _log.warning("%s", presence.sentence(reach.absent, away))


def _kind(plan: Plan) -> tuple[int, bool]:
    return plan.window_ns, plan.authenticated


def _settings(reach: Reach) -> dict[str, tuple[object, ...]]:
    """What each prober is made for, by probe; the first is false where there is nothing to probe."""
    plan, some = reach.plan, bool(reach.plan.links)
    swept = bool(plan.path_interval_ns and reach.measured.links)
    return {
        Probe.ICMP.value: (some and plan.icmp_interval_ns, plan.icmp_interval_ns, plan.locals),
        Probe.TCP.value: (some and plan.tcp_interval_ns, plan.tcp_interval_ns, plan.tcp_port),
        Probe.TLS.value: (some and plan.tls_interval_ns, plan.tls_interval_ns, plan.tls_port),
        Probe.PATH.value: (
            swept, plan.path_interval_ns, plan.path_flows, plan.path_max_hops, plan.classes, plan.flows,
            plan.stamp_timeout_ns, plan.stamp_port,
        ),
    }  # fmt: skip
