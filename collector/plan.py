"""Who probes whom, how and when: the plan of one node, and the timetable of throughput tests. Pure.

A throughput test fills the links that it runs over, so no node may be in two at once. The timetable is an
edge colouring: links are edges, nodes their ends, a slot of the cycle is a colour. Networks share it because
they share the nodes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import comb

from linkgauge.clock import NS_PER_S, seconds
from linkgauge.errors import ConfigError
from linkgauge.inventory import Inventory
from linkgauge.model import Link
from linkgauge.plan import PLAN_VERSION, Plan, PlanLink, Turn, encode_plan

COVERAGE = 0.95
GUARD_RATIO = 0.2
GUARD_NS = NS_PER_S
"""Pause between tests at a node: the greater of a fifth of a test and a second, for clocks and setting up."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """Offset of each link's throughput test in the cycle, ns; empty when throughput is switched off."""

    duration_ns: int
    slot_ns: int
    cycle_ns: int
    offset_ns: Mapping[Link, int]


def timetable(inventory: Inventory) -> Timetable:
    """Give every link a slot so that no node is in two tests at once; the same inventory, the same slots.

    cycle_ns: at least `every_s` and all slots, in whole windows.
    """
    throughput = inventory.probing.throughput
    if throughput is None:
        return Timetable(0, 0, 0, {})
    duration_ns = seconds(throughput.duration_s)
    slot_ns = duration_ns + max(GUARD_NS, int(duration_ns * GUARD_RATIO))
    slots = _slots(inventory.links)
    window_ns = seconds(inventory.window_s)
    need_ns = max(seconds(throughput.every_s), slot_ns * (max(slots.values(), default=0) + 1))
    cycle_ns = -(-need_ns // window_ns) * window_ns
    return Timetable(duration_ns, slot_ns, cycle_ns, {link: slot * slot_ns for link, slot in slots.items()})


def _slots(links: Mapping[Link, object]) -> dict[Link, int]:
    """Greedy edge colouring, links with the busiest ends first; fewer than twice the busiest node's links."""
    degree = Counter(name for link in links for name in (link.src, link.dst))
    busy = dict.fromkeys(degree, 0)  # bit k: the node is in a test in slot k
    slots = {}
    for link in sorted(links, key=lambda link: (-degree[link.src] - degree[link.dst], link)):
        free = ~(busy[link.src] | busy[link.dst])
        lowest = free & -free
        busy[link.src] |= lowest
        busy[link.dst] |= lowest
        slots[link] = lowest.bit_length() - 1
    return slots


def plan_for(inventory: Inventory, node_name: str, times: Timetable | None = None) -> Plan:
    """The plan of one node; `times` spares working out the timetable again. Raises ConfigError."""
    node = inventory.nodes.get(node_name)
    if node is None:
        raise ConfigError(f"node {node_name} is not in the inventory; add it to nodes")
    times = times or timetable(inventory)
    outgoing = [link for link in inventory.links if link.src == node_name]
    incoming = [link for link in inventory.links if link.dst == node_name]
    probing = inventory.probing
    stamp, icmp, tcp, throughput = probing.stamp, probing.icmp, probing.tcp, probing.throughput
    tls, path = probing.tls, probing.path
    return Plan(
        version=PLAN_VERSION,
        agent=node_name,
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
        turns=_turns(inventory, node_name, times),
        throughput_limit_bps=throughput.limit_bps if throughput else 0,
        flows=flows_for(stamp.paths),
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


def _turns(inventory: Inventory, node: str, times: Timetable) -> list[Turn]:
    turns = []
    for link, offset_ns in times.offset_ns.items():
        source, destination = _ends(inventory, link)
        if link.src == node:
            turns.append(Turn(str(link), "send", source, destination, offset_ns))
        elif link.dst == node:
            turns.append(Turn(str(link), "serve", destination, source, offset_ns))
    return sorted(turns, key=lambda turn: turn.offset_ns)


def _ends(inventory: Inventory, link: Link) -> tuple[str, str]:
    """Addresses of source and destination on the link's network."""
    source, destination = inventory.nodes[link.src], inventory.nodes[link.dst]
    return source.addresses[link.network], destination.addresses[link.network]


def etag(plan: Plan) -> str:
    """A quoted word that changes exactly when the plan does (RFC 9110 section 8.8.3)."""
    return f'"{hashlib.sha256(encode_plan(plan)).hexdigest()[:32]}"'
