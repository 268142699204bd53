"""What the probes stamp, icmp and tcp saw in the last windows, to be held against each other. Pure.

The same as quality.verdicts.divergence tells of rows, from a memory of DEPTH windows that takes rows as they
come.
"""

from __future__ import annotations

from collections import Counter
from itertools import count

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Frame
from linkgauge.merged import Merged
from linkgauge.model import Probe
from quality.evidence import Rows
from quality.memory.packed import Whole
from quality.memory.ring import Ring
from quality.memory.shelf import RANGE, Shelf
from quality.verdicts.divergence import BITS, MOST, WINDOWS, median_us, told

Counts = NDArray[np.int64]
DEPTH = WINDOWS + 3
"""Windows remembered: three of them may be judged again with all that they were judged by."""
_REVISION, _KNOWN, _LOST, _MARK = range(4)
_LOSSES = ("lost_forward", "lost_backward", "lost_unattributed")


class Pool:
    """Not thread safe. Rows that replace others must be told apart by `revisions` and given to `put`."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._rings = {probe: Ring(4) for probe in BITS}
        self._shelves = {probe: Shelf(merge=False) for probe in BITS}
        self._puts: Counter[tuple[Probe, int]] = Counter()
        self._oldest_ns = 0

    def revisions(self, probe: Probe, start_ns: int, links: int) -> Counts:
        """Of each link the revision of its row, plus 1; 0 where there is none, (links,)."""
        return np.asarray(self._rings[probe].at(start_ns, links)[_REVISION], np.int64)

    def put(self, probe: Probe, start_ns: int, link: Rows, rows: Frame, links: int) -> None:
        """Rows (m,) of one window with int64 counts, of the links (m,), ascending."""
        if start_ns < self._oldest_ns:
            return
        self._puts[probe, start_ns] += 1
        mark = self._puts[probe, start_ns]
        fit = (rows.count("unfit") == 0) & (rows.count("sent") > 0)
        lost = sum(np.minimum(rows.count(name), MOST) for name in _LOSSES) * fit
        known = lost + (np.minimum(rows.count("replied"), MOST) + np.minimum(rows.count("late"), MOST)) * fit
        matrix = self._rings[probe].at(start_ns, links)
        matrix[:, link] = rows.count("revision") + 1, known, lost, np.full(len(link), mark)
        self._rings[probe].put(start_ns, matrix)
        use = np.flatnonzero(fit & (rows.count("under_test") == 0))
        self._shelves[probe].put(start_ns, link[use], rows.histograms("rtt_ns").take(use), mark)

    def covers(self, start_ns: int) -> bool:
        """Everything that the window at start_ns is judged by is remembered."""
        return start_ns - (WINDOWS - 1) * self._window_ns >= self._oldest_ns

    def keep_for(self, start_ns: int) -> None:
        """The window at start_ns is judged: forget what is older than DEPTH windows."""
        self._oldest_ns = max(self._oldest_ns, start_ns - (DEPTH - 1) * self._window_ns)
        for probe in BITS:
            self._rings[probe].forget(self._oldest_ns)
            self._shelves[probe].forget(self._oldest_ns)
        for key in [key for key in self._puts if key[1] < self._oldest_ns]:
            del self._puts[key]

    def move(self, place: Rows, links: int) -> None:
        """Link i becomes link place[i] of `links`; -1 drops it."""
        for probe in BITS:
            self._rings[probe].move(place, links)
            self._shelves[probe].move(place)

    def divergent(self, start_ns: int, links: int) -> Counts:
        """The field `divergent`, (links,), seen at the window from `start_ns`."""
        times = [start_ns - back * self._window_ns for back in reversed(range(WINDOWS))]
        matrices = [[self._rings[probe].opened(at_ns, links) for at_ns in times] for probe in BITS]
        found = np.zeros(links, np.int64)
        for part in range(-(-links // RANGE)):
            here = slice(part * RANGE, min((part + 1) * RANGE, links))
            found[here] = self._part(times, part, [[each[:, here] for each in row] for row in matrices])
        return found

    def _part(self, times: list[int], part: int, matrices: list[list[Whole]]) -> Counts:
        """Of the links of one part."""
        known, lost, marks = (
            np.array([[matrix[row] for matrix in each] for each in matrices], np.int64).swapaxes(1, 2)
            for row in (_KNOWN, _LOST, _MARK)
        )
        several = (known > 0).sum(axis=0) > 1
        ends = []
        for number, probe in zip(count(), BITS):
            kept = self._shelves[probe].get(times, part)
            link = kept.link - part * RANGE
            use = np.flatnonzero(several[link, kept.at] & (marks[number][link, kept.at] == kept.mark))
            ends.append(median_us(Merged.of(kept.histograms, use, link[use], len(several))))
        return told(known, lost, ends)
