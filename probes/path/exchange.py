"""Sends the packets of sweeps at a bounded rate, in random order, and gathers what comes back.

The engine does the sending, from the source ports of the flows; this only says when. Packets go out in
flights of at most `FLIGHT` packets of one flow, flights of all links mixed, so that a router sees the packets
of a round as far apart as the rate allows.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S, Clock
from probes.engine.flight import Caught, Flight
from probes.path.hops import Packets

FLIGHT = 4
NAP_NS = 200_000_000
"""Flights that are due within this time go out together."""
MOST_WAITING = 200
"""Batches that may lie in the inbox while packets are sent."""
LOOK_NS = 200_000_000
"""How often `stop` is looked for while nothing comes."""
LAG_NS = NS_PER_S
"""How long what came may lie in the engine before it is handed over."""


class Launcher(Protocol):
    """What sends: the engine."""

    def sweep(self, flight: Flight) -> None: ...


@dataclass(frozen=True, slots=True)
class Target:
    """Where the packets of one sweep go: from `local`, source port of flow number `flow`, to `peer`."""

    local: str
    peer: str
    dscp: int
    flow: int


class Exchange:
    """put is called from the engine's thread, all else from one other. stop ends a running `carry` soon."""

    def __init__(self, launcher: Launcher, clock: Clock, seed: int | None = None) -> None:
        self._launcher, self._clock = launcher, clock
        self._inbox: queue.SimpleQueue[Caught] = queue.SimpleQueue()
        self._random = np.random.default_rng(seed)
        self._stop = threading.Event()

    @property
    def stopped(self) -> bool:
        """`stop` was called."""
        return self._stop.is_set()

    def put(self, caught: Caught) -> None:
        """What came; never blocks."""
        self._inbox.put(caught)

    def stop(self) -> None:
        """Wait for nothing any more."""
        self._stop.set()

    def carry(
        self,
        packets: Packets,
        rows: NDArray[np.intp],
        targets: Sequence[Target],
        rate_pps: float,
        wait_ns: int,
    ) -> None:
        """Send packets, then gather until each has its answer, at most wait_ns after the last was sent.

        targets: of the sweeps that the packets belong to. rate_pps: packets in a second.
        """
        start_ns, sent = self._clock.now().mono_ns, 0
        for some in self._flights(packets, rows):
            ahead_ns = start_ns + int(sent * NS_PER_S / rate_pps) - self._clock.now().mono_ns
            if ahead_ns > NAP_NS:
                self._stop.wait(ahead_ns / NS_PER_S)
            if self.stopped:
                return
            target = targets[packets.sweep[some[0]]]
            seq, hop, size = packets.seq(some), packets.hop[some], packets.size[some]
            flight = Flight(
                target.local, target.flow, target.peer, target.dscp, seq, hop.astype(np.uint8), size
            )
            self._launcher.sweep(flight)
            sent += len(some)
            if self._inbox.qsize() > MOST_WAITING:
                packets.take(self._waiting())
        self._gather(packets, self._clock.now().mono_ns + wait_ns + LAG_NS)

    def _gather(self, packets: Packets, until_ns: int) -> None:
        """Take what came and comes until every packet has its answer, or until a monotonic time."""
        packets.take(self._waiting())
        while not (self.stopped or packets.complete()):
            left_ns = until_ns - self._clock.now().mono_ns
            if left_ns <= 0:
                return
            try:
                first = self._inbox.get(timeout=min(left_ns, LOOK_NS) / NS_PER_S)
            except queue.Empty:
                continue
            packets.take([first, *self._waiting()])

    def _waiting(self) -> list[Caught]:
        return [self._inbox.get_nowait() for _ in range(self._inbox.qsize())]

    def _flights(self, packets: Packets, rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        """The rows in random order, by flights of at most FLIGHT rows of one sweep."""
        rows = self._random.permutation(rows)
        rows = rows[np.argsort(packets.sweep[rows], kind="stable")]
        begins = np.flatnonzero(np.diff(packets.sweep[rows], prepend=-1))
        flights = [
            part[at : at + FLIGHT]
            for part in np.split(rows, begins[1:])
            for at in range(0, len(part), FLIGHT)
            if len(part)
        ]
        self._random.shuffle(flights)
        return flights
