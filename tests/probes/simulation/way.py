"""One direction of a network in memory: loses, copies, delays and reorders, by a seed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Way:
    """loss, duplicate, reorder, late: chance of each, 0..1; a copy is lost and delayed for itself.

    Delay is base_ns plus a gamma-distributed part of mean jitter_ns (0: in order), plus up to overtaken_ns
    for a packet that is reordered, plus late_ns (from, to) for one that is late.
    """

    loss: float = 0
    duplicate: float = 0
    reorder: float = 0
    late: float = 0
    base_ns: int = 10_000_000
    jitter_ns: int = 0
    overtaken_ns: int = 60_000_000
    late_ns: tuple[int, int] = (500_000_000, 2_000_000_000)

    def carry(self, item: Ints, at_ns: Ints, random: np.random.Generator) -> tuple[Ints, Ints]:
        """What arrives of items (n,) that enter at at_ns (n,): item and time of each arrival, by time."""
        times = 1 + random.geometric(0.5, len(item)) * (random.random(len(item)) < self.duplicate)
        row = np.repeat(np.arange(len(item)), times)
        row = row[random.random(len(row)) >= self.loss]
        arrival_ns = at_ns[row] + self._delays_ns(len(row), random)
        order = np.argsort(arrival_ns, kind="stable")
        return item[row[order]], arrival_ns[order]

    def _delays_ns(self, count: int, random: np.random.Generator) -> Ints:
        delay_ns = np.full(count, self.base_ns, np.float64)
        if self.jitter_ns:
            delay_ns += random.gamma(1.5, self.jitter_ns / 1.5, count)
        overtaken = random.random(count) < self.reorder
        delay_ns += np.where(overtaken, random.uniform(0, self.overtaken_ns, count), 0)
        late = random.random(count) < self.late
        delay_ns += np.where(late, random.uniform(*self.late_ns, count), 0)
        return delay_ns.astype(np.int64)


@dataclass(frozen=True, slots=True)
class HostClock:
    """A wall clock that is `offset_ns` ahead of true time, gains drift_ppb, and is set by steps (at, by)."""

    offset_ns: int = 0
    drift_ppb: int = 0
    steps: tuple[tuple[int, int], ...] = ()

    def read(self, true_ns: Ints) -> Ints:
        """What it shows at these times (n,), Unix ns; true time begins at 0."""
        shown: Ints = EPOCH_NS + self.offset_ns + true_ns + true_ns * self.drift_ppb // 1_000_000_000
        for at_ns, by_ns in self.steps:
            shown = shown + np.where(true_ns >= at_ns, by_ns, 0)
        return shown


EPOCH_NS = 1_790_000_000 * 1_000_000_000
"""Unix time at which true time begins."""
