"""A place that was found, with what it explains; and what is known of places again after a restart. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from quality.places.finding import Finding

UNSURE = "; cannot tell it from "
"""In the words of a place, before the others that explain the same."""
Key = tuple[str, str]
"""Kind and name of a place."""


@dataclass(frozen=True, slots=True)
class Located:
    """A place found. links: names of all links whose trouble it explains, and the gravest sort of it; around:
    of all that cross it there or back. beside: links of its network that are well and do not cross it. share:
    of the links in trouble there that it explains."""

    finding: Finding
    links: Mapping[str, int]
    around: frozenset[str]
    beside: int
    share: float

    @property
    def key(self) -> Key:
        return self.finding.kind, self.finding.place

    @property
    def words(self) -> str:
        """Where, why, and what it cannot be told from."""
        found = self.finding
        bad, judged = max(found.links_bad, len(self.links)), max(found.links_judged, len(self.links))
        told = f"{found.kind} {found.place}{_DIRECTIONS[found.direction]}"
        told += f" on {found.network}" if found.network and found.network != found.place else ""
        told += f", because {bad} of {judged} links over it are in trouble"
        told += f" while {self.beside} others are well" if self.beside else ""
        return told + (UNSURE + ", ".join(found.others) if found.others else "")


@dataclass(frozen=True, slots=True)
class Altered:
    """A place that alters packets. explains: (link, direction) of the alerts of links that it explains.
    numbers: columns of PLACE that say how."""

    located: Located
    explains: frozenset[tuple[str, str]]
    numbers: Mapping[str, float]

    @property
    def key(self) -> Key:
        return self.located.key


_DIRECTIONS = {"in": " (what enters it)", "out": " (what leaves it)", "both": ""}


class Recalled(msgspec.Struct, frozen=True):
    """found: places that fire, by id of their alert. past: those whose alert ended a while ago, and when
    (Unix ns). altered: places that alter packets and fire, by id of their alert."""

    found: dict[str, Located] = {}
    past: dict[str, tuple[int, Located]] = {}
    altered: dict[str, Altered] = {}
