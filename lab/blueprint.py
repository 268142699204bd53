"""What to tell the kernel to build a topology. Pure: values in, texts for `ip -batch` and `sh` out.

Interfaces inside the namespaces: a node has `net<k>` for the k-th network and `mgmt`; a hub has `m<k>` for
its members, `t<k>` for its trunks and `br0` when it is a bridge; the `ether` namespace has `w<k>a`, `w<k>b`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lab import routing
from lab.names import center_namespace, ether_namespace, hub_namespace, node_namespace
from lab.topology import Hub, NetworkPlane, Topology

_TBF_LIMIT_OCTETS = 1_000_000
_TBF_BURST_OCTETS = 32_768
End = tuple[str, str]
"""A namespace and an interface in it."""
_TCP_OCTETS = "4096 65536 262144"  # below the tbf's limit, so that TCP cannot overrun its queue


@dataclass(frozen=True, slots=True)
class Wire:
    """Two interfaces in the ether namespace whose frames cross with a one-way delay.

    name: NETWORK/NODE of a member's wire, its left end is the node's; NETWORK/LEFT-RIGHT of a trunk.
    """

    left: str
    right: str
    delay_us: int
    name: str = ""


@dataclass(slots=True)
class Room:
    """A draft of what is done inside one namespace; it grows while the topology is read.

    Order of the work: settings, then `ip` lines, then `tc` lines.
    """

    settings: list[str] = field(default_factory=list)
    ip: list[str] = field(default_factory=list)
    tc: list[str] = field(default_factory=list)

    def script(self) -> str:
        """The room as text for `sh -e`."""
        quiet = "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do [ ! -e $f ] || echo 1 > $f; done"
        lines = [quiet, *self.settings, "ip -batch - <<END", "link set lo up", *self.ip, "END"]
        return "\n".join([*lines, *(["tc -batch - <<END", *self.tc, "END"] if self.tc else []), ""])


class Blueprint:
    """The texts that build `topology` as the world `world`.

    `creation()` is for `ip -batch` in the host's namespace, `scripts()` is one `sh -e` text per namespace,
    `wires` is what the ether has to join.
    """

    def __init__(self, topology: Topology, world: str) -> None:
        self.wires: list[Wire] = []
        self._world = world
        self._links: list[str] = []
        self._ether = ether_namespace(world)
        self._rooms: dict[str, Room] = {self._ether: Room()}
        for node in topology.nodes:
            self._rooms[node_namespace(world, node.name)] = _node_room()
        self._add_management(topology)
        for number, plane in enumerate(topology.planes):
            self._add_plane(plane, f"net{number}")

    @property
    def namespaces(self) -> tuple[str, ...]:
        """All namespaces of the world."""
        return tuple(self._rooms)

    def creation(self) -> str:
        """Makes every namespace and every interface, each in the namespace where it stays."""
        return "\n".join([*(f"netns add {name}" for name in self._rooms), *self._links, ""])

    def scripts(self) -> dict[str, str]:
        """Settings, addresses, routes and limits, by namespace."""
        return {name: room.script() for name, room in self._rooms.items()}

    def _add_management(self, topology: Topology) -> None:
        center = center_namespace(self._world)
        bits = topology.management_prefix_bits
        self._rooms[center] = room = _bridge_room()
        room.ip.append(f"addr add {topology.center_address}/{bits} dev br0")
        for number, node in enumerate(topology.nodes):
            name = node_namespace(self._world, node.name)
            self._cable((name, "mgmt"), (center, f"m{number}"), 0, "management")
            self._rooms[name].ip.append(f"addr add {node.management_address}/{bits} dev mgmt")
            room.ip.append(f"link set m{number} master br0")

    def _add_plane(self, plane: NetworkPlane, interface: str) -> None:
        for hub in plane.hubs:
            room = _router_room() if plane.kind == "routed" else _bridge_room()
            self._rooms[hub_namespace(self._world, plane.name, hub.name)] = room
        for number, member in enumerate(plane.members):
            node, hub = node_namespace(self._world, member.node), plane.hub(member.hub)
            at_hub = hub_namespace(self._world, plane.name, hub.name)
            wire = f"{plane.name}/{member.node}"
            self._cable((node, interface), (at_hub, f"m{number}"), member.delay_us, wire)
            if plane.kind == "routed":
                self._route_member(plane, hub, node, interface, number)
            else:
                bits = plane.prefix.partition("/")[2]
                self._rooms[node].ip.append(f"addr add {member.address}/{bits} dev {interface}")
                self._rooms[at_hub].ip.append(f"link set m{number} master br0")
            if plane.capacity_bps:
                self._rooms[node].tc.append(_limit(interface, plane.capacity_bps))
        self._add_trunks(plane)

    def _route_member(self, plane: NetworkPlane, hub: Hub, node: str, interface: str, number: int) -> None:
        address = plane.members[number].address
        room = self._rooms[hub_namespace(self._world, plane.name, hub.name)]
        room.ip.append(f"addr add {hub.address} peer {address}/32 dev m{number}")
        self._rooms[node].ip += [
            f"addr add {address} peer {hub.address}/32 dev {interface}",
            f"route add {plane.prefix} via {hub.address} dev {interface}",
        ]

    def _add_trunks(self, plane: NetworkPlane) -> None:
        for number, trunk in enumerate(plane.trunks):
            near, far = (hub_namespace(self._world, plane.name, name) for name in (trunk.left, trunk.right))
            wire = f"{plane.name}/{trunk.left}-{trunk.right}"
            self._cable((near, f"t{number}"), (far, f"t{number}"), trunk.delay_us, wire)
            for room, own, peer in (
                (near, trunk.left_address, trunk.right_address),
                (far, trunk.right_address, trunk.left_address),
            ):
                self._rooms[room].ip.append(f"addr add {own} peer {peer}/32 dev t{number}")
        for hub in plane.hubs if plane.kind == "routed" else ():
            room = hub_namespace(self._world, plane.name, hub.name)
            self._rooms[room].ip += [
                f"route add {member.address}/32 {_steps(plane, hub.name, member.hub)}"
                for member in plane.members
                if member.hub != hub.name
            ]

    def _cable(self, near: End, far: End, delay_us: int, name: str) -> None:
        """Join two interfaces: by a plain veth without delay, else by a wire through the ether."""
        if delay_us == 0:
            ends = [(near, far)]
        else:
            number = len(self.wires)
            wire = Wire(f"w{number}a", f"w{number}b", delay_us, name)
            self.wires.append(wire)
            self._rooms[self._ether].ip += [f"link set {end} up arp off" for end in (wire.left, wire.right)]
            ends = [(near, (self._ether, wire.left)), (far, (self._ether, wire.right))]
        self._links += [
            f"link add {i} netns {n} type veth peer name {j} netns {m}" for (n, i), (m, j) in ends
        ]
        for namespace, interface in (near, far):
            self._rooms[namespace].ip.append(f"link set {interface} up")


def _steps(plane: NetworkPlane, here: str, target: str) -> str:
    """The next hops of a route from one hub to another, as `ip route` wants them."""
    steps = []
    for number, beyond in routing.next_trunks(plane.trunks, here, target):
        trunk = plane.trunks[number]
        address = trunk.right_address if trunk.right == beyond else trunk.left_address
        steps.append(f"via {address} dev t{number}")
    return steps[0] if len(steps) == 1 else " ".join(f"nexthop {step}" for step in steps)


def _node_room() -> Room:
    return Room(
        settings=[
            f"echo '{_TCP_OCTETS}' > /proc/sys/net/ipv4/tcp_wmem",
            f"echo '{_TCP_OCTETS}' > /proc/sys/net/ipv4/tcp_rmem",
            "echo '0 2147483647' > /proc/sys/net/ipv4/ping_group_range",
        ]
    )


def _router_room() -> Room:
    """A router that spreads flows over equal ways by addresses and ports, and answers every traceroute."""
    values = {
        "ip_forward": 1,
        "fib_multipath_hash_policy": 1,
        "icmp_ratelimit": 0,
        "icmp_errors_use_inbound_ifaddr": 1,
    }
    return Room(settings=[f"echo {value} > /proc/sys/net/ipv4/{name}" for name, value in values.items()])


def _bridge_room() -> Room:
    return Room(ip=["link add br0 type bridge stp_state 0 forward_delay 0", "link set br0 up"])


def _limit(interface: str, capacity_bps: int) -> str:
    return (
        f"qdisc add dev {interface} root tbf rate {capacity_bps}bit "
        f"burst {_TBF_BURST_OCTETS} limit {_TBF_LIMIT_OCTETS}"
    )
