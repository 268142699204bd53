"""Carries a shot out: one engine for each packet size, rounds of the other probes beside them.

All sizes are sent at the same time, so that they meet the same network. The engines stop when each has sent
its windows, or when `stop` is set.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from console.probe.result import Echo, Result, echo, flows, packets, ways
from console.probe.shot import Shot
from linkgauge.clock import NS_PER_S, Clock, read_clock_quality, seconds, window_start
from linkgauge.frame import Frame, concat
from linkgauge.schema import FLOW, PATH, WINDOW
from probes.echo import EchoRound, window_frame
from probes.engine import Engine, Fitness
from probes.fitness import HostFitness, SystemHost
from probes.icmp.probe import IcmpProber
from probes.launcher import Launcher
from probes.path.probe import PathProber
from probes.stamp.tlv import layout
from probes.tcp import TcpProber

WARM_UP_NS = NS_PER_S // 2
"""The engine sends nothing for less than this after its start."""
ECHO_ROUNDS = 20
_ECHO_EVERY_S = 0.1
_FOREVER_NS = 1 << 62
Told = Callable[[float], None]
"""Gets how much of the run is over, 0..1."""


@dataclass
class _Gathered:
    """What one engine delivered; appended to in its thread."""

    size_bytes: int
    frames: list[Mapping[str, Frame]] = field(default_factory=list)

    def deliver(self, frames: Mapping[str, Frame], fitness: Fitness) -> None:
        self.frames.append(frames)

    def table(self, name: str) -> list[Frame]:
        return [frames[name] for frames in self.frames if name in frames]


class Shooting:
    """One run. Raises ConfigError when a socket cannot be opened. key: HMAC key of the peer."""

    def __init__(self, shot: Shot, clock: Clock, key: bytes | None) -> None:
        self._shot, self._clock = shot, clock
        host = HostFitness(SystemHost(), clock)
        launcher = Launcher()
        self._path = PathProber(shot.plan(shot.sizes[0]), launcher, clock) if shot.path else None
        self._gathered = [_Gathered(size) for size in shot.sizes]
        self._engines: list[Engine] = []
        try:
            for at, gathered in enumerate(self._gathered):
                self._engines.append(
                    Engine(
                        shot.plan(gathered.size_bytes),
                        clock,
                        read_clock_quality,
                        gathered.deliver,
                        lambda start_ns, end_ns: False,
                        keys={shot.peer: key} if key else {},
                        caught=self._path.caught if self._path and at == 0 else None,
                        host_unfit=host.unfit,
                    )
                )
        except BaseException:
            self._stop_engines()
            raise
        launcher.engine = self._engines[0]

    def run(self, told: Told, stop: threading.Event) -> Result:
        """Send everything, wait for the replies, and sum up."""
        begun_ns = self._clock.now().wall_ns
        end_ns = self._first_window_ns(begun_ns) + self._shot.windows * self._shot.window_ns
        for engine in self._engines:
            engine.start()
        with ThreadPoolExecutor(3) as pool:
            swept = pool.submit(self._sweep)
            asked = [pool.submit(self._ask, *one, stop) for one in self._others()]
            while (now_ns := self._clock.now().wall_ns) < end_ns and not stop.is_set():
                told((now_ns - begun_ns) / (end_ns - begun_ns))
                stop.wait(min(0.1, (end_ns - now_ns) / NS_PER_S))
            if stop.is_set() and self._path is not None:
                self._path.stop()
            found = swept.result()
            echoes = [one.result() for one in asked]
            self._stop_engines()
        told(1.0)
        return self._result(found, echoes)

    def _first_window_ns(self, now_ns: int) -> int:
        window_ns = self._shot.window_ns
        return window_start(now_ns + WARM_UP_NS, window_ns) + window_ns

    def _stop_engines(self) -> None:
        """All at once, because each waits for its last replies."""
        threads = [threading.Thread(target=engine.stop) for engine in self._engines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _result(self, found: Frame, echoes: list[Echo]) -> Result:
        made = Result([], [], echoes, ways(found))
        for gathered in self._gathered:
            size = sent_size(self._shot, gathered.size_bytes)
            windows = concat(WINDOW, gathered.table(WINDOW.name))
            first_ns = int(windows.count("start_ns").min(initial=_FOREVER_NS))
            inside = windows.count("start_ns") < first_ns + self._shot.windows * self._shot.window_ns
            made.packets.extend(packets(size, [windows.take(inside)]))
            if self._shot.flows > 1:
                made.flows.extend(flows(size, gathered.table(FLOW.name)))
        return made

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
                rounds.append(prober.round([self._shot.link], seconds(self._shot.timeout_s)))
                if len(rounds) >= 3 and not (rounds[-1].fate == 0).any():
                    break  # each unanswered round takes the whole timeout
                stop.wait(_ECHO_EVERY_S)
        finally:
            prober.close()
        return echo(probe, window_frame(rounds, probe, 0, _FOREVER_NS, 0), unavailable)


def sent_size(shot: Shot, size_bytes: int) -> int:
    """Octets of UDP payload that a packet of this wanted size has, its TLVs included."""
    tlvs = shot.reflector != "twamp-light"
    return layout(size_bytes, tlvs=tlvs, authenticated=shot.authenticated).size
