"""Delay histograms of many links at several times, compressed, in parts of neighbouring links. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Histograms
from linkgauge.merged import Merged
from quality.evidence import Rows
from quality.memory.packed import Packed, smallest, split

RANGE = 16_384
"""Links of one part: what is laid open at once when a period is judged."""
_MOST_PARTS = 8


@dataclass(frozen=True, slots=True)
class Kept:
    """m histograms: at (m,) 0..: which of the times asked for; link (m,); mark (m,) as they were put."""

    at: Rows
    link: Rows
    mark: NDArray[np.int64]
    histograms: Histograms


class Shelf:
    """merge: histograms of one link at one time are added up, and their marks are lost."""

    def __init__(self, merge: bool) -> None:
        self._merge = merge
        self._parts: dict[tuple[int, int], list[Packed]] = {}

    def put(self, at_ns: int, link: Rows, histograms: Histograms, mark: int = 0) -> None:
        """Add histograms of the links (m,), ascending; empty ones are left out."""
        some = np.flatnonzero(np.diff(histograms.offsets) > 0)
        link, histograms = link[some], histograms.take(some)
        for part in split(link, RANGE):
            rows = np.arange(part.start, part.stop)
            key = at_ns, int(link[part.start]) // RANGE
            parts = self._parts.setdefault(key, [])
            parts.append(_packed(link[part], histograms.take(rows), mark))
            if self._merge and len(parts) > _MOST_PARTS:
                self._parts[key] = [_merged([_open(each) for each in parts])]

    def get(self, times_ns: Sequence[int], part: int) -> Kept:
        """All of the links RANGE * part and following, at these times."""
        found = [
            (number, *_open(each))
            for number, at_ns in enumerate(times_ns)
            for each in self._parts.get((at_ns, part), ())
        ]
        at = [np.full(len(link), number, np.intp) for number, link, _, _ in found]
        marks = [np.full(len(link), mark, np.int64) for _, link, _, mark in found]
        links = [link for _, link, _, _ in found]
        none = np.empty(0, np.intp)
        return Kept(
            np.concatenate([none, *at]),
            np.concatenate([none, *links]),
            np.concatenate([none, *marks]),
            _end_to_end([histograms for _, _, histograms, _ in found]),
        )

    @property
    def times(self) -> list[int]:
        """Times held, ascending."""
        return sorted({at_ns for at_ns, _ in self._parts})

    def forget(self, before_ns: int) -> None:
        """Drop what is older."""
        for key in [key for key in self._parts if key[0] < before_ns]:
            del self._parts[key]

    def move(self, place: Rows) -> None:
        """Link i becomes link place[i]; -1 drops it."""
        former, self._parts = self._parts, {}
        for (at_ns, _), parts in former.items():
            for link, histograms, mark in map(_open, parts):
                order = np.argsort(place[link], kind="stable")
                order = order[place[link][order] >= 0]
                self.put(at_ns, place[link][order], histograms.take(order), mark)


Part = tuple[Rows, Histograms, int]


def _packed(link: Rows, histograms: Histograms, mark: int) -> Packed:
    steps = np.diff(histograms.bucket, prepend=histograms.bucket[:1])
    return Packed.of(
        np.array([mark, histograms.bucket[0]], np.int64),
        np.diff(link, prepend=link[:1] - link[:1] % RANGE).astype(np.uint16),
        np.array([link[0] // RANGE], np.int64),
        smallest(np.diff(histograms.offsets)),
        steps.astype(np.int16),
        smallest(histograms.count),
    )


def _open(packed: Packed) -> Part:
    head, links, base, lengths, steps, count = packed.arrays()
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    bucket = (np.cumsum(steps, dtype=np.int64) + head[1]).astype(np.int16)
    link = np.cumsum(links, dtype=np.int64) + base[0] * RANGE
    return link.astype(np.intp), Histograms(offsets, bucket, count), int(head[0])


def _merged(parts: Sequence[Part]) -> Packed:
    """One part in which each link has one histogram."""
    together = _end_to_end([histograms for _, histograms, _ in parts])
    link = np.concatenate([link for link, _, _ in parts])
    first = int(link[0]) // RANGE * RANGE
    merged = Merged.of(together, np.arange(len(link)), link - first, RANGE)
    count = np.diff(merged.before)
    place = np.flatnonzero(count)
    group = np.searchsorted(merged.places, place, side="right") - 1
    bucket = (place - merged.places[group] + merged.lowest[group]).astype(np.int16)
    links, begins = np.unique(group, return_index=True)
    offsets = np.append(begins, len(group)).astype(np.int64)
    return _packed((links + first).astype(np.intp), Histograms(offsets, bucket, count[place]), 0)


def _end_to_end(parts: Sequence[Histograms]) -> Histograms:
    offsets, base = [np.zeros(1, np.int64)], 0
    for part in parts:
        offsets.append(part.offsets[1:] + base)
        base += int(part.offsets[-1])
    return Histograms(
        np.concatenate(offsets),
        np.concatenate([np.empty(0, np.int16), *(part.bucket for part in parts)]),
        np.concatenate([np.empty(0, np.uint8), *(part.count for part in parts)]),
    )
