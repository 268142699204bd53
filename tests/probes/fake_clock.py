"""A clock that moves when the test says so."""

from __future__ import annotations

from linkgauge.clock import Instant

T0_NS = 1_790_000_000 * 1_000_000_000


class FakeClock:
    def __init__(self, wall_ns: int = T0_NS) -> None:
        self._mono_ns, self._zero_ns = 5_000_000_000, wall_ns - 5_000_000_000

    def now(self) -> Instant:
        return Instant(self._mono_ns, self._zero_ns + self._mono_ns)

    def advance(self, ns: int) -> None:
        self._mono_ns += ns
