"""Known faults in a namespace world: random loss of one direction between two nodes on one network.

An nftables table of its own in the destination node's namespace drops the share of packets that come from
the source's address on that network, whatever their protocol. The pair in the other direction and all other
pairs are not touched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from lab import namespace
from lab.names import node_namespace
from lab.topology import Topology
from linkgauge.errors import LabError

_TABLE = "lab_fault"
_PARTS = 1_000_000
Link = tuple[str, str, str]
"""(src, dst, network)."""


def check_ratio(ratio: float) -> None:
    """LabError when a loss ratio is not 0 to 1."""
    if not 0.0 <= ratio <= 1.0:
        raise LabError(f"loss ratio {ratio} is not between 0 and 1: give a share, such as 0.2")


def loss_table(ratios: Mapping[tuple[str, str], float]) -> str:
    """The `nft -f` text that drops ratios[source address, destination address] of the packets. Pure.

    It takes the place of an earlier table of ours; without ratios there is no table afterwards.
    """
    rules = [
        f"ip saddr {src} ip daddr {dst} {_share(ratio)} counter drop" for (src, dst), ratio in ratios.items()
    ]
    chain = "chain loss { type filter hook prerouting priority -350; policy accept;"
    lines = [f"table ip {_TABLE}", f"delete table ip {_TABLE}"]
    if rules:
        lines += [f"table ip {_TABLE} {{", chain, *rules, "}", "}"]
    return "\n".join([*lines, ""])


def _share(ratio: float) -> str:
    """The nftables match of that share of packets; empty for all, as nft wants less than the modulus."""
    parts = round(ratio * _PARTS)
    return "" if parts == _PARTS else f"numgen random mod {_PARTS} < {parts}"


class LossFaults:
    """The losses at work in the world `world`."""

    def __init__(self, topology: Topology, world: str) -> None:
        self._topology = topology
        self._world = world
        self._ratios: dict[Link, float] = {}

    def inject(self, src: str, dst: str, network: str, ratio: float) -> None:
        """Lose that share (0..1) of what src sends to dst on the network; the last word on a link counts."""
        check_ratio(ratio)
        self._topology.true_delay_us(src, dst, network)  # refuses a link that is not there
        self._ratios.pop((src, dst, network), None)
        if round(ratio * _PARTS):
            self._ratios[src, dst, network] = ratio
        self._apply(dst)

    def clear(self) -> None:
        """End all losses; idempotent."""
        nodes = {dst for _, dst, _ in self._ratios}
        self._ratios.clear()
        for node in nodes:
            self._apply(node)

    def dropped(self, dst: str) -> int:
        """How many packets the losses at dst have dropped since the last change of a loss there."""
        if not any(node == dst for _, node, _ in self._ratios):
            return 0
        listing = json.loads(self._nft(dst, ["-j", "list", "table", "ip", _TABLE]))
        rules = [item["rule"] for item in listing["nftables"] if "rule" in item]
        return sum(part["counter"]["packets"] for rule in rules for part in rule["expr"] if "counter" in part)

    def _apply(self, node: str) -> None:
        address = self._topology.address
        ratios = {
            (address(src, network), address(dst, network)): ratio
            for (src, dst, network), ratio in self._ratios.items()
            if dst == node
        }
        self._nft(node, ["-f", "-"], loss_table(ratios))

    def _nft(self, node: str, args: list[str], text: str = "") -> str:
        where = namespace.path(node_namespace(self._world, node))
        return namespace.run(["nsenter", f"--net={where}", "nft", *args], text)
