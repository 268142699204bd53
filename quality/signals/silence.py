"""Links whose far end stopped answering: since when, and whether it is the way out. Pure.

What a window has unanswered at its end counts from the first such packet. A window in which nothing at all
came back adds to the one before, and one in which nothing was sent leaves it as it is, so that a link with
few packets is told of as well. The agent at the far end says how many packets of our probe it heard: when
that covers half of what was lost without a direction, be it the end of the window or a flow of which nothing
comes back, the way out is well, and the reverse link tells of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quality.evidence import Rows
from quality.objectives import Objectives
from quality.signals.signs import ANSWERED, AT, LEAST_UNANSWERED, SILENT, Signed, Signs

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]

LEAST_SILENT = 2
"""So many silent links to a node, and no other, say that it is gone: its agent cannot tell."""
MOST_BACK = 12
"""Windows looked back over at most when none before was judged."""
_MS_PER_S = 1_000.0


def carried(signs: Signed, reverse: Rows) -> Rows:
    """Links of which the far end heard what it did not answer, ascending. reverse (n,): row of the reverse
    link, -1 for none."""
    link = np.flatnonzero((signs[AT["needed"]] > 0) & (reverse >= 0))
    heard = signs[AT["heard"], reverse[link]]
    found: Rows = link[(heard > 0) & (heard - 1 >= signs[AT["needed"], link])]
    return found


def untold(now: Signed, before: Signed, objectives: Objectives) -> NDArray[np.bool_]:
    """Links (n,) of which the far end has no row of this window, but had one of the window before; but for
    those to a node to which LEAST_SILENT links and more are silent and none is answered."""
    reverse = objectives.reverse
    tells, told = ((signs[AT["silent"]] > 0) | (signs[AT["heard"]] > 0) for signs in (now, before))
    late = (reverse >= 0) & ~tells[reverse] & told[reverse]
    silent = (now[AT["silent"]] == SILENT) | (now[AT["unanswered"]] >= LEAST_UNANSWERED)
    nodes = int(objectives.dst.max(initial=-1)) + 1
    quiet, loud = (
        np.bincount(objectives.dst[which], minlength=nodes)
        for which in (silent, (now[AT["silent"]] == ANSWERED) & ~silent)
    )
    gone = (quiet >= LEAST_SILENT) & (loud == 0)
    return np.asarray(late & ~gone[objectives.dst], np.bool_)


class Silence:
    """Remembers of each window judged the links that had no answer at its end; not thread safe."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._ends: dict[int, tuple[Rows, NDArray[np.int64]]] = {}

    def at(self, start_ns: int, signs: Signs, links: int) -> tuple[Counts, Reals]:
        """Packets without an answer at the end of the window, and for how long, s; each (links,)."""
        first_ns = start_ns
        for _ in range(MOST_BACK):
            before_ns = first_ns - self._window_ns
            if before_ns in self._ends or not signs.holds(before_ns):
                break
            first_ns = before_ns
        total = np.zeros((2, links), np.int64)
        for at_ns in range(first_ns, start_ns + 1, self._window_ns):
            total = self._add(at_ns, signs.at(at_ns, links), links)
        return total[0], total[1] / _MS_PER_S

    def forget(self, before_ns: int) -> None:
        """Drop the windows that start before."""
        for start_ns in [each for each in self._ends if each < before_ns]:
            del self._ends[start_ns]

    def move(self, place: Rows) -> None:
        """Link i becomes link place[i]; -1 drops it."""
        for start_ns, (link, end) in self._ends.items():
            kept = place[link] >= 0
            self._ends[start_ns] = place[link[kept]], end[:, kept]

    def _add(self, start_ns: int, signs: Signed, links: int) -> NDArray[np.int64]:
        """(packets, ms) (2, links) at the end of one window, with those of the window before where nothing
        came back."""
        total = np.zeros((2, links), np.int64)
        link, end = self._ends.get(start_ns - self._window_ns, (np.empty(0, np.intp), total[:, :0]))
        total[:, link] = end
        total[:, signs[AT["silent"]] == ANSWERED] = 0
        total += signs[[AT["unanswered"], AT["unanswered_ms"]]]
        link = np.flatnonzero(total[0])
        self._ends[start_ns] = link, total[:, link]
        return total
