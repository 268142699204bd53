"""A set of things told by few lists of values, one for each label, as matchers of policies are. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
Box = list[Codes | None]
"""For each label the values that it may have; None: any."""


def boxes(codes: Codes, wanted: Mask, allowed: Mask) -> list[Box]:
    """Boxes that together hold every wanted thing, and none that is neither wanted nor allowed.

    codes: [things, labels], a number for each value; no two things may have the same row. wanted, allowed:
    [things]. Labels that come first are left out first.
    """
    left, well, found = wanted.copy(), wanted | allowed, list[Box]()
    while left.any():
        box, held = _grown(codes, codes[np.argmax(left)], left, well)
        found.append(box)
        left &= ~held
    return found


def _grown(codes: Codes, seed: Codes, left: Mask, well: Mask) -> tuple[Box, Mask]:
    """The box of one thing, made as wide as it may be; and what it holds."""
    fits: Mask = codes == seed
    box: Box = [np.array([value], np.int64) for value in seed]
    for at in range(len(seed)):
        if well[np.delete(fits, at, axis=1).all(axis=1)].all():
            box[at], fits[:, at] = None, True
    for at in range(len(seed)):
        if box[at] is not None:
            there = np.delete(fits, at, axis=1).all(axis=1)
            values = np.setdiff1d(codes[there & left, at], codes[there & ~well, at])
            box[at], fits[:, at] = values, np.isin(codes[:, at], values)
    return box, np.asarray(fits.all(axis=1))
