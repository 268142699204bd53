"""When each session sends: a wheel of slots on the monotonic clock, or Poisson gaps. Pure.

A session sends every `interval_ns`. Time is cut into ticks; all sessions of one slot send at the same tick,
in one batch, and the wheel comes round once an interval. Each link has a random phase, its flows share the
interval evenly, so the packets of a link are evenly spaced. Where the interval is shorter than the shortest
tick, each tick sends a train of `train` packets of every session. Random phases are whole ticks: many packets
in one batch are what makes probing cheap (RFC 3432 section 4 asks for a random start).

With Poisson spacing (RFC 2330 section 11.1) the gaps are exponential with mean `interval_ns`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PACKETS_PER_TICK = 100
"""As many packets as are aimed at in one batch."""
SHORTEST_TICK_NS, LONGEST_TICK_NS = 2_000_000, 50_000_000
LONGEST_TRAIN = 256
_GATHER_NS = 5_000_000

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Wheel:
    """`slots` slots in `cycle_ns`; in slot s sessions begin[s]..begin[s + 1] of `order` send `train` packets.

    order (n,) int64: sessions in the order in which they are sent; begin (slots + 1,).
    """

    cycle_ns: int
    slots: int
    train: int
    order: Ints
    begin: Ints

    def due_ns(self, tick: int, start_ns: int) -> int:
        """Monotonic time of the tick of that number, from 0."""
        return start_ns + tick * self.cycle_ns // self.slots

    def next_used(self, tick: int) -> int:
        """The first tick from this one on whose slot has sessions; `tick` itself when there are none."""
        for later in range(tick, tick + self.slots):
            slot = later % self.slots
            if self.begin[slot + 1] > self.begin[slot]:
                return later
        return tick

    @property
    def tick_ns(self) -> int:
        """Length of a tick."""
        return self.cycle_ns // self.slots


def wheel(
    link: Sequence[int],
    flow: Sequence[int],
    flows: int,
    port: Sequence[int],
    interval_ns: int,
    below: Callable[[int], int],
    longest_train: int = LONGEST_TRAIN,
) -> Wheel:
    """Lay out sessions: session i is flow[i] of link[i] (a link and class) and leaves through port[i]; each
    sends every interval_ns. Within a slot sessions are ordered by port. below(n): a random number of 0..n-1.
    longest_train: most packets that a session sends at once.
    """
    links = max(link, default=-1) + 1
    packets_per_s = len(link) * 1e9 / interval_ns if len(link) else 1.0
    tick_ns = min(max(PACKETS_PER_TICK * 1e9 / packets_per_s, SHORTEST_TICK_NS), LONGEST_TICK_NS)
    # a tick is no longer than it must be: of a train only the first packet has its dwell told exactly
    tick_ns = min(tick_ns, max(interval_ns, SHORTEST_TICK_NS))
    slots = max(1, round(interval_ns / tick_ns))
    train = 1
    if interval_ns < tick_ns:
        wanted = min(tick_ns / interval_ns, longest_train / max(1, len(link)))
        train = 1 << max(0, round(np.log2(max(1.0, wanted))))
    phase = np.array([below(slots) for _ in range(links)], np.int64)
    slot = (phase[np.asarray(link, np.int64)] + np.asarray(flow, np.int64) * slots // flows) % slots
    order = np.lexsort((np.asarray(port, np.int64), slot))
    begin = np.searchsorted(slot[order], np.arange(slots + 1))
    return Wheel(interval_ns * train, slots, train, order, begin.astype(np.int64))


class PoissonTimes:
    """Due times of n sessions with exponential gaps; uniform(n) gives n numbers of [0, 1)."""

    def __init__(
        self, count: int, interval_ns: int, start_ns: int, uniform: Callable[[int], NDArray[np.float64]]
    ) -> None:
        self._interval_ns, self._uniform = interval_ns, uniform
        self.due_ns = start_ns + self._gaps(count)

    def next_ns(self) -> int:
        """When the next packet is due."""
        return int(self.due_ns.min())

    def wake_ns(self) -> int:
        """When it is worth while to wake: a twentieth of the mean gap, at most 5 ms, after the first is due,
        so that several leave at once."""
        return self.next_ns() + min(_GATHER_NS, self._interval_ns // 20)

    def due(self, mono_ns: int, latest_ns: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Sessions that send now, and those that were due more than `latest_ns` ago, as often as they were:
        these packets are missed and not made up for. A session sends once at a time."""
        missed: list[NDArray[np.intp]] = [np.empty(0, np.intp)]
        while len(late := np.flatnonzero(self.due_ns < mono_ns - latest_ns)):
            self.due_ns[late] += self._gaps(len(late))
            missed.append(late)
        rows = np.flatnonzero(self.due_ns <= mono_ns)
        self.due_ns[rows] += self._gaps(len(rows))
        return rows, np.concatenate(missed)

    def _gaps(self, count: int) -> Ints:
        return (-np.log1p(-self._uniform(count)) * self._interval_ns).astype(np.int64) + 1
