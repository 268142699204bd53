"""Both clocks read as one: a process that is put aside between the two readings sees no clock step."""

from __future__ import annotations

import time
from collections.abc import Callable

from linkgauge.clock import Instant

CLOSE_NS = 50_000
"""Readings of the monotonic clock around the wall clock's lie this close together, unless disturbed."""
TRIES = 8


class PairedClock:
    """CLOCK_MONOTONIC and CLOCK_REALTIME of this host, of the same moment within CLOSE_NS / 2.

    A reading that was disturbed is repeated, at most TRIES times; then the least disturbed counts.
    """

    def __init__(
        self, mono_ns: Callable[[], int] = time.monotonic_ns, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._mono_ns, self._wall_ns = mono_ns, wall_ns

    def now(self) -> Instant:
        best_ns, best = 1 << 62, Instant(0, 0)
        for _ in range(TRIES):
            before_ns, wall_ns, after_ns = self._mono_ns(), self._wall_ns(), self._mono_ns()
            apart_ns = after_ns - before_ns
            if apart_ns < best_ns:
                best_ns, best = apart_ns, Instant((before_ns + after_ns) // 2, wall_ns)
            if apart_ns <= CLOSE_NS:
                break
        return best
