"""What was last said of each link in recent windows, so that a second judgement repeats only what changed.

Late replies correct windows of some links after their verdict. Judging such a window again gives a row for
every link, most of them as before; to journal those once more would double the archive. A row is remembered
as a 32-bit mix of its numbers: one change in four thousand millions stays unseen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Frame
from linkgauge.table import Kind

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_SHIFT, _HALF = np.uint64(29), np.uint64(32)


class Told:
    """Remembers the newest `windows` windows. Not thread safe."""

    def __init__(self, windows: int) -> None:
        self._windows = windows
        self._told: dict[int, tuple[NDArray[np.object_], NDArray[np.uint32]]] = {}
        self._links: NDArray[np.object_] = np.empty(0, np.object_)

    def changed(self, state: Frame) -> Frame:
        """The rows of one window's STATE that differ from what was told of it; all, when nothing was.

        From now on all of `state` counts as told.
        """
        if not state.rows:
            return state
        start_ns = int(state.count("start_ns")[0])
        before, prints = self._told.get(start_ns), _prints(state)
        if not np.array_equal(self._links, state.text("link")):
            self._links = state.text("link")  # one array for all windows while the inventory stands
        self._told[start_ns] = self._links, prints
        for old_ns in sorted(self._told)[: -self._windows]:
            del self._told[old_ns]
        if before is None or (before[0] is not self._links and not np.array_equal(before[0], self._links)):
            return state
        return state.take(before[1] != prints)


def _prints(state: Frame) -> NDArray[np.uint32]:
    mixed = np.zeros(state.rows, np.uint64)
    for field in state.table.columns:
        if field.kind in (Kind.COUNT, Kind.REAL):
            mixed = (mixed ^ np.asarray(state.columns[field.name]).view(np.uint64)) * _PRIME
            mixed ^= mixed >> _SHIFT
    return (mixed ^ mixed >> _HALF).astype(np.uint32)
