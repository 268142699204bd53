"""Moving a damaged file of ours out of the way: it is kept for a person to look at, never overwritten."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from linkgauge.clock import NS_PER_S


def move_aside(path: Path, wall_ns: int, endings: Sequence[str] = ("",)) -> Path:
    """Rename path + each ending that exists to <path>.damaged-<Unix seconds>; returns the new path.

    Raises OSError.
    """
    stem = f"{path}.damaged-{wall_ns // NS_PER_S}"
    target, again = stem, 1
    while os.path.exists(target):
        again += 1
        target = f"{stem}-{again}"
    for ending in endings:
        if os.path.exists(f"{path}{ending}"):
            os.rename(f"{path}{ending}", f"{target}{ending}")
    return Path(target)
