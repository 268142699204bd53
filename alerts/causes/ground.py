"""What links cross, kept up to date with the inventory and the last sweeps. Pure.

What sweeps saw is worked in a share at a time while nothing is wrong, and in full when something is: a look
at 100 000 links must not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S
from linkgauge.inventory import Inventory
from linkgauge.model import Link
from quality.places.crossings import Crossings, Links, crossings
from quality.places.hops import HopBook

Names = NDArray[np.object_]
Sweeps = Callable[[], Mapping[str, Sequence[tuple[str, ...]]]]
"""The ways of each link's flows, by its text form; see collector.live.last_paths."""

REFRESH_NS, SOON_NS = 60 * NS_PER_S, 20 * NS_PER_S
"""How often sweeps are looked at: while nothing is wrong, and else."""
AT_ONCE = 5_000
"""Links with new sweeps that are worked in at once while nothing is wrong."""


class Ground:
    """See above; not thread safe. inventory: the one in force when called."""

    def __init__(self, inventory: Callable[[], Inventory], sweeps: Sweeps) -> None:
        self._inventory, self._sweeps = inventory, sweeps
        self._known: Inventory | None = None
        self._names: Names = np.empty(0, np.object_)
        self._rows: dict[str, int] = {}
        self._book: HopBook | None = None
        self._swept_ns = 0
        self._complete = self._was_in_trouble = False

    def rows(self) -> Mapping[str, int]:
        """Where each link stands in the frame that was prepared for last."""
        return self._rows

    def prepare(self, names: Names, now_ns: int, in_trouble: bool) -> None:
        """Take up what changed. names: of the links, in the order in which they are judged."""
        inventory = self._inventory()
        if (
            inventory is not self._known
            or len(names) != len(self._names)
            or bool(np.any(names != self._names))
        ):
            self._begin(inventory, names)
        stale = abs(now_ns - self._swept_ns) >= (SOON_NS if in_trouble else REFRESH_NS)
        begins = in_trouble and not (self._was_in_trouble and self._complete)
        self._was_in_trouble = in_trouble
        if self._book is not None and (stale or begins):
            self._complete = self._sweep(self._book, len(names) if in_trouble else AT_ONCE)
            self._swept_ns = now_ns

    def crossings(self) -> Crossings | None:
        """What the links cross; None: there are no links."""
        return self._book.crossings() if self._book is not None else None

    def _begin(self, inventory: Inventory, names: Names) -> None:
        self._known, self._names, self._book, self._swept_ns = inventory, names, None, 0
        self._complete = False
        self._rows = {name: row for row, name in enumerate(names.tolist())}
        if not len(names):
            return
        links = [Link.parse(name) for name in names.tolist()]
        site = {node.name: node.site for node in inventory.nodes.values()}
        columns = (
            [link.src for link in links],
            [link.dst for link in links],
            [link.network for link in links],
            [site.get(link.src, "") for link in links],
            [site.get(link.dst, "") for link in links],
        )
        made = Links(names, *(_texts(column) for column in columns))
        gateways = {name: network.gateways for name, network in inventory.networks.items()}
        owner = {
            address: node.name for node in inventory.nodes.values() for address in node.addresses.values()
        }
        self._book = HopBook(crossings(made, gateways), owner)

    def _sweep(self, book: HopBook, most: int) -> bool:
        """Work in the sweeps of `most` links that changed; whether that was all of them."""
        changed = 0
        for name, ways in self._sweeps().items():
            row = self._rows.get(name)
            if row is not None and book.put(row, ways):
                changed += 1
                if changed > most:
                    return False
        return True


def _texts(words: Sequence[str]) -> Names:
    made = np.empty(len(words), np.object_)
    made[:] = words
    return made
