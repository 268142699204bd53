"""What sweeps saw, as further entries of `Crossings`: which ways pass which hops. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from linkgauge.way_text import SILENT
from quality.places.crossings import GATEWAY, HOP, IN, KINDS, OUT, Crossings, Place


class HopBook:
    """The hops of each link, kept so that only what changed is worked on anew. Not thread safe.

    owner: address -> node, for every address of the inventory.
    """

    def __init__(self, base: Crossings, owner: Mapping[str, str]) -> None:
        self._base, self._owner = base, owner
        self._places = list(base.places)
        self._number = {place: at for at, place in enumerate(base.places)}
        self._known = dict(base.hop_cell)
        self._rows: list[tuple[int, int, int]] = []
        self._network = {name: at for at, name in enumerate(base.networks)}
        links = base.links
        self._ends = list(zip(links.src.tolist(), links.dst.tolist(), links.network.tolist(), strict=True))
        self._sites = dict(zip(links.src.tolist(), links.src_site.tolist(), strict=True))
        self._sites |= dict(zip(links.dst.tolist(), links.dst_site.tolist(), strict=True))
        self._ways: dict[int, Sequence[tuple[str, ...]]] = {}
        self._of: dict[int, list[tuple[int, float]]] = {}
        self._made: Crossings | None = base

    def put(self, link: int, ways: Sequence[tuple[str, ...]]) -> bool:
        """The hops of the last sweep of each flow of a link (0..n-1); whether they are others than before."""
        if self._ways.get(link) == ways:
            return False
        src, dst, network = self._ends[link]
        found = []
        for address, share in _seen_at(ways).items():
            node = self._owner.get(address, "")
            if node not in (src, dst):
                found.append((self._hop(network, address, node, src), share))
        self._ways[link], self._of[link], self._made = ways, found, None
        return True

    def crossings(self) -> Crossings:
        """Everything that is crossed, hops included."""
        if self._made is None:
            self._made = self._extended()
        return self._made

    def _hop(self, network: str, address: str, node: str, src: str) -> int:
        """The cell of a hop; a node that packets of others pass is a gateway, listed or not."""
        if not node:
            return self._cell(network, address, IN, Place(KINDS[HOP], address))
        site = self._sites.get(node, "")
        direction = OUT if site == self._sites[src] else IN
        return self._cell(network, node, direction, Place(KINDS[GATEWAY], node, site))

    def _cell(self, network: str, name: str, direction: int, place: Place) -> int:
        cell = self._known.get((network, name, direction))
        if cell is None:
            at = self._number.setdefault(place, len(self._places))
            if at == len(self._places):
                self._places.append(place)
            cell = len(self._base.cell_place) + len(self._rows)
            self._known[network, name, direction] = cell
            self._rows.append((at, self._network[network], direction))
        return cell

    def _extended(self) -> Crossings:
        base = self._base
        rows = np.array(self._rows, np.intp).reshape(-1, 3)
        link = np.repeat(np.array([*self._of], np.intp), [len(some) for some in self._of.values()])
        cell = np.array([each[0] for some in self._of.values() for each in some], np.intp)
        share = np.array([each[1] for some in self._of.values() for each in some], np.float32)
        return Crossings(
            base.links,
            base.forward,
            base.backward,
            base.pair,
            tuple(self._places),
            base.networks,
            np.concatenate([base.cell_place, rows[:, 0]]),
            np.concatenate([base.cell_network, rows[:, 1]]),
            np.concatenate([base.cell_direction, rows[:, 2].astype(np.int64)]),
            np.concatenate([base.way, base.forward[link]]),
            np.concatenate([base.cell, cell]),
            np.concatenate([base.share, share]),
            dict(self._known),
        )


def _seen_at(ways: Sequence[tuple[str, ...]]) -> dict[str, float]:
    """Addresses that flows were seen at, and the share of flows: one whose hop there was silent counts as
    seen where no other address shows up at that hop."""
    at: dict[int, set[str]] = {}
    flows: dict[str, set[int]] = {}
    silent: dict[int, set[int]] = {}
    for flow, hops in enumerate(ways):
        for index, address in enumerate(hops):
            if address == SILENT:
                silent.setdefault(index, set()).add(flow)
            else:
                at.setdefault(index, set()).add(address)
                flows.setdefault(address, set()).add(flow)
    for index, addresses in at.items():
        if len(addresses) == 1:
            flows[next(iter(addresses))] |= silent.get(index, set())
    return {address: len(some) / len(ways) for address, some in flows.items()}
