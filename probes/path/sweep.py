"""Which packets a sweep of many flows sends: hop limits in waves, until the way's end is known. Pure.

A wave asks every hop that is missing, up to the number of hops of the link as last seen, or 8 at a time where
that is not known. A hop that stays silent is asked `ATTEMPTS` times in a round. It is asked once where it is
known to be silent, and where the router that is known there has answered only few of the packets of a wave:
then it limits its answers, and more packets would make it worse.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from linkgauge.way_text import SILENT
from probes.path.book import Book, Flow
from probes.path.hops import Packets
from probes.path.way import Way

STRETCH = 8
"""Hops that a sweep into the unknown goes further at a time; so many silent ones in a row end it."""
ATTEMPTS = 3
LIMITING = 8
"""A router that was asked so often in a round, and has answered less than half, limits its answers."""
CONFIRMATIONS, FEWER_CONFIRMATIONS = 6, 3
"""Packets to a hop that seems to have changed, right after the sweep. A balancer that sprays packets over two
routers shows only one of them to 6 packets in one case of 64; where many flows changed, fewer packets to each
are enough to see a balancer that they share."""
MANY = 32
CONFIRMED_HOPS = 2
"""Of the hops that differ, how many are asked again."""


class Sweep:
    """The waves of one round over `flows`, up to max_hops hops each."""

    def __init__(self, flows: Sequence[Flow], book: Book, max_hops: int) -> None:
        self._most = max_hops
        shape = (len(flows), max_hops + 1)
        self._tries = np.zeros(shape, np.int64)
        self._allowed = np.full(shape, ATTEMPTS, np.int64)
        depths = [book.depth(link) or STRETCH for link, _, _ in flows]
        self._limit = np.minimum(np.array(depths, np.int64), max_hops)
        self._router = np.zeros(shape, np.int64)  # a number for the router known at each hop, 0 = none
        numbers: dict[str, int] = {}
        for row, flow in enumerate(flows):
            if known := book.known(flow):
                hops = known.way.hops[: max_hops - known.way.reached]
                self._allowed[row, [at + 1 for at, hop in enumerate(hops) if hop == SILENT]] = 1
                self._router[row, 1 : len(hops) + 1] = [
                    numbers.setdefault(hop, len(numbers) + 1) for hop in hops
                ]

    def wave(self, packets: Packets) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Row and hop limit of each packet to be sent next; none: the sweep is over."""
        first = packets.first_answers(self._most)
        ends = packets.ends(first)
        self._stretch(first, ends)
        self._allowed[self._limits(first)] = 1
        hop = np.arange(self._most + 1)
        due = (hop > 0) & (hop <= self._limit[:, None]) & (hop < ends[:, None]) & (first < 0)
        rows, hops = np.nonzero(due & (self._tries < self._allowed))
        self._tries[rows, hops] += 1
        return rows, hops

    def _limits(self, first: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Hops at which a router is known that limits its answers."""
        tried = self._tries > 0
        asked = np.bincount(self._router[tried], minlength=int(self._router.max(initial=0)) + 1)
        answered = np.bincount(self._router[tried & (first >= 0)], minlength=len(asked))
        limits = (asked >= LIMITING) & (2 * answered < asked)
        limits[0] = False
        of_hops: NDArray[np.bool_] = limits[self._router]
        return of_hops

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


def confirming(apart: Sequence[Sequence[int]]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Row and hop limit of the packets that confirm changed ways; apart: indices of hops to be asked."""
    copies = CONFIRMATIONS if len(apart) <= MANY else FEWER_CONFIRMATIONS
    places = [(row, place + 1) for row, some in enumerate(apart) for place in some]
    rows, hops = np.array(places, np.int64).reshape(-1, 2).repeat(copies, axis=0).T
    return rows.astype(np.intp), hops


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
