"""Rows of roll-ups on their way into the journal, as batches of the collector's own.

Each life of the collector has a boot word of its own for them, and a number is used once, so no batch is
taken for a copy of another.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from collector.cut import cut
from collector.health.own_report import AGENT
from linkgauge.clock import Clock
from linkgauge.frame import Frame
from linkgauge.wire import Batch


class Journalling:
    """keep: journals one batch, or raises Refusal (Intake.keep_own)."""

    def __init__(self, keep: Callable[[Batch], None], clock: Clock) -> None:
        self._keep, self._clock = keep, clock
        self._boot, self._number = secrets.token_hex(8), 0

    def put(self, frame: Frame) -> None:
        """Journal all rows, in as many batches as they need; raises Refusal, and some may be in then."""
        for part in cut(frame):
            self._number += 1
            now_ns = self._clock.now().wall_ns
            self._keep(Batch(AGENT, self._boot, self._number, now_ns, {frame.table.name: part}))
