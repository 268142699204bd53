"""Which agents lost batches since the collector began: told by the counts in their health rows."""

from __future__ import annotations

import threading

from linkgauge.own_tables import HEALTH
from linkgauge.wire import Batch


class AgentDrops:
    """An observer of journalled batches; thread safe. A count that fell belongs to a new outbox."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def observe(self, batch: Batch, _received_ns: int) -> None:
        """Take note of the health rows of a batch."""
        frame = batch.frames.get(HEALTH.name)
        if frame is None:
            return
        lost = frame.count("outbox_dropped") + frame.count("outbox_rejected")
        with self._lock:
            for agent, count in zip(frame.text("agent").tolist(), lost.tolist(), strict=True):
                self._first[agent] = min(self._first.get(agent, count), count)
                self._last[agent] = count

    def since_start(self) -> dict[str, int]:
        """Batches that each agent dropped, or a collector refused for good; only those that lost any."""
        with self._lock:
            return {
                agent: count - self._first[agent]
                for agent, count in self._last.items()
                if count > self._first[agent]
            }
