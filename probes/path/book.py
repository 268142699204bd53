"""What is known of the ways of all flows: the way of each, since when, and when it was last seen so. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from linkgauge.way_text import SILENT
from probes.path.way import Way, differing, merged

Flow = tuple[str, int, int]
"""Link, DSCP, number of the flow."""
SPRAY_ROUNDS = 120
MOST_SPRAYED = 4096
"""Pairs of addresses that are remembered as one hop."""


@dataclass(frozen=True, slots=True)
class Known:
    """way: as last seen, silent hops filled in from earlier sights. since_ns .. seen_ns: seen so (Unix)."""

    way: Way
    since_ns: int
    seen_ns: int


class Book:
    """Ways of flows."""

    def __init__(self) -> None:
        self._known: dict[Flow, Known] = {}
        self._depth: dict[str, int] = {}
        self._sprayed: dict[tuple[str, str], int] = {}

    def known(self, flow: Flow) -> Known | None:
        """What is known of a flow."""
        return self._known.get(flow)

    def depth(self, link: str) -> int | None:
        """Hops up to the far end of a link when it was last reached."""
        return self._depth.get(link)

    def differing(self, flow: Flow, way: Way) -> list[int]:
        """Indices of hops at which a way differs from the one known; none for the same or the first way."""
        known = self._known.get(flow)
        return differing(known.way, way, self._alike) if known and way.hops else []

    def seen(self, flow: Flow, way: Way, at_ns: int) -> None:
        """The way known, or the first, was seen; a sight of less than half of its hops proves too little."""
        known = self._known.get(flow)
        if known is None and way.hops:
            self._known[flow] = Known(way, at_ns, at_ns)
        elif known is not None and way.hops:
            pairs = zip(known.way.hops, way.hops, strict=False)
            shared = sum(SILENT not in pair for pair in pairs)
            seen_ns = at_ns if 2 * shared >= len(known.way.hops) - known.way.silent else known.seen_ns
            self._known[flow] = Known(merged(known.way, way), known.since_ns, seen_ns)
        self._note_depth(flow, way)

    def changed(self, flow: Flow, way: Way, at_ns: int) -> None:
        """Another way than the one known is confirmed."""
        self._known[flow] = Known(way, at_ns, at_ns)
        self._note_depth(flow, way)

    def sprayed(self, addresses: Iterable[str], round_number: int) -> None:
        """Addresses that alternated at one hop of one flow: a balancer sprays packets; they are one to us."""
        for one, other in combinations(sorted(set(addresses)), 2):
            self._sprayed.pop((one, other), None)  # so that the latest stand last
            self._sprayed[one, other] = round_number
        for pair in list(self._sprayed)[:-MOST_SPRAYED]:
            del self._sprayed[pair]

    def forget_sprayed(self, round_number: int) -> None:
        """Take addresses for different again that did not alternate for `SPRAY_ROUNDS` rounds."""
        self._sprayed = {
            pair: last for pair, last in self._sprayed.items() if round_number - last < SPRAY_ROUNDS
        }

    def sights(self, link: str, dscp: int) -> list[Known]:
        """What is known of all flows of a link in a class."""
        return [known for flow, known in self._known.items() if flow[:2] == (link, dscp)]

    def _alike(self, one: str, other: str) -> bool:
        return (min(one, other), max(one, other)) in self._sprayed

    def _note_depth(self, flow: Flow, way: Way) -> None:
        if way.reached:
            self._depth[flow[0]] = len(way.hops)
