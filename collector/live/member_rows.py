"""MEMBER rows: how each node stands on each of its networks, by the links from it. Not thread safe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Frame
from linkgauge.inventory import Inventory
from linkgauge.judged_tables import DOWN_S
from linkgauge.model import Verdict
from linkgauge.schema import MEMBER

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Roll:
    """The members of an inventory, (m,) each, and of each link of a STATE frame the member it begins at."""

    inventory: Inventory | None
    links: NDArray[np.object_]
    columns: dict[str, list[Any]]
    member: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.columns["node"])


class MemberRows:
    """inventory: the one in force when called."""

    def __init__(self, inventory: Callable[[], Inventory]) -> None:
        self._inventory = inventory
        self._roll = _Roll(None, np.empty(0, np.object_), {}, np.empty(0, np.intp))

    def rows(self, state: Frame) -> Frame:
        """A row for every node on every network that it is on, of the window of these STATE rows."""
        roll = self._rolled(state)
        members = len(roll)
        verdict, down = state.count("verdict"), state.real("unanswered_s") > DOWN_S
        counts = {
            "links_met": verdict == Verdict.MET,
            "links_missed": verdict == Verdict.MISSED,
            "links_unknown": verdict == Verdict.UNKNOWN,
            "links_down": down,
        }
        window = {name: [int(state.count(name)[0])] * members for name in ("start_ns", "length_ns")}
        received = state.real("received_bps")
        return Frame.of(
            MEMBER,
            {
                **roll.columns,
                **window,
                **{name: self._counted(which) for name, which in counts.items()},
                "promised_bps": self._end(np.fmax, state.real("promised_bps")),
                "received_least_bps": self._end(np.fmin, received),
                "received_most_bps": self._end(np.fmax, received),
            },
            members,
        )

    def _counted(self, which: Mask) -> NDArray[np.int64]:
        member = self._roll.member
        return np.bincount(member[which & (member >= 0)], minlength=len(self._roll)).astype(np.int64)

    def _end(self, choose: np.ufunc, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The least or the most of the values of each member's links, (m,); NaN where none is known."""
        made, member = np.full(len(self._roll), np.nan), self._roll.member
        known = member >= 0
        choose.at(made, member[known], values[known])
        return made

    def _rolled(self, state: Frame) -> _Roll:
        """Who the members are, and which link is whose; found anew when inventory or links have changed."""
        inventory, links = self._inventory(), state.text("link")
        if inventory is self._roll.inventory and np.array_equal(links, self._roll.links):
            return self._roll
        nodes = inventory.nodes.values()
        named = [(node.name, network, node.site) for node in nodes for network in node.addresses]
        columns: dict[str, list[Any]] = {
            key: [each[at] for each in named] for at, key in enumerate(("node", "network", "site"))
        }
        columns["gateway"] = [int(node in inventory.networks[network].gateways) for node, network, _ in named]
        number = {(node, network): at for at, (node, network, _) in enumerate(named)}
        ends = [(link.partition(">")[0], link.rpartition("@")[2]) for link in links.tolist()]
        member = np.array([number.get(end, -1) for end in ends], np.intp)
        self._roll = _Roll(inventory, links, columns, member)
        return self._roll
