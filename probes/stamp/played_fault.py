"""A fault that a reflector plays on what one peer sends, before it answers. Pure: chance and time are given.

It is as if the network on the way from the peer did it, so the peer's own numbers and stamps tell it as they
tell a true one. Datagrams of others pass as they are.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from linkgauge.magnitude import Magnitude
from probes.sockets.arrival import Received
from probes.sockets.raw_name import HOST

HELD_MOST = 4_096
"""Datagrams that wait at a time; one more is lost, and counted."""
REORDER_NS = 150_000_000
"""By how much those that are reordered come later: more than between two packets of a link at 10 a second."""
_DUPLICATE_NS = 100_000
_CE = 3
_PORT = slice(2, 4)


_SHARE = ("ratio", 0.0, 1.0)
_TIME = ("us", 0.0, 5_000_000.0)
PLAYABLE = {
    "loss": Magnitude(0.05, *_SHARE),
    "blackhole": Magnitude(1.0, "ratio", 1.0, 1.0),
    "flow-blackhole": Magnitude(1.0, "ratio", 1.0, 1.0),
    "duplicate": Magnitude(0.1, *_SHARE),
    "remark": Magnitude(10.0, "dscp", 0.0, 63.0),
    "mark-ce": Magnitude(0.2, *_SHARE),
    "delay": Magnitude(60_000.0, *_TIME),
    "jitter": Magnitude(60_000.0, *_TIME),
    "reorder": Magnitude(0.1, *_SHARE),
}
"""Faults that can be played."""


class PlayedFault:
    """`fault` of PLAYABLE on what comes from the raw address `peer` (24 octets of a raw name).

    chance(n): n numbers, uniform from 0 below 1. flow-blackhole takes the first source port that comes.
    """

    def __init__(
        self, fault: str, magnitude: float, peer: bytes, chance: Callable[[int], NDArray[np.float64]]
    ) -> None:
        self._fault, self._magnitude, self._chance = fault, magnitude, chance
        self._peer = np.frombuffer(peer, np.uint8)
        self._port: NDArray[np.uint8] | None = None
        self._held: list[tuple[int, int, int, Received]] = []
        self._number, self._last_due_ns = 0, 0
        self.touched, self.no_room = 0, 0

    @property
    def due_ns(self) -> int | None:
        """Monotonic time at which the next datagram that waits goes on; None: none waits."""
        return self._held[0][0] if self._held else None

    def passes(self, got: Received, door: int, mono_ns: int) -> Received:
        """What reaches the reflector now, of what came through a door: a copy."""
        ours = (got.name[:, HOST] == self._peer).all(axis=1)
        match self._fault:
            case "loss" | "blackhole":
                gone = ours & (self._chance(len(ours)) < self._magnitude)
            case "flow-blackhole":
                gone = ours & self._of_the_flow(got, ours)
            case "duplicate":
                return self._duplicated(got, ours, door, mono_ns)
            case "remark" | "mark-ce":
                return self._marked(got, ours)
            case _:
                gone = self._held_back(got, ours, door, mono_ns)
        self.touched += int(gone.sum())
        return got.take(~gone)

    def due(self, mono_ns: int) -> tuple[int, Received] | None:
        """(door, a datagram) that has waited long enough; None when there is none."""
        if not self._held or self._held[0][0] > mono_ns:
            return None
        _, _, door, one = heapq.heappop(self._held)
        return door, one

    def _of_the_flow(self, got: Received, ours: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if self._port is None:
            if not ours.any():
                return ours
            self._port = np.array(got.name[int(ours.argmax()), _PORT])
        same: NDArray[np.bool_] = (got.name[:, _PORT] == self._port).all(axis=1)
        return same

    def _marked(self, got: Received, ours: NDArray[np.bool_]) -> Received:
        tos = got.tos.copy()
        if self._fault == "remark":
            tos[ours] = tos[ours] & _CE | np.uint8(int(self._magnitude) << 2)
            hit = ours
        else:
            hit = ours & (tos & _CE != 0) & (self._chance(len(ours)) < self._magnitude)
            tos[hit] |= _CE
        self.touched += int(hit.sum())
        return replace(got.take(np.ones(len(ours), np.bool_)), tos=tos)

    def _duplicated(self, got: Received, ours: NDArray[np.bool_], door: int, mono_ns: int) -> Received:
        twice = ours & (self._chance(len(ours)) < self._magnitude)
        for row in np.flatnonzero(twice):
            self._hold(got, int(row), door, mono_ns, _DUPLICATE_NS)
        self.touched += int(twice.sum())
        return got.take(np.ones(len(ours), np.bool_))

    def _held_back(
        self, got: Received, ours: NDArray[np.bool_], door: int, mono_ns: int
    ) -> NDArray[np.bool_]:
        """Hold those that come later; which they are."""
        chance, size_ns = self._chance(len(ours)), int(self._magnitude * 1e3)
        if self._fault == "reorder":
            later = ours & (chance < self._magnitude)
            extra_ns = np.full(len(ours), REORDER_NS)
        else:
            later = ours
            extra_ns = (
                np.full(len(ours), size_ns) if self._fault == "delay" else (chance * size_ns).astype(int)
            )
        for row in np.flatnonzero(later):
            self._hold(got, int(row), door, mono_ns, int(extra_ns[row]))
        return later

    def _hold(self, got: Received, row: int, door: int, mono_ns: int, extra_ns: int) -> None:
        if len(self._held) >= HELD_MOST:
            self.no_room += 1
            return
        due_ns = mono_ns + extra_ns
        if self._fault in ("delay", "jitter"):  # these keep the order
            due_ns = self._last_due_ns = max(due_ns, self._last_due_ns)
        one = got.take(np.array([row]))
        one.stamp_ns[:] += np.where(one.stamp_ns > 0, due_ns - mono_ns, 0)
        self._number += 1
        heapq.heappush(self._held, (due_ns, self._number, door, one))
