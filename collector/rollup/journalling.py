"""Rows of roll-ups on their way into the journal, as batches of the collector's own.

Each life of the collector has a boot word of its own for them, and a number is used once, so no batch is
taken for a copy of another.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import numpy as np

from collector.own_report import AGENT
from linkgauge.clock import Clock
from linkgauge.frame import Frame, Histograms
from linkgauge.wire import MAX_BODY_BYTES, Batch

MAX_ROWS = 50_000
MAX_OCTETS = MAX_BODY_BYTES // 2
"""Estimated size of a batch before it is packed; what cannot be estimated has room up to MAX_BODY_BYTES."""
_ENTRY_OCTETS, _NUMBER_OCTETS, _TEXT_OCTETS = 6, 8, 80


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


def cut(frame: Frame, max_rows: int = MAX_ROWS, max_octets: int = MAX_OCTETS) -> Iterator[Frame]:
    """The rows in order, in parts of at most so many rows and (estimated) octets; a row is never cut."""
    octets = np.full(frame.rows, _TEXT_OCTETS * len(frame.table.keys))
    for column in frame.columns.values():
        if isinstance(column, Histograms):
            octets += 2 + _ENTRY_OCTETS * np.diff(column.offsets)
        elif column.dtype != np.object_:
            octets += _NUMBER_OCTETS
    ends = np.cumsum(octets)
    first = 0
    while first < frame.rows:
        before = int(ends[first - 1]) if first else 0
        end = int(np.searchsorted(ends, before + max_octets, "right"))
        end = min(max(end, first + 1), first + max_rows)
        yield frame.take(np.arange(first, end))
        first = end
