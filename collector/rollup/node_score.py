"""The scores of an hour added up over the links from each node, by network and tier. Pure.

All links from a node are made at once (its agent measures them), so a row made again has all that it adds up,
whichever agents the hour is made again for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from collector.rollup.score import Specs, operator_of, ratio
from collector.rollup.slot import Slot
from collector.rollup.source import Tally
from linkgauge.frame import Frame
from linkgauge.model import Link, LinkSpec
from linkgauge.schema import NODE_SCORE

_Key = tuple[str, ...]
"""Values of the keys of NODE_SCORE; "" is not known."""


@dataclass(slots=True)
class _Sum:
    """What the links of one row come to."""

    links: int = 0
    windows: int = 0
    good: int = 0
    bad: int = 0
    down: int = 0
    excused: int = 0
    objective: float = 0.0

    def add(self, tally: Tally, spec: LinkSpec | None) -> None:
        self.windows += tally.windows
        self.good += tally.good
        self.bad += tally.bad
        self.down += tally.down
        self.excused += tally.excused
        if spec is not None:
            self.links += 1
            self.objective += spec.tier.good_ratio

    def row(self) -> dict[str, float]:
        """By the fields of NODE_SCORE."""
        told = self.good + self.bad
        return {
            "links": self.links,
            "windows": self.windows,
            "windows_good": self.good,
            "windows_bad": self.bad,
            "windows_down": self.down,
            "windows_excused": self.excused,
            "good_ratio": ratio(self.good, told),
            "good_objective_sum_ratio": self.objective if self.links else math.nan,
            "coverage_ratio": ratio(told, self.windows - self.excused),
        }


class NodeScores:
    """NODE_SCORE rows of a slot, of tallies that come some links at a time."""

    def __init__(self, slot: Slot, specs: Specs) -> None:
        self._slot, self._specs = slot, specs
        self._sums: dict[_Key, _Sum] = {}

    def add(self, tallies: Sequence[Tally]) -> None:
        for tally in tallies:
            spec = self._specs(tally.link)
            self._sums.setdefault(_key(tally.link, spec), _Sum()).add(tally, spec)

    def frame(self) -> Frame:
        """The rows, in order of key."""
        keys = sorted(self._sums)
        rows = [self._sums[key].row() for key in keys]
        columns: dict[str, Any] = {name: [key[at] for key in keys] for at, name in enumerate(NODE_SCORE.keys)}
        columns |= {field.name: [row[field.name] for row in rows] for field in NODE_SCORE.fields}
        columns["start_ns"] = [self._slot.start_ns] * len(keys)
        columns["length_ns"] = [self._slot.length_ns] * len(keys)
        return Frame.of(NODE_SCORE, columns, len(keys))


def _key(link: str, spec: LinkSpec | None) -> _Key:
    """A link that has left the inventory has what its name tells, as its own rows in InfluxDB."""
    if spec is None:
        named = Link.parse(link)
        told = {"src": named.src, "network": named.network}
    else:
        told = {**spec.tags, "src_operator": operator_of(spec, "src_site")}
    return tuple(told.get(name, "") for name in NODE_SCORE.keys)
