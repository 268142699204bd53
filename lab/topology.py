"""The lab's network as one frozen value, and the truth that follows from it.

`lab.blueprint` builds from this value and `Topology.true_delay_us` computes from the same value, so what is
built and what is claimed cannot part. A network plane is a set of hubs (routers or one bridge); members hang
on a hub by a wire, hubs are joined by trunks, of which a packet takes the fewest. The true one-way delay of a
link is the sum of the wires on its path; a plain cable counts 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lab import routing
from linkgauge.errors import LabError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class SitePlace:
    """A compute centre of the lab; coordinates in degrees, north and east positive."""

    name: str
    region: str
    operator: str
    latitude_deg: float
    longitude_deg: float


@dataclass(frozen=True, slots=True)
class NodePlace:
    """A host of a site, with its address on the management network."""

    name: str
    site: str
    management_address: str


@dataclass(frozen=True, slots=True)
class Hub:
    """Where members of a plane meet: a router with an address of its own, or a bridge (address empty)."""

    name: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A node's place on a plane: its address and the one-way delay of its wire to the hub."""

    node: str
    hub: str
    address: str
    delay_us: int


@dataclass(frozen=True, slots=True)
class Trunk:
    """A wire between two routers, with the address of each end."""

    left: str
    left_address: str
    right: str
    right_address: str
    delay_us: int


@dataclass(frozen=True, slots=True)
class NetworkPlane:
    """A network that some nodes share.

    `capacity_bps` limits the egress of each member, in bits of layer-2 frames per second; 0 is unlimited.
    `prefix` holds every address of the plane.
    """

    name: str
    kind: Literal["routed", "bridged", "loopback"]
    prefix: str
    capacity_bps: int
    hubs: tuple[Hub, ...]
    members: tuple[Member, ...]
    trunks: tuple[Trunk, ...] = ()

    def __post_init__(self) -> None:
        if self.kind == "bridged" and len(self.hubs) != 1:
            raise LabError(f"network {self.name} is bridged and has {len(self.hubs)} hubs: give it one")
        hubs = {hub.name for hub in self.hubs}
        used = {m.hub for m in self.members} | {h for t in self.trunks for h in (t.left, t.right)}
        if unknown := sorted(used - hubs):
            raise LabError(f"network {self.name} has no hub {unknown[0]}: name one of {sorted(hubs)}")
        delays_us = [m.delay_us for m in self.members] + [t.delay_us for t in self.trunks]
        if min(delays_us, default=0) < 0:
            raise LabError(f"network {self.name} has a negative delay_us: give 0 or more")
        for a in hubs:
            for b in hubs - routing.distances(self.trunks, a).keys():
                raise LabError(
                    f"network {self.name} has no trunk between {a} and {b}: join them, or by others"
                )
        for one in self.members:
            for other in self.members:
                self.between_us(one.hub, other.hub)

    def member(self, node: str) -> Member:
        """The node's place on this plane; LabError when it has none."""
        for member in self.members:
            if member.node == node:
                return member
        raise LabError(f"node {node} is not on network {self.name}: choose one of its members")

    def hub(self, name: str) -> Hub:
        """The hub of that name."""
        return next(hub for hub in self.hubs if hub.name == name)

    def between_us(self, a: str, b: str) -> int:
        """Delay of the trunks between two hubs; LabError where equal ways differ."""
        delays_us = {
            sum(self.trunks[number].delay_us for number in way) for way in routing.ways(self.trunks, a, b)
        }
        if len(delays_us) > 1:
            raise LabError(
                f"network {self.name}: equal ways from {a} to {b} differ in delay: make them equal"
            )
        return delays_us.pop()


@dataclass(frozen=True, slots=True)
class Topology:
    """Sites, nodes and planes; the management network joins every node to the center without delay."""

    sites: tuple[SitePlace, ...]
    nodes: tuple[NodePlace, ...]
    planes: tuple[NetworkPlane, ...]
    center_address: str
    management_prefix_bits: int = 24

    def __post_init__(self) -> None:
        for kind, names in (
            ("site", [s.name for s in self.sites]),
            ("node", [n.name for n in self.nodes]),
            ("network", [p.name for p in self.planes]),
        ):
            for name in names:
                if not _NAME.fullmatch(name):
                    raise LabError(f"{kind} name {name!r} must match [a-z0-9][a-z0-9-]*: rename it")
                if names.count(name) > 1:
                    raise LabError(f"{kind} {name} is named twice: rename one")
        for node in self.nodes:
            self.site(node.site)
        for plane in self.planes:
            for member in plane.members:
                self.node(member.node)

    def site(self, name: str) -> SitePlace:
        """The site of that name; LabError when unknown."""
        for site in self.sites:
            if site.name == name:
                return site
        raise LabError(f"the lab has no site {name}: it has {', '.join(s.name for s in self.sites)}")

    def node(self, name: str) -> NodePlace:
        """The node of that name; LabError when unknown."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise LabError(f"the lab has no node {name}: it has {', '.join(n.name for n in self.nodes)}")

    def plane(self, network: str) -> NetworkPlane:
        """The plane of that name; LabError when unknown."""
        for plane in self.planes:
            if plane.name == network:
                return plane
        raise LabError(f"the lab has no network {network}: it has {', '.join(p.name for p in self.planes)}")

    def address(self, node: str, network: str) -> str:
        """The node's IPv4 address on that network."""
        return self.plane(network).member(node).address

    def management_address(self, node: str) -> str:
        """The node's IPv4 address on the management network."""
        return self.node(node).management_address

    def capacity_bps(self, network: str) -> int:
        """What each member may send, bits of layer-2 frames per second; 0 is unlimited."""
        return self.plane(network).capacity_bps

    def true_delay_us(self, src: str, dst: str, network: str) -> int:
        """The one-way delay of a link in microseconds: the sum of the wires on its path."""
        plane = self.plane(network)
        one, other = plane.member(src), plane.member(dst)
        if src == dst:
            raise LabError(f"a link needs two nodes and got {src} twice: name another node")
        return one.delay_us + plane.between_us(one.hub, other.hub) + other.delay_us

    def links(self) -> Iterator[tuple[str, str, str]]:
        """All (src, dst, network): every ordered pair of members of each network."""
        for plane in self.planes:
            for one in plane.members:
                for other in plane.members:
                    if one.node != other.node:
                        yield one.node, other.node, plane.name
