"""What sweeps saw, as further entries of `Crossings`: which ways pass which hops. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from quality.crossings import GATEWAY, HOP, IN, KINDS, OUT, Crossings, Place

SILENT = "*"


def with_hops(
    crossings: Crossings, sweeps: Mapping[int, Sequence[tuple[str, ...]]], owner: Mapping[str, str]
) -> Crossings:
    """With the hops of the last sweeps, link (0..n-1) -> addresses in order for each of its flows.

    Entries are added to those that are there. owner: address -> node, for every address of the inventory.
    """
    cells = _Cells(crossings)
    found: list[tuple[int, int, bool]] = []
    links = crossings.links
    of_link = list(zip(links.src.tolist(), links.dst.tolist(), links.network.tolist(), strict=True))
    for link, ways in sweeps.items():
        src, dst, network = of_link[link]
        for address, whole in _seen_at(ways).items():
            node = owner.get(address, "")
            if node not in (src, dst):
                found.append((int(crossings.forward[link]), cells.hop(network, address, node, src), whole))
    return cells.extended(found)


class _Cells:
    """Grows the cells of `base`."""

    def __init__(self, base: Crossings) -> None:
        self._base, self._places = base, list(base.places)
        self._number = {place: at for at, place in enumerate(base.places)}
        self._known = dict(base.hop_cell)
        self._rows: list[tuple[int, int, int]] = []
        self._network = {name: at for at, name in enumerate(base.networks)}
        self._sites = dict(zip(base.links.src.tolist(), base.links.src_site.tolist(), strict=True))
        self._sites |= dict(zip(base.links.dst.tolist(), base.links.dst_site.tolist(), strict=True))

    def hop(self, network: str, address: str, node: str, src: str) -> int:
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

    def extended(self, found: Sequence[tuple[int, int, bool]]) -> Crossings:
        base = self._base
        rows = np.array(self._rows, np.intp).reshape(-1, 3)
        more = np.array(found, np.intp).reshape(-1, 3)
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
            np.concatenate([base.way, more[:, 0]]),
            np.concatenate([base.cell, more[:, 1]]),
            np.concatenate([base.whole, more[:, 2] != 0]),
            self._known,
        )


def _seen_at(ways: Sequence[tuple[str, ...]]) -> dict[str, bool]:
    """Addresses that flows were seen at, and whether each flow was: one whose hop there was silent counts as
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
    return {address: len(some) == len(ways) for address, some in flows.items()}
