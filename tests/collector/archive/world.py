"""An archive of two links, its deliveries and a clock, for the tests of how it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from collector.archive.holdings import Holdings
from collector.archive.layout import Layout
from collector.archive.rules import Rules
from collector.sinks.archive import Archive
from collector.sinks.sink import Delivery
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.schema import WINDOW
from tests.collector.world import NOW_NS, WINDOW_NS, StillClock, windows

LINKS = ("a>b@n", "a>c@n")
START_NS = NOW_NS - NOW_NS % (86_400 * NS_PER_S)
"""A midnight."""
SOON = Rules(compact_after_s=0, step_files=3)
"""Files are put together as soon as there are three that a later delivery follows."""


def tags(link: str) -> dict[str, str]:
    return {"link": link, "network": link.partition("@")[2], "src": "a"}


def delivery(seq: int, *frames: Frame) -> Delivery:
    """One window of LINKS, the seq-th of the day, if nothing else is given."""
    given = frames or (windows(LINKS, START_NS + seq * WINDOW_NS),)
    return Delivery(seq, "a", "boot", seq, {frame.table.name: frame for frame in given})


def revised(seq: int, revision: int) -> Frame:
    """The seq-th window of the day again."""
    frame = windows(LINKS, START_NS + seq * WINDOW_NS, sent=100 + revision)
    return Frame(WINDOW, {**frame.columns, "revision": np.full(len(LINKS), revision)}, len(LINKS))


def clock(hours: float = 1) -> StillClock:
    return StillClock(START_NS + int(hours * 3600 * NS_PER_S))


def write(root: Path, seqs: Sequence[int], cursor: int | None = None, identity: str = "abc") -> None:
    """Deliver each seq by itself."""
    archive = Archive(root, identity, seqs[0] - 1 if cursor is None else cursor, tags, clock=clock())
    for seq in seqs:
        archive.write([delivery(seq)])
    archive.close()


def holdings(root: Path, cursor: int | None = None, identity: str = "abc") -> Holdings:
    return Holdings(root, identity, clock(), cursor)


def names(root: Path) -> list[str]:
    """Names of all files in their places."""
    return sorted(Path(path).name for path in Layout(root).files())


def starts(seqs: Sequence[int]) -> list[int]:
    """Starts of the windows of those deliveries, one for each link."""
    return sorted(START_NS + seq * WINDOW_NS for seq in seqs for _ in LINKS)
