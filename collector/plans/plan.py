"""Who probes whom, how and when: the plan of one node. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import comb

from collector.plans.timetable import timetable
from linkgauge.clock import seconds
from linkgauge.errors import ConfigError
from linkgauge.inventory import Inventory
from linkgauge.model import Link
from linkgauge.plan import PLAN_VERSION, Plan, PlanLink, Turn

COVERAGE = 0.95


class Planner:
    """Makes the plans of an inventory; what all nodes share is worked out once. Pure, thread safe."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory, self.times = inventory, timetable(inventory)
        self._outgoing: dict[str, list[Link]] = {}
        self._incoming: dict[str, list[Link]] = {}
        for link in inventory.links:
            self._outgoing.setdefault(link.src, []).append(link)
            self._incoming.setdefault(link.dst, []).append(link)
        self._flows = flows_for(inventory.probing.stamp.paths)

    def plan(self, name: str) -> Plan:
        """The plan of one node. Raises ConfigError for one that is not there."""
        inventory, times = self.inventory, self.times
        node = inventory.nodes.get(name)
        if node is None:
            raise ConfigError(f"node {name} is not in the inventory; add it to nodes")
        outgoing, incoming = self._outgoing.get(name, []), self._incoming.get(name, [])
        probing = inventory.probing
        stamp, icmp, tcp, throughput = probing.stamp, probing.icmp, probing.tcp, probing.throughput
        tls, path = probing.tls, probing.path
        return Plan(
            version=PLAN_VERSION,
            agent=name,
            window_ns=seconds(inventory.window_s),
            links=[
                PlanLink(str(link), *_ends(inventory, link), inventory.nodes[link.dst].reflector)
                for link in outgoing
            ],
            peers=sorted({_ends(inventory, link)[0] for link in incoming}),
            locals=sorted(node.addresses.values()),
            stamp_interval_ns=seconds(1 / stamp.rate_pps),
            stamp_timeout_ns=seconds(stamp.timeout_s),
            stamp_port=stamp.port,
            classes=stamp.classes,
            icmp_interval_ns=seconds(icmp.interval_s) if icmp else 0,
            icmp_timeout_ns=seconds(icmp.timeout_s) if icmp else 0,
            tcp_interval_ns=seconds(tcp.interval_s) if tcp else 0,
            tcp_timeout_ns=seconds(tcp.timeout_s) if tcp else 0,
            tcp_port=tcp.port if tcp else 0,
            throughput_port=throughput.port if throughput else 0,
            throughput_duration_ns=times.duration_ns,
            cycle_ns=times.cycle_ns,
            turns=self._turns(outgoing, incoming),
            throughput_limit_bps=throughput.limit_bps if throughput else 0,
            flows=self._flows,
            poisson=stamp.spacing == "poisson",
            authenticated=stamp.authenticated,
            size_bytes=stamp.size_bytes,
            transmit_stamps=stamp.transmit_stamps,
            path_interval_ns=seconds(path.interval_s) if path else 0,
            path_flows=path.flows if path else 1,
            path_max_hops=path.max_hops if path else 30,
            tls_interval_ns=seconds(tls.interval_s) if tls else 0,
            tls_timeout_ns=seconds(tls.timeout_s) if tls else 0,
            tls_port=tls.port if tls else 0,
        )

    def _turns(self, outgoing: Sequence[Link], incoming: Sequence[Link]) -> list[Turn]:
        offset_ns, turns = self.times.offset_ns, []
        for link in outgoing if offset_ns else ():
            source, destination = _ends(self.inventory, link)
            turns.append(Turn(str(link), "send", source, destination, offset_ns[link]))
        for link in incoming if offset_ns else ():
            source, destination = _ends(self.inventory, link)
            turns.append(Turn(str(link), "serve", destination, source, offset_ns[link]))
        return sorted(turns, key=lambda turn: turn.offset_ns)


def plan_for(inventory: Inventory, node: str) -> Plan:
    """The plan of one node alone. Raises ConfigError."""
    return Planner(inventory).plan(node)


def flows_for(paths: int) -> int:
    """Least number of flows that use each of `paths` equal paths with probability COVERAGE, when each flow
    takes one at random: inclusion and exclusion of the paths left out (the coupon collector's problem).
    One path needs one flow, 4 need 16, 8 need 38, 16 need 90, 32 need 203.
    """
    flows = paths
    while _covered(paths, flows) < COVERAGE:
        flows += 1
    return flows


def _covered(paths: int, flows: int) -> float:
    return sum((-1.0) ** j * comb(paths, j) * (1 - j / paths) ** flows for j in range(paths + 1))


def _ends(inventory: Inventory, link: Link) -> tuple[str, str]:
    """Addresses of source and destination on the link's network."""
    source, destination = inventory.nodes[link.src], inventory.nodes[link.dst]
    return source.addresses[link.network], destination.addresses[link.network]


def etag(encoded: bytes) -> str:
    """A quoted word that changes exactly when the plan does (RFC 9110 section 8.8.3)."""
    return f'"{hashlib.sha256(encoded).hexdigest()[:32]}"'
