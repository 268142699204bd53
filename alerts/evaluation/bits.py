"""Histories as bits of whole numbers, uint64 in columns: how many are set, which is the highest. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint64]
ONE = np.uint64(1)
_PAIRS, _FOURS, _EIGHTS, _SUM = (
    np.uint64(mask)
    for mask in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F, 0x0101010101010101)
)


def ones(bits: Bits) -> NDArray[np.int64]:
    """How many bits are set in each."""
    pairs = bits - ((bits >> ONE) & _PAIRS)
    fours = (pairs & _FOURS) + ((pairs >> np.uint64(2)) & _FOURS)
    eights = (fours + (fours >> np.uint64(4))) & _EIGHTS
    counts: NDArray[np.int64] = ((eights * _SUM) >> np.uint64(56)).astype(np.int64)
    return counts


def highest(bits: Bits) -> NDArray[np.int64]:
    """Place of the highest bit that is set, 0 is the lowest; -1 when none is."""
    filled = bits
    for width in (1, 2, 4, 8, 16, 32):
        filled = filled | (filled >> np.uint64(width))
    return ones(filled) - 1


def without_highest(bits: Bits) -> Bits:
    """The same without their highest bit."""
    top = highest(bits)
    return np.where(top >= 0, bits & ~(ONE << np.maximum(top, 0).astype(np.uint64)), bits)


def shifted(bits: Bits, windows: int) -> Bits:
    """Older by so many windows; what is older than 64 falls out."""
    return bits << np.uint64(windows) if windows < 64 else np.zeros_like(bits)
