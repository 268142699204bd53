"""Topologies for benchmarks and tests of places: sites with nodes, hops between sites, and what links see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from quality.places.crossings import Crossings, Links, crossings
from quality.places.finding import Finding, locate
from quality.places.hops import HopBook
from quality.places.sights import BAD, UNKNOWN, WELL, Evidence, FlowSight

Way = tuple[str, str, str]
"""src, dst, network."""


@dataclass
class Roads:
    """nodes: node -> site. hops: the hops of each flow of a way; none: nothing was swept."""

    nodes: Mapping[str, str]
    networks: Sequence[str] = ("net",)
    hops: Callable[[Way], Sequence[tuple[str, ...]]] = lambda way: ()
    gateways: Mapping[str, Sequence[str]] = field(default_factory=dict)
    mirrored: bool = True
    """False: only links from a node to one that is later by name."""

    def __post_init__(self) -> None:
        self.ways: list[Way] = [
            (src, dst, network)
            for network in self.networks
            for src in self.nodes
            for dst in self.nodes
            if src != dst and (self.mirrored or src < dst)
        ]
        self.row = {way: at for at, way in enumerate(self.ways)}
        columns = [
            [f"{src}>{dst}@{network}" for src, dst, network in self.ways],
            *zip(*self.ways, strict=True),
            [self.nodes[src] for src, _, _ in self.ways],
            [self.nodes[dst] for _, dst, _ in self.ways],
        ]
        links = Links(*(np.array(column, np.object_) for column in columns))
        owner = {f"{node}.{network}": node for node in self.nodes for network in self.networks}
        book = HopBook(crossings(links, self.gateways), owner)
        for at, way in enumerate(self.ways):
            if hops := self.hops(way):
                book.put(at, hops)
        self.crossings: Crossings = book.crossings()

    def evidence(
        self,
        bad: Iterable[Way] = (),
        either: Iterable[Way] = (),
        unknown: Iterable[Way] = (),
        flows: Sequence[FlowSight] = (),
        whole: bool = False,
    ) -> Evidence:
        """Every way well but for those named; a way without a link is told by the reverse, as backward."""
        forward = np.full(len(self.ways), WELL, np.int8)
        backward = np.full(len(self.ways), UNKNOWN if self.mirrored else WELL, np.int8)
        told = np.full(len(self.ways), UNKNOWN, np.int8)
        for way in bad:
            if way in self.row:
                forward[self.row[way]] = BAD
            else:
                backward[self.row[way[1], way[0], way[2]]] = BAD
        for way in (*unknown, *either):
            forward[self.row[way]] = backward[self.row[way]] = UNKNOWN
        for way in either:
            told[self.row[way]] = BAD
        for flow in flows:
            forward[flow.link] = UNKNOWN
        return Evidence(forward, backward, told, flows, whole)

    def find(self, *args: Iterable[Way], **more: object) -> tuple[Finding, ...]:
        """What explains this evidence."""
        return locate(self.crossings, self.evidence(*args, **more))  # type: ignore[arg-type] # as evidence


def grid(sites: int, nodes: int) -> dict[str, str]:
    """So many sites (a, b, ...) of so many nodes (a1, a2, ...)."""
    names = [chr(ord("a") + at) for at in range(sites)]
    return {f"{site}{number}": site for site in names for number in range(1, nodes + 1)}


def star(way: Way) -> list[tuple[str, ...]]:
    """One way: the router of the first site, the far router's port towards it, the far end."""
    src, dst, network = way
    if src[0] == dst[0]:
        return [(f"r-{src[0]}", f"{dst}.{network}")]
    return [(f"r-{src[0]}", f"t-{src[0]}-{dst[0]}", f"{dst}.{network}")]
