"""Rows of the collector's own, cut into batches that every sink can read. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from linkgauge.frame import Frame, Histograms
from linkgauge.wire import MAX_BODY_BYTES

MAX_ROWS = 50_000
MAX_OCTETS = MAX_BODY_BYTES // 2
"""Estimated size of a batch before it is packed; what cannot be estimated has room up to MAX_BODY_BYTES."""
_ENTRY_OCTETS, _NUMBER_OCTETS, _TEXT_OCTETS, _SENTENCE_OCTETS = 6, 8, 80, 8


def cut(frame: Frame, max_rows: int = MAX_ROWS, max_octets: int = MAX_OCTETS) -> Iterator[Frame]:
    """The rows in order, in parts of at most so many rows and (estimated) octets; a row is never cut."""
    octets = np.full(frame.rows, _TEXT_OCTETS * len(frame.table.keys))
    for name, column in frame.columns.items():
        if isinstance(column, Histograms):
            octets += 2 + _ENTRY_OCTETS * np.diff(column.offsets)
        elif column.dtype != np.object_:
            octets += _NUMBER_OCTETS
        elif name not in frame.table.keys:
            octets += _SENTENCE_OCTETS + np.fromiter(map(len, column), np.int64, frame.rows)
    ends = np.cumsum(octets)
    first = 0
    while first < frame.rows:
        before = int(ends[first - 1]) if first else 0
        end = int(np.searchsorted(ends, before + max_octets, "right"))
        end = min(max(end, first + 1), first + max_rows)
        yield frame.take(np.arange(first, end))
        first = end
