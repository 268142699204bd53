"""Whether agents catch up just now: batches that had long waited in an outbox have come lately."""

from __future__ import annotations

from linkgauge.clock import NS_PER_S, Clock
from linkgauge.wire import Batch

OLD_NS = 60 * NS_PER_S
"""A batch that was made so long before it came is backlog."""
LATELY_NS = 5 * NS_PER_S


class CatchingUp:
    """See above; shown every batch that is journalled. Thread safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_ns: int | None = None

    def observe(self, batch: Batch, received_ns: int) -> None:
        if received_ns - batch.created_ns > OLD_NS:
            self._last_ns = self._clock.now().mono_ns

    def __call__(self) -> bool:
        last_ns = self._last_ns
        return last_ns is not None and self._clock.now().mono_ns - last_ns < LATELY_NS
