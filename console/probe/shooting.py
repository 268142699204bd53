"""Carries a shot out: by the engine, and rounds of the other probes beside it.

It ends when the engine has sent its windows, or when `stop` is set.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from msgspec.structs import replace

from console.probe.result import Echo, Result, echo, flows, packets, ways
from console.probe.shot import Shot
from linkgauge.clock import NS_PER_S, Clock, read_clock_quality, seconds, window_start
from linkgauge.frame import Frame, concat
from linkgauge.schema import FLOW, PATH, WINDOW
from linkgauge.table import Table
from probes.connect.tcp import TcpProber
from probes.echo import EchoRound, Fate, window_frame
from probes.engine.engine import WARM_UP_NS, Engine
from probes.engine.noted import Fitness
from probes.fitness import HostFitness, SystemHost
from probes.icmp.probe import IcmpProber
from probes.launcher import Launcher
from probes.path.probe import PathProber
from probes.stamp.tlv import layout

ECHO_ROUNDS = 20
_ECHO_EVERY_S = 0.1
_FOREVER_NS = 1 << 62
Told = Callable[[float], None]
"""Gets how much of the run is over, 0..1."""


class Shooting:
    """One run. Raises ConfigError when a socket cannot be opened. key: HMAC key of the peer."""

    def __init__(self, shot: Shot, clock: Clock, key: bytes | None) -> None:
        self._shot, self._clock = shot, clock
        self._frames: list[Mapping[str, Frame]] = []
        plan, launcher = shot.plan(), Launcher()
        one_size = replace(plan, links=plan.links[:1])
        self._path = PathProber(one_size, launcher, clock) if shot.path else None
        self._engine = launcher.engine = Engine(
            plan,
            clock,
            read_clock_quality,
            self._deliver,
            lambda start_ns, end_ns: False,
            keys={shot.peer: key} if key else {},
            caught=self._path.caught if self._path else None,
            host_unfit=HostFitness(SystemHost(), clock).unfit,
            flow_ns=shot.window_ns,
        )
        self._begin_ns = window_start(clock.now().wall_ns + WARM_UP_NS, shot.window_ns) + shot.window_ns
        self._end_ns = self._begin_ns + shot.windows * shot.window_ns

    def run(self, told: Told, stop: threading.Event) -> Result:
        """Send everything, wait for the replies, and sum up."""
        self._engine.start()
        with ThreadPoolExecutor(3) as pool:
            swept = pool.submit(self._sweep)
            asked = [pool.submit(self._ask, *one, stop) for one in self._others()]
            while (left_ns := self._end_ns - self._clock.now().wall_ns) > 0 and not stop.is_set():
                told(1 - left_ns / (self._end_ns - self._begin_ns + WARM_UP_NS))
                stop.wait(min(0.1, left_ns / NS_PER_S))
            if stop.is_set() and self._path is not None:
                self._path.stop()
            late = not (swept.done() and all(one.done() for one in asked))
            found = swept.result()  # a sweep needs the engine
            echoes = [one.result() for one in asked]
            self._engine.stop()
        told(1.0)
        return self._result(found, echoes, self._end_ns if late else _FOREVER_NS)

    def _deliver(self, frames: Mapping[str, Frame], fitness: Fitness) -> None:
        self._frames.append(frames)

    def _result(self, found: Frame, echoes: list[Echo], end_ns: int) -> Result:
        """end_ns: what was sent later, while a sweep went on, is left out."""
        sizes = {link: sent_size(self._shot, size) for link, size in self._shot.links.items()}
        return Result(
            packets(sizes, self._rows(WINDOW, end_ns)),
            flows(sizes, self._rows(FLOW, end_ns)) if self._shot.flows > 1 else [],
            echoes,
            ways(found),
        )

    def _rows(self, table: Table, end_ns: int) -> Frame:
        rows = concat(table, [frames[table.name] for frames in self._frames if table.name in frames])
        return rows.take(rows.count("start_ns") < end_ns)

    def _sweep(self) -> Frame:
        if self._path is None:
            return concat(PATH, [])
        time.sleep(WARM_UP_NS / NS_PER_S)
        return self._path.round()

    def _others(self) -> list[tuple[str, IcmpProber | TcpProber]]:
        shot, chosen = self._shot, list[tuple[str, IcmpProber | TcpProber]]()
        if shot.icmp:
            chosen.append(("icmp", IcmpProber([shot.local], self._clock)))
        if shot.tcp_port:
            chosen.append(("tcp", TcpProber(shot.tcp_port, self._clock)))
        return chosen

    def _ask(self, probe: str, prober: IcmpProber | TcpProber, stop: threading.Event) -> Echo:
        rounds: list[EchoRound] = []
        unavailable = getattr(prober, "unavailable", None) or ""
        try:
            while len(rounds) < ECHO_ROUNDS and not unavailable and not stop.is_set():
                rounds.append(prober.round([self._shot.target], seconds(self._shot.timeout_s)))
                if len(rounds) >= 3 and not any((one.fate == Fate.REPLIED).any() for one in rounds):
                    break  # each unanswered round takes the whole timeout
                stop.wait(_ECHO_EVERY_S)
        finally:
            prober.close()
        return echo(probe, window_frame(rounds, probe, 0, _FOREVER_NS, 0), unavailable)


def sent_size(shot: Shot, size_bytes: int) -> int:
    """Octets of UDP payload that a packet of this wanted size has, its TLVs included."""
    tlvs = shot.reflector != "twamp-light"
    return layout(size_bytes, tlvs=tlvs, authenticated=shot.authenticated).size
