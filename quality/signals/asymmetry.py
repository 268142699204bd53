"""By how much delay out and back have moved apart: against the median of the period before. Pure.

With o the offset between both clocks, smallest delay out - smallest delay back is d_out - d_back + 2 o: what
both ways share cancels, and clocks that stay as they are cancel against the period before. How far they may
have moved is known by their error bounds (RFC 8762's Error Estimate, both ends'), which must hold now and
held before: a shift is one of the network's only beyond twice their sum.

The median is made anew for each RENEW windows, of windows before these, and needs LEAST of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quality.memory.packed import Packed
from quality.memory.shelf import RANGE
from quality.objectives import Objectives
from quality.signals.signs import AT, Signed, Signs

Reals = NDArray[np.float64]

LEAST = 30
"""Windows that a median needs."""
RENEW = 6
TIER_SHARE = 0.1
"""A shift below this share of the tier's delay is not worth a word."""
_KEPT = 24
"""Medians kept, for windows that are judged again."""
_NONE = np.iinfo(np.int32).max


class Asymmetry:
    """Medians of the last periods; not thread safe."""

    def __init__(self, window_ns: int, period_ns: int) -> None:
        self._window_ns, self._period_ns = window_ns, period_ns
        self._usual: dict[int, Packed] = {}

    def shift_us(
        self, start_ns: int, now: Signed, signs: Signs, objectives: Objectives
    ) -> tuple[Reals, Reals]:
        """The shift (n,) at the window from start_ns, signed, and by how much its size is beyond what clocks
        may have moved and TIER_SHARE of the tier's delay; NaN where it is not known. now: its signs."""
        usual, error_us = self._at(start_ns, signs, now.shape[1])
        known = (now[AT["asymmetry"]] > 0) & (usual > 0)
        shift = np.where(known, now[AT["asymmetry"]].astype(np.int64) - usual, np.nan)
        clocks_us = 2.0 * (np.maximum(now[AT["clock_error"]], 1) - 1 + error_us)
        return shift, np.abs(shift) - clocks_us - TIER_SHARE * objectives.delay_us

    def forget(self) -> None:
        """Forget all medians: links have other numbers."""
        self._usual.clear()

    def _at(self, start_ns: int, signs: Signs, links: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The usual asymmetry (links,), as in Signs, and the highest clock error of these windows, us."""
        block_ns = start_ns - start_ns % (RENEW * self._window_ns)
        if block_ns not in self._usual:
            starts = [at for at in signs.starts if block_ns - self._period_ns <= at < block_ns]
            parts = [_usual(starts, signs, part) for part in range(-(-links // RANGE))]
            whole = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0), np.int32)
            self._usual[block_ns] = Packed.of(whole)
            for old_ns in sorted(self._usual)[:-_KEPT]:
                del self._usual[old_ns]
        found = np.zeros((2, links), np.int32)
        held = self._usual[block_ns].arrays()[0]
        found[:, : held.shape[1]] = held
        return found[0], found[1]


def _usual(starts: list[int], signs: Signs, part: int) -> NDArray[np.int32]:
    """(2, links) of one part: median (0: not known) and highest clock error."""
    held = [each for at in starts if (each := signs.clocks(at, part)) is not None]
    width = max((each.shape[1] for each in held), default=0)
    held = [each for each in held if each[0].any()]
    found = np.zeros((2, width), np.int32)
    if len(held) < LEAST:
        return found
    values = np.array([each[0] for each in held])
    values[values == 0] = _NONE
    values.sort(axis=0)
    count = (values != _NONE).sum(axis=0)
    low, high = ((count - 1) // 2).clip(0), count // 2
    at = np.arange(width)
    middle = (values[low, at].astype(np.int64) + values[np.minimum(high, len(held) - 1), at]) // 2
    found[0] = np.where(count >= LEAST, middle, 0)
    found[1] = np.maximum(np.max([each[1] for each in held], axis=0) - 1, 0)
    return found
