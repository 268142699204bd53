"""Facts of links, window by window: a matrix (facts, columns) of counts for each, compressed. Pure.

What is said of a period is a sum over its windows, whichever it ends with, so rows that come late need no
account of their own: their window's matrix is put anew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quality.memory.packed import Packed, Whole, smallest

Counts = NDArray[np.int64]


class Ring:
    """Matrices of `facts` rows by the start of their window; a window without one is all 0."""

    def __init__(self, facts: int) -> None:
        self._facts = facts
        self._held: dict[int, Packed] = {}

    @property
    def starts(self) -> list[int]:
        """Windows held, ascending."""
        return sorted(self._held)

    def at(self, start_ns: int, columns: int) -> Counts:
        """A copy of the window's matrix, (facts, columns), at least as many columns as it was put with."""
        matrix = np.zeros((self._facts, columns), np.int64)
        if start_ns in self._held:
            found = self._open(start_ns)
            matrix[:, : found.shape[1]] = found
        return matrix

    def opened(self, start_ns: int, columns: int) -> Whole:
        """The same in the smallest type that holds it, not to be written to."""
        if start_ns not in self._held:
            return np.zeros((self._facts, columns), np.uint8)
        found = self._open(start_ns)
        return found if found.shape[1] == columns else np.pad(found, ((0, 0), (0, columns - found.shape[1])))

    def clear(self, facts: slice, columns: NDArray[np.intp]) -> None:
        """Set these facts of these columns to 0 in every window."""
        for start_ns in self._held:
            matrix = self._open(start_ns).copy()
            matrix[facts, columns[columns < matrix.shape[1]]] = 0
            self._held[start_ns] = Packed.of(matrix)

    def put(self, start_ns: int, matrix: Counts) -> None:
        """Replace the window's matrix; counts are held to 0..2**32 - 1."""
        self._held[start_ns] = Packed.of(smallest(np.maximum(matrix, 0)))

    def total(self, from_ns: int, to_ns: int, columns: int) -> Counts:
        """Sum of the windows from..to, both included, (facts, columns)."""
        total = np.zeros((self._facts, columns), np.int64)
        narrow = np.zeros((self._facts, columns), np.uint16)
        room = 0  # windows of single octets that the narrow sum can still take
        for start_ns in self._held:
            if from_ns <= start_ns <= to_ns:
                found = self._open(start_ns)
                if found.dtype != np.uint8:
                    total[:, : found.shape[1]] += found
                    continue
                if not room:
                    total += narrow
                    narrow[:], room = 0, 256
                narrow[:, : found.shape[1]] += found
                room -= 1
        return total + narrow

    def forget(self, before_ns: int) -> None:
        """Drop the windows that start before."""
        for start_ns in [at for at in self._held if at < before_ns]:
            del self._held[start_ns]

    def forget_after(self, time_ns: int) -> None:
        """Drop the windows that start later."""
        for start_ns in [at for at in self._held if at > time_ns]:
            del self._held[start_ns]

    def move(self, place: NDArray[np.intp], columns: int) -> None:
        """Column i becomes column place[i] of `columns`; -1 drops it."""
        kept = place >= 0
        for start_ns in self._held:
            found = self._open(start_ns)
            here = kept[: found.shape[1]]
            moved = np.zeros((self._facts, columns), found.dtype)
            moved[:, place[: found.shape[1]][here]] = found[:, here]
            self._held[start_ns] = Packed.of(moved)

    def _open(self, start_ns: int) -> Whole:
        return self._held[start_ns].arrays()[0]
