"""The targets of a round as columns. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkgauge.plan import PlanLink
from probes.sockets.raw_name import HOST, NAME_SIZE, raw_name

"""Where the address stands in a raw name of either family; the octets before it hold family and port."""


@dataclass(frozen=True, slots=True)
class Targets:
    """n targets. links: those they were made of.

    name (n, NAME_SIZE) uint8: raw addresses. unresolved (n,) bool: the peer is no address. rows: of each
    local address the rows that can be sent from it, (k,) intp; a peer of another IP version is in none.
    """

    links: Sequence[PlanLink]
    name: NDArray[np.uint8]
    unresolved: NDArray[np.bool_]
    rows: Mapping[str, NDArray[np.intp]]

    @classmethod
    def of(cls, links: Sequence[PlanLink]) -> Targets:
        """The targets of these links."""
        name = np.zeros((len(links), NAME_SIZE), np.uint8)
        unresolved = np.zeros(len(links), np.bool_)
        rows: dict[str, list[int]] = {}
        for row, link in enumerate(links):
            try:
                version = ipaddress.ip_address(link.peer).version
            except ValueError:
                unresolved[row] = True
                continue
            name[row] = raw_name(link.peer, 0)
            if (":" in link.local) == (version == 6):
                rows.setdefault(link.local, []).append(row)
        columns = {local: np.array(mine, np.intp) for local, mine in rows.items()}
        return cls(tuple(links), name, unresolved, columns)

    def are(self, row: NDArray[np.intp], name: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Whether each raw address is that of the target in that row; ports do not count."""
        same: NDArray[np.bool_] = (self.name[row, HOST] == name[:, HOST]).all(axis=1)
        return same
