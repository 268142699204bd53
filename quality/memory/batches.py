"""Frames in pieces that are worked on at once. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from linkgauge.frame import Frame
from linkgauge.table import Kind

_AT_ONCE = 100_000
"""Rows worked on at once."""


def batched(frames: Sequence[Frame]) -> Iterator[Sequence[Frame]]:
    """The frames in order, some _AT_ONCE rows at a time."""
    begin = rows = 0
    for at, frame in enumerate(frames):
        rows += frame.rows
        if rows >= _AT_ONCE or at == len(frames) - 1:
            yield frames[begin : at + 1]
            begin, rows = at + 1, 0


def wide(frame: Frame) -> Frame:
    """With all counts as int64, whatever they were kept as."""
    counts = {field.name for field in frame.table.columns if field.kind is Kind.COUNT}
    columns = {
        name: column.astype(np.int64, copy=False) if name in counts else column  # type: ignore[union-attr]  # counts are arrays
        for name, column in frame.columns.items()
    }
    return Frame(frame.table, columns, frame.rows)
