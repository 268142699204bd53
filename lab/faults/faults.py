"""The faults at work in one namespace world: injected one after the other, ended together."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lab import namespace
from lab.blueprint import Wire
from lab.ether import Ether
from lab.faults import nft, shapes, truths
from lab.faults.fault import Fault, Truth
from lab.faults.flow_ports import flow_ports
from lab.impairment import Impairment
from lab.names import hub_namespace, node_namespace
from lab.topology import Topology
from linkgauge.errors import LabError

_PLAIN_MTU_BYTES = 1_500


class Faults:
    """In the world `world` of that topology, whose wires `ether` joins."""

    def __init__(self, topology: Topology, world: str, wires: Sequence[Wire], ether: Ether) -> None:
        self._topology, self._world, self._wires, self._ether = topology, world, wires, ether
        self._rules: dict[str, dict[Fault, list[nft.Rule]]] = {}
        self._shapes: dict[Fault, list[Impairment]] = {}
        self._cut: list[tuple[str, str]] = []

    def inject(self, fault: Fault) -> Truth:
        """Make the fault; of two of one kind on one link and place the last counts. Raises LabError."""
        truth = truths.truth(self._topology, fault)
        self._end_like(fault)
        if fault.kind in shapes.SHAPED:
            self._shapes[fault] = shapes.impairments(self._topology, self._wires, fault)
            self._shape()
        elif fault.kind == "mtu-cut":
            self._cut_mtu(fault)
        elif fault.size:
            where, rules = self._rules_of(fault)
            self._rules.setdefault(where, {})[fault] = rules
            self._write(where)
        return truth

    def clear(self) -> None:
        """End all faults; idempotent."""
        rules, self._rules = self._rules, {}
        for where in rules:
            self._write(where)
        if self._shapes:
            self._shapes = {}
            self._shape()
        cut, self._cut = self._cut, []
        for where, interface in cut:
            _set_mtu(where, interface, _PLAIN_MTU_BYTES)

    def dropped(self, node: str) -> int:
        """How many packets the rules at the node have counted since the last change of a fault there."""
        where = node_namespace(self._world, node)
        if where not in self._rules:
            return 0
        listing = json.loads(_nft(where, ["-j", "list", "table", "ip", nft.TABLE]))
        rules = [item["rule"] for item in listing["nftables"] if "rule" in item]
        return sum(part["counter"]["packets"] for rule in rules for part in rule["expr"] if "counter" in part)

    def _end_like(self, fault: Fault) -> None:
        """End what this fault takes the place of."""
        for where, rules in self._rules.items():
            like = [each for each in rules if _alike(each, fault)]
            for each in like:
                del rules[each]
            if like:
                self._write(where)
        self._shapes = {each: value for each, value in self._shapes.items() if not _alike(each, fault)}

    def _rules_of(self, fault: Fault) -> tuple[str, list[nft.Rule]]:
        """(namespace, rules)."""
        topology, network = self._topology, fault.link[2]
        plane = topology.plane(network)
        match fault.of.on:
            case "node":
                interface = f"net{topology.planes.index(plane)}"
                return node_namespace(self._world, fault.place), nft.in_node(fault, interface)
            case "site":
                hubs = {m.hub for m in plane.members if topology.node(m.node).site == fault.place}
                if plane.kind != "routed" or len(hubs) != 1:
                    raise LabError(
                        f"{fault.place} has no router of its own on {network}: name another network"
                    )
                return hub_namespace(self._world, network, hubs.pop()), nft.in_site_router()
            case "hub":
                number, hub = truths.entry(plane, fault)
                return hub_namespace(self._world, network, hub), nft.in_bad_router(f"t{number}")
        where = node_namespace(self._world, fault.link[1])
        src, dst = (topology.address(node, network) for node in fault.link[:2])
        ports = flow_ports(where, src, dst, fault.port) if fault.kind == "flow-blackhole" else []
        if fault.kind == "flow-blackhole" and not ports:
            raise LabError(f"no flow from {src} came to {dst} port {fault.port}: measure the link first")
        return where, nft.at_target(fault, src, dst, ports[fault.flow % len(ports) :][:1] if ports else ())

    def _cut_mtu(self, fault: Fault) -> None:
        _, dst, network = fault.link
        plane = self._topology.plane(network)
        if plane.kind != "routed":
            raise LabError(f"nothing on {network} tells a sender of its MTU: name a routed network")
        number = plane.members.index(plane.member(dst))
        where, interface = hub_namespace(self._world, network, plane.member(dst).hub), f"m{number}"
        _set_mtu(where, interface, round(fault.size))
        self._cut.append((where, interface))

    def _shape(self) -> None:
        self._ether.impair([each for one in self._shapes.values() for each in one])

    def _write(self, where: str) -> None:
        rules = [rule for each in self._rules.get(where, {}).values() for rule in each]
        _nft(where, ["-f", "-"], nft.table(rules))


def _alike(one: Fault, other: Fault) -> bool:
    return (one.kind, one.link, one.place, one.flow) == (other.kind, other.link, other.place, other.flow)


def _nft(where: str, args: list[str], text: str = "") -> str:
    return namespace.run(["nsenter", f"--net={namespace.path(where)}", "nft", *args], text)


def _set_mtu(where: str, interface: str, mtu_bytes: int) -> None:
    namespace.run(["ip", "-n", where, "link", "set", interface, "mtu", str(mtu_bytes)])
