"""The truth of a fault in a topology: which links it touches, and where it is. Pure."""

from __future__ import annotations

from lab import routing
from lab.faults.fault import Fault, Link, Truth
from lab.topology import NetworkPlane, Topology
from linkgauge.errors import LabError


def truth(topology: Topology, fault: Fault) -> Truth:
    """What the fault does. Raises LabError when it names what the topology does not have."""
    topology.true_delay_us(*fault.link)  # refuses a link that is not there
    links = frozenset(_TOUCHED[fault.of.on](topology, fault))
    back = frozenset((dst, src, network) for src, dst, network in links)
    kind = fault.of
    return Truth(
        links, back - links, kind.direction, _places(topology, fault), kind.must, kind.may, kind.seen_in
    )


def _one(topology: Topology, fault: Fault) -> list[Link]:
    if fault.kind != "mtu-cut":
        return [fault.link]
    return [link for link in topology.links() if link[1:] == fault.link[1:]]


def _node(topology: Topology, fault: Fault) -> list[Link]:
    name = topology.node(fault.place).name
    if fault.kind == "node-down":
        return [link for link in topology.links() if name in link[:2]]
    return [link for link in topology.links() if link[1] == name and link[2] == fault.link[2]]


def _site(topology: Topology, fault: Fault) -> list[Link]:
    site = topology.site(fault.place).name
    inside = {node.name for node in topology.nodes if node.site == site}
    return [
        link
        for link in topology.links()
        if link[2] == fault.link[2] and (link[0] in inside) != (link[1] in inside)
    ]


def _hub(topology: Topology, fault: Fault) -> list[Link]:
    """Links of which some way enters the hub over the trunk by which the fault's own link does."""
    plane = topology.plane(fault.link[2])
    entered = entry(plane, fault)
    return [link for link in topology.links() if link[2] == plane.name and entered in _steps(plane, link)]


def _trunk(topology: Topology, fault: Fault) -> list[Link]:
    plane = topology.plane(fault.link[2])
    wanted = step(plane, fault)
    return [link for link in topology.links() if link[2] == plane.name and wanted in _steps(plane, link)]


_TOUCHED = {"link": _one, "node": _node, "site": _site, "hub": _hub, "trunk": _trunk}


def entry(plane: NetworkPlane, fault: Fault) -> tuple[int, str]:
    """(number of the trunk, hub) by which the fault's link enters its hub."""
    for number, hub in sorted(_steps(plane, fault.link)):
        if hub == fault.place:
            return number, hub
    raise LabError(
        f"{'>'.join(fault.link[:2])} does not cross {fault.place} on {plane.name}: name a hub on its way"
    )


def step(plane: NetworkPlane, fault: Fault) -> tuple[int, str]:
    """(number of the trunk, hub beyond it) by which the fault's link crosses its trunk."""
    for number, hub in sorted(_steps(plane, fault.link)):
        trunk = plane.trunks[number]
        if fault.place in (f"{trunk.left}-{trunk.right}", f"{trunk.right}-{trunk.left}"):
            return number, hub
    raise LabError(
        f"{'>'.join(fault.link[:2])} does not cross a trunk {fault.place} on {plane.name}: name one"
    )


def _steps(plane: NetworkPlane, link: Link) -> set[tuple[int, str]]:
    """(number of a trunk, hub that it is crossed to) on any way of a link."""
    here, there = plane.member(link[0]).hub, plane.member(link[1]).hub
    taken = set()
    for way in routing.ways(plane.trunks, here, there):
        at = here
        for number in way:
            trunk = plane.trunks[number]
            at = trunk.right if at == trunk.left else trunk.left
            taken.add((number, at))
    return taken


def _places(topology: Topology, fault: Fault) -> frozenset[tuple[str, str]]:
    """Right answers: names of nodes and sites, addresses of hops (one that answers a traceroute there)."""
    plane = topology.plane(fault.link[2])
    match fault.of.on:
        case "link" if fault.kind == "mtu-cut":
            return _at_node(topology, plane, fault.link[1])
        case "link":
            return frozenset()
        case "node":
            return _at_node(topology, plane, fault.place)
        case "site":
            hub = plane.hub(_hub_of(topology, plane, fault.place))
            return frozenset({("site", fault.place), *_addresses(plane, hub.name)})
        case "hub":
            return frozenset(_addresses(plane, fault.place))
        case _:
            number, beyond = step(plane, fault)
            trunk = plane.trunks[number]
            before = trunk.left if trunk.right == beyond else trunk.right
            return frozenset({*_addresses(plane, beyond), *_addresses(plane, before)})


def _at_node(topology: Topology, plane: NetworkPlane, node: str) -> frozenset[tuple[str, str]]:
    return frozenset({("node", node), *_lonely_site(topology, plane, node)})


def _lonely_site(topology: Topology, plane: NetworkPlane, node: str) -> set[tuple[str, str]]:
    """The node's site, where no other node of the plane could tell the two apart."""
    site = topology.node(node).site
    others = [m for m in plane.members if m.node != node and topology.node(m.node).site == site]
    return set() if others else {("site", site)}


def _hub_of(topology: Topology, plane: NetworkPlane, site: str) -> str:
    return next(m.hub for m in plane.members if topology.node(m.node).site == site)


def _addresses(plane: NetworkPlane, hub: str) -> set[tuple[str, str]]:
    own = plane.hub(hub).address
    addresses = {own} if own else set()
    for trunk in plane.trunks:
        addresses |= {trunk.left_address} if trunk.left == hub else set()
        addresses |= {trunk.right_address} if trunk.right == hub else set()
    return {("hop", address) for address in addresses}
