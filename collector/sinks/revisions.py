"""The highest revision told of each row that was corrected: an older copy that comes later is left out. Pure.

A store that keeps what was written last needs it: copies may come in another order than they were made.
Bounded: above `most` rows those that were noted first are forgotten, a window at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Frame

MOST = 50_000
_Row = tuple[str, ...]


class Revisions:
    """For one thread. most: rows remembered, as a rule; of one window and table always all."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._rows = most, 0
        self._told: dict[tuple[str, int], dict[_Row, int]] = {}
        self.left_out = 0
        """Rows that `newest` left out."""

    def note(self, frame: Frame) -> None:
        """Remember the rows of this frame that are corrections."""
        if not _revised(frame):
            return
        revisions, starts = frame.count("revision"), frame.count("start_ns")
        chosen = np.flatnonzero(revisions)
        for key, start_ns, revision in zip(
            _keys(frame, chosen), starts[chosen].tolist(), revisions[chosen].tolist(), strict=True
        ):
            told = self._told.setdefault((frame.table.name, start_ns), {})
            self._rows += key not in told
            told[key] = max(revision, told.get(key, 0))
        while self._rows > self._most and len(self._told) > 1:
            self._rows -= len(self._told.pop(next(iter(self._told))))

    def newest(self, frame: Frame) -> Frame:
        """The frame without rows of which a higher revision was noted."""
        if not self._told or not _revised(frame):
            return frame
        starts = frame.count("start_ns")
        among = [
            start_ns for start_ns in np.unique(starts).tolist() if (frame.table.name, start_ns) in self._told
        ]
        if not among:
            return frame
        keep = self._kept(frame, starts, np.flatnonzero(np.isin(starts, among)))
        self.left_out += int((~keep).sum())
        return frame if keep.all() else frame.take(keep)

    def _kept(self, frame: Frame, starts: NDArray[np.int64], rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Mask of the rows that stay; `rows`: those that may have to go."""
        keep, revisions = np.ones(frame.rows, np.bool_), frame.count("revision")
        for row, key in zip(rows.tolist(), _keys(frame, rows), strict=True):
            told = self._told[frame.table.name, int(starts[row])]
            keep[row] = revisions[row] >= told.get(key, 0)
        return keep


def _revised(frame: Frame) -> bool:
    """Whether rows of this table can be corrected."""
    return any(field.name == "revision" for field in frame.table.fields)


def _keys(frame: Frame, rows: NDArray[np.intp]) -> Iterator[_Row]:
    return zip(*(frame.words(key).take(rows).texts().tolist() for key in frame.table.keys), strict=True)
