"""Moving a damaged file of ours out of the way: it is kept for a person to look at, never overwritten."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from linkgauge.clock import NS_PER_S

_MARK = ".damaged-"


def move_aside(path: Path, wall_ns: int, endings: Sequence[str] = ("",)) -> Path:
    """Rename path + each ending that exists to <path>.damaged-<Unix seconds>; returns the new path.

    Raises OSError.
    """
    stem = f"{path}{_MARK}{wall_ns // NS_PER_S}"
    target, again = stem, 1
    while any(os.path.exists(f"{target}{ending}") for ending in ("", *endings)):
        again += 1
        target = f"{stem}-{again}"
    for ending in endings:
        if os.path.exists(f"{path}{ending}"):
            os.rename(f"{path}{ending}", f"{target}{ending}")
    return Path(target)


def moved_aside(path: Path) -> list[Path]:
    """What was moved aside of `path` and still lies beside it, oldest first; endings are not listed."""
    name = re.compile(re.escape(path.name + _MARK) + r"(\d+)(?:-(\d+))?(?:-wal|-shm)?")
    found = {}
    try:
        names = os.listdir(path.parent)
    except OSError:
        return []
    for each in names:
        if match := name.fullmatch(each):
            at, again = int(match[1]), int(match[2] or 1)
            found[at, again] = path.with_name(each.removesuffix("-wal").removesuffix("-shm"))
    return [found[key] for key in sorted(found)]
