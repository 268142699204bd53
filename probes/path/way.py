"""A way: the hops that packets of one flow pass, and when two ways are the same. Pure.

A hop that did not answer is `SILENT` and agrees with every address, because routers limit how many errors
they send and silence says nothing about the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import zip_longest

from linkgauge.way_text import CUT, SILENT
from probes.path.fingerprint import fingerprint

MAX_TEXT = 2048
"""Characters that a text of a row may have; what is longer is cut at a hop and ends in three dots."""
Alike = Callable[[str, str], bool]
"""Whether two different addresses are one hop to us (a balancer that sprays packets over both)."""


@dataclass(frozen=True, slots=True)
class Way:
    """hops: addresses in order, `SILENT` where unknown, none at the end. reached: the last is the far end."""

    hops: tuple[str, ...]
    reached: bool

    @property
    def silent(self) -> int:
        """Hops that did not answer."""
        return self.hops.count(SILENT)

    @property
    def text(self) -> str:
        """The hops as one string; empty when none answered."""
        return joined(self.hops)

    @property
    def fingerprint(self) -> int:
        """Hash of the addresses, 0..2**63-1."""
        return fingerprint(self.hops)


def differing(old: Way, new: Way, alike: Alike) -> list[int]:
    """Indices of hops at which both ways are known and disagree; none: it is the same way.

    Where a way ended at the far end, a hop beyond that end disagrees with it; where it just fell silent, not.
    """
    apart = [
        at
        for at, (one, other) in enumerate(zip(old.hops, new.hops, strict=False))
        if SILENT not in (one, other) and one != other and not alike(one, other)
    ]
    short, long = sorted((old, new), key=lambda way: len(way.hops))
    if short.reached and len(long.hops) > len(short.hops) and len(short.hops) - 1 not in apart:
        apart.append(len(short.hops) - 1)  # the hop there is the far end in one, and not in the other
    return apart


def merged(old: Way, new: Way) -> Way:
    """Two sights of one way as one: what was silent in one is taken from the other, the older one leads."""
    pairs = zip_longest(old.hops, new.hops, fillvalue=SILENT)
    return Way(tuple(b if a == SILENT else a for a, b in pairs), old.reached or new.reached)


def joined(words: Iterable[str]) -> str:
    """Words with a blank between, at most `MAX_TEXT` characters."""
    text = " ".join(words)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - len(CUT)].rpartition(" ")[0] + CUT
