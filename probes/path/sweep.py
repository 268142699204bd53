"""Which packets a sweep of many flows sends: hop limits in waves, until the way's end is known. Pure.

A wave asks every hop that is missing, up to the number of hops of the link as last seen, or 8 at a time where
that is not known. A hop that stays silent is asked `ATTEMPTS` times in a round, one known to be silent once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from probes.path.book import Book, Flow
from probes.path.hops import Packets
from probes.path.way import SILENT, Way

STRETCH = 8
"""Hops that a sweep into the unknown goes further at a time; so many silent ones in a row end it."""
ATTEMPTS = 3
CONFIRMATIONS = 6
"""Packets to a hop that seems to have changed, right after the sweep: a balancer that sprays packets over two
routers shows only one of them in one case of 2**6."""


class Sweep:
    """The waves of one round over `flows`, up to max_hops hops each."""

    def __init__(self, flows: Sequence[Flow], book: Book, max_hops: int) -> None:
        self._most = max_hops
        shape = (len(flows), max_hops + 1)
        self._tries = np.zeros(shape, np.int64)
        self._allowed = np.full(shape, ATTEMPTS, np.int64)
        depths = [book.depth(link) or STRETCH for link, _, _ in flows]
        self._limit = np.minimum(np.array(depths, np.int64), max_hops)
        for row, flow in enumerate(flows):
            if known := book.known(flow):
                quiet = [at + 1 for at, hop in enumerate(known.way.hops[:max_hops]) if hop == SILENT]
                self._allowed[row, quiet] = 1

    def wave(self, packets: Packets) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Row and hop limit of each packet to be sent next; none: the sweep is over."""
        first = packets.first_answers(self._most)
        ends = packets.ends(first)
        self._stretch(first, ends)
        hop = np.arange(self._most + 1)
        due = (hop > 0) & (hop <= self._limit[:, None]) & (hop < ends[:, None]) & (first < 0)
        rows, hops = np.nonzero(due & (self._tries < self._allowed))
        self._tries[rows, hops] += 1
        return rows, hops

    def _stretch(self, first: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        """Go further where the way goes on: its last hop answered, or one shortly before does."""
        row = np.arange(len(first))
        here = first[row, self._limit] >= 0
        tired = self._tries[row, self._limit] >= self._allowed[row, self._limit]
        hop = np.arange(self._most + 1)
        near = (hop <= self._limit[:, None]) & (hop > self._limit[:, None] - STRETCH)
        lively = ((first >= 0) & near).any(axis=1)
        on = (ends > self._limit) & (here | (tired & lively))
        self._limit[on] = np.minimum(self._limit[on] + STRETCH, self._most)


def confirming(
    ways: Sequence[Way], apart: Sequence[Sequence[int]]
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Row and hop limit of the packets that confirm changed ways: differing hops get several."""
    rows, hops = [], []
    for row, (way, places) in enumerate(zip(ways, apart, strict=True)):
        for hop in range(1, len(way.hops) + 1):
            copies = CONFIRMATIONS if hop - 1 in places else 1
            rows += [row] * copies
            hops += [hop] * copies
    return np.array(rows, np.intp), np.array(hops, np.int64)


def answers(packets: Packets, row: int, hop: int) -> set[str]:
    """All addresses that answered packets of one sweep with one hop limit."""
    rows = np.flatnonzero((packets.sweep == row) & (packets.hop == hop))
    return {packets.address(at) for at in rows.tolist()} - {SILENT}


def is_confirmed(way: Way, apart: Sequence[int], told: Sequence[set[str]]) -> bool:
    """Whether what came told, right after, about the hops that differ, is the new way and nothing else.

    told: addresses for each index in apart.
    """
    agreed = [addresses == {way.hops[at]} for at, addresses in zip(apart, told, strict=True) if addresses]
    return bool(agreed) and all(agreed)
