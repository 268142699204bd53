"""Which places each way through the network crosses, in columns. Pure.

A way is what packets from one node to another on one network take; a link has two, there and back. A
place is a box or a stretch that ways cross: a node (sending or receiving), a gateway, a site (its side to
other sites), a hop that sweeps have seen, a trunk (whatever lies between two sites), a network. A cell is a
place in one direction on one network: trouble of the sending side says nothing about the receiving side.

Where it is not sure that a way crosses a place it has no entry: of several gateways of a site only sweeps can
tell which. A hop with an address of the inventory is that node; two addresses are two hops otherwise, because
that they belong to one router would be a guess. A hop at which only some flows of a way were seen, while
others were seen elsewhere, has an entry with a `share` below 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]
Names = NDArray[np.object_]

KINDS = ("node", "gateway", "site", "hop", "trunk", "network")
"""In this order places are named that explain the same."""
NODE, GATEWAY, SITE, HOP, TRUNK, NETWORK = range(len(KINDS))
OUT, IN, INSIDE = 0, 1, 2
"""Directions of a cell: out of a place, into it, between nodes of a site; of a trunk out of the site that is
first by name; of hops and networks always in."""


@dataclass(frozen=True, slots=True)
class Place:
    """kind: one of KINDS. site: where it stands, empty where that is not known. The name of a trunk is that
    of its two sites, in order, with a blank between."""

    kind: str
    name: str
    site: str = ""


@dataclass(frozen=True, slots=True)
class Links:
    """n links, each (n,) text."""

    name: Names
    src: Names
    dst: Names
    network: Names
    src_site: Names
    dst_site: Names


@dataclass(frozen=True, slots=True)
class Crossings:
    """Entries (m,): way `way[i]` crosses cell `cell[i]` with `share[i]` of its flows.

    forward, backward (n,): the two ways of each link.

    pair (ways,): the same number for both ways between two nodes on one network. cell_* (cells,): what each
    cell is; cell_place points into `places`, cell_network into `networks`.
    """

    links: Links
    forward: Rows
    backward: Rows
    pair: Counts
    places: tuple[Place, ...]
    networks: tuple[str, ...]
    cell_place: Rows
    cell_network: Rows
    cell_direction: Counts
    way: Rows
    cell: Rows
    share: NDArray[np.float32]
    hop_cell: Mapping[tuple[str, str, int], int]
    """(network, address or gateway, direction) -> cell."""

    @property
    def ways(self) -> int:
        return len(self.pair)

    @property
    def reverse(self) -> Rows:
        """(n,): the row of the reverse of each link; -1 for none."""
        of_way = np.full(self.ways, -1, np.intp)
        of_way[self.forward] = np.arange(len(self.forward))
        reverse: Rows = of_way[self.backward]
        return reverse

    @property
    def is_hop(self) -> Mask:
        """(m,): the entry came from a sweep."""
        kinds = np.array([KINDS.index(place.kind) for place in self.places], np.int64)
        told: Mask = kinds[self.cell_place[self.cell]] == HOP
        return told


def crossings(links: Links, gateways: Mapping[str, Iterable[str]]) -> Crossings:
    """What follows from who is where, without sweeps. gateways: network -> nodes by which sites reach others.

    There is at least one link.
    """
    table = _Table(links)
    src, dst, network = table.of_ways
    entries = _Entries()
    entries.add(NODE, src, network, OUT)
    entries.add(NODE, dst, network, IN)
    near, far = table.site[src], table.site[dst]
    apart = near != far
    entries.add(SITE, near, network, OUT, apart)
    entries.add(SITE, far, network, IN, apart)
    entries.add(SITE, near, network, INSIDE, ~apart)
    low, high = np.minimum(near, far), np.maximum(near, far)
    sites = len(table.sites)
    for direction, mask in ((OUT, near < far), (IN, near > far)):
        entries.add(TRUNK, low * sites + high, network, direction, mask)
    entries.add(NETWORK, network, network, IN)
    listed, only = table.gateways(gateways)
    for end, site, direction in ((src, near, OUT), (dst, far, IN)):
        entries.add(GATEWAY, end, network, direction, listed[network, end])
        by = only[network, site]
        entries.add(GATEWAY, by, network, direction, apart & (by >= 0) & (by != end))
    return table.made(entries)


class _Entries:
    """Entries as (way, kind, number of the place in its kind, network, direction)."""

    def __init__(self) -> None:
        self.parts: list[Counts] = []

    def add(
        self, kind: int, place: NDArray[np.int64], network: Counts, direction: int, use: Mask | None = None
    ) -> None:
        way = np.arange(len(place)) if use is None else np.flatnonzero(use)
        fixed = np.ones(len(way), np.int64)
        self.parts.append(np.stack([way, fixed * kind, place[way], network[way], fixed * direction]))


class _Table:
    """Names as numbers, and the ways that the links have."""

    def __init__(self, links: Links) -> None:
        self._links = links
        nodes: dict[str, int] = {}
        networks: dict[str, int] = {}
        src, dst = _numbered(links.src, nodes), _numbered(links.dst, nodes)
        network = _numbered(links.network, networks)
        self.nodes, self.networks = tuple(nodes), tuple(networks)
        where = dict(zip(links.src.tolist(), links.src_site.tolist(), strict=True))
        where |= dict(zip(links.dst.tolist(), links.dst_site.tolist(), strict=True))
        self.sites = tuple(sorted(set(where.values())))
        at = {site: number for number, site in enumerate(self.sites)}
        self.site = np.array([at[where[node]] for node in self.nodes], np.int64)
        count = max(len(self.nodes), 1)
        there, back = ((network * count + a) * count + b for a, b in ((src, dst), (dst, src)))
        codes = np.unique(np.concatenate([there, back]))
        self._forward, self._backward = np.searchsorted(codes, there), np.searchsorted(codes, back)
        rest, to = np.divmod(codes, count)
        of_network, of = np.divmod(rest, count)
        self.of_ways = (of, to, of_network)
        self._pair = (of_network * count + np.minimum(of, to)) * count + np.maximum(of, to)

    def gateways(self, gateways: Mapping[str, Iterable[str]]) -> tuple[Mask, Counts]:
        """Whether a node is a gateway, by network and node; the only one of a site, by network and site, -1
        where there is none or more than one."""
        listed = np.zeros((len(self.networks), len(self.nodes)), np.bool_)
        only = np.full((len(self.networks), len(self.sites)), -1, np.int64)
        count = np.zeros_like(only)
        at = {node: number for number, node in enumerate(self.nodes)}
        for row, network in enumerate(self.networks):
            for node in (at[name] for name in gateways.get(network, ()) if name in at):
                listed[row, node] = True
                only[row, self.site[node]] = node
                count[row, self.site[node]] += 1
        return listed, np.where(count == 1, only, -1)

    def made(self, entries: _Entries) -> Crossings:
        way, kind, number, network, direction = np.concatenate(entries.parts, axis=1)
        most = max(len(self.nodes), len(self.sites) ** 2, len(self.networks), 1)
        codes = ((kind * most + number) * max(len(self.networks), 1) + network) * 3 + direction
        distinct, cell = np.unique(codes, return_inverse=True)
        rest, of_direction = np.divmod(distinct, 3)
        place_code, of_network = np.divmod(rest, max(len(self.networks), 1))
        place_codes, cell_place = np.unique(place_code, return_inverse=True)
        places = tuple(self._place(*divmod(code, most)) for code in place_codes.tolist())
        return Crossings(
            self._links,
            self._forward,
            self._backward,
            self._pair,
            places,
            self.networks,
            cell_place,
            of_network.astype(np.intp),
            of_direction,
            way.astype(np.intp),
            cell,
            np.ones(len(way), np.float32),
            self._transits(places, cell_place, of_network, of_direction),
        )

    def _transits(
        self, places: Sequence[Place], cell_place: Rows, network: Counts, direction: Counts
    ) -> dict[tuple[str, str, int], int]:
        """The cells in which hops that are gateways are counted."""
        return {
            (self.networks[network[cell]], places[at].name, int(direction[cell])): cell
            for cell, at in enumerate(cell_place.tolist())
            if places[at].kind == KINDS[GATEWAY]
        }

    def _place(self, kind: int, number: int) -> Place:
        if kind in (NODE, GATEWAY):
            return Place(KINDS[kind], self.nodes[number], self.sites[self.site[number]])
        if kind == SITE:
            return Place(KINDS[kind], self.sites[number], self.sites[number])
        if kind == TRUNK:
            low, high = divmod(number, len(self.sites))
            return Place(KINDS[kind], f"{self.sites[low]} {self.sites[high]}")
        return Place(KINDS[kind], self.networks[number])


def _numbered(words: Names, known: dict[str, int]) -> Counts:
    return np.array([known.setdefault(word, len(known)) for word in words.tolist()], np.int64)
