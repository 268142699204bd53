"""Windows that do not count for some links: work was announced, or somebody played a fault. Pure.

A bit a link, and only of windows that leave some link out; so nothing is kept, and nothing to be done, as
long as there are none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quality.memory.ring import Ring
from quality.verdicts.facts import COUNTED, Facts

Mask = NDArray[np.bool_]


class LeftOut:
    """Not thread safe."""

    def __init__(self) -> None:
        self._bits: dict[int, NDArray[np.uint8]] = {}

    def put(self, start_ns: int, mask: Mask) -> None:
        """The links (n,) for which the window does not count, instead of those told before."""
        self._bits.pop(start_ns, None)
        if mask.any():
            self._bits[start_ns] = np.packbits(mask)

    def at(self, start_ns: int, links: int) -> Mask:
        """Those of the window, (links,)."""
        if start_ns not in self._bits:
            return np.zeros(links, np.bool_)
        return np.unpackbits(self._bits[start_ns], count=links).astype(np.bool_)

    def counted(self, whole: Facts, ring: Ring, from_ns: int, to_ns: int) -> Facts:
        """Of what the windows from..to of the ring come to, both included, that which counts. What says who
        measures at all, the row `measured`, counts always."""
        matrix, links = whole.matrix, whole.matrix.shape[1]
        for start_ns in self._bits:
            if from_ns <= start_ns <= to_ns:
                mask, held = self.at(start_ns, links), ring.opened(start_ns, links)
                matrix = matrix.copy() if matrix is whole.matrix else matrix
                some = slice(None) if mask.all() else np.flatnonzero(mask)
                matrix[COUNTED, some] -= held[COUNTED, some]
        return Facts(matrix)

    def forget(self, before_ns: int) -> None:
        """Drop the windows that start before."""
        for start_ns in [at for at in self._bits if at < before_ns]:
            del self._bits[start_ns]

    def move(self, place: NDArray[np.intp], links: int) -> None:
        """Link i becomes link place[i] of `links`; -1 drops it."""
        kept = place >= 0
        for start_ns in list(self._bits):
            moved = np.zeros(links, np.bool_)
            moved[place[kept]] = self.at(start_ns, len(place))[kept]
            self.put(start_ns, moved)
