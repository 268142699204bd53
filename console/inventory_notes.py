"""What is allowed in an inventory and probably not meant: a sentence for each, with its mend. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches

from alerts.rule import Rule
from collector.plans.plan import flows_for
from collector.plans.timetable import timetable
from console import packet_notes
from linkgauge.clock import NS_PER_S
from linkgauge.inventory import Inventory
from probes.engine.plan_sessions import CHEAP_STAMPS_PPS, MOST_SESSIONS
from probes.path.probe import FULL, MOST_PPS
from probes.stamp.tlv import layout

MANY_NODES = 200
"""A full mesh of more is 40 000 links: thinned to two representatives a site it tells nearly as much."""
USUAL_HOPS = 10
"""Packets of a sweep are guessed by this."""
_DAY_NS = 86_400 * NS_PER_S


def notes(inventory: Inventory, rules: Sequence[Rule] = (), now_ns: int = 0) -> list[str]:
    """One sentence for each; empty when nothing is odd. rules: those there are; now_ns: Unix."""
    return [
        *_meshes(inventory),
        *_packets(inventory),
        *packet_notes.notes(inventory, rules),
        *_sizes(inventory),
        *_sweeps(inventory),
        *_cycle(inventory),
        *_silences(inventory, [rule.name for rule in rules]),
        *_over(inventory, now_ns),
    ]


def _meshes(inventory: Inventory) -> Iterator[str]:
    for at, (name, network) in enumerate(inventory.meshes.items()):
        nodes = len(inventory.members(name))
        if network.mesh == "full" and nodes > MANY_NODES:
            yield (
                f"networks[{at}].mesh: a full mesh of {nodes} nodes is {nodes * (nodes - 1)} links; "
                "thinned covers every pair of sites with far fewer"
            )


def _busiest(inventory: Inventory) -> tuple[str, int]:
    """The node that most links start at, and how many."""
    outgoing = Counter(link.src for link in inventory.links)
    return max(outgoing.items(), key=lambda item: item[1], default=("", 0))


def _packets(inventory: Inventory) -> Iterator[str]:
    stamp, (node, links) = inventory.probing.stamp, _busiest(inventory)
    rate_pps = links * len(stamp.classes) * stamp.rate_pps
    if rate_pps > CHEAP_STAMPS_PPS:
        yield (
            f"probing.stamp.rate_pps: {node} sends {rate_pps:.0f} packets a second over its {links} links; "
            f"above {CHEAP_STAMPS_PPS} it goes without transmit stamps by default; lower it or thin the mesh"
        )
    sessions = links * len(stamp.classes) * flows_for(stamp.paths)
    if sessions > MOST_SESSIONS:
        yield (
            f"probing.stamp.paths: {node} would have {sessions} sessions, at most {MOST_SESSIONS} can be; "
            "take fewer paths or classes, or a thinned mesh"
        )


def _sizes(inventory: Inventory) -> Iterator[str]:
    stamp = inventory.probing.stamp
    least = layout(0, tlvs=True, authenticated=stamp.authenticated).size
    if 0 < stamp.size_bytes < least:
        yield (
            f"probing.stamp.size_bytes: packets have {least} octets instead of {stamp.size_bytes}, because "
            f"what they ask the far end to tell takes so many; set {least} or more, or 0"
        )


def _sweeps(inventory: Inventory) -> Iterator[str]:
    path, stamp, (node, links) = inventory.probing.path, inventory.probing.stamp, _busiest(inventory)
    if path is None:
        return
    sweeps = links * (min(path.flows, flows_for(stamp.paths)) + (len(stamp.classes) > 1))
    packets, room = sweeps * (min(USUAL_HOPS, path.max_hops) + 1), FULL * path.interval_s * MOST_PPS
    if packets > room:
        yield (
            f"probing.path.interval_s: {node} has {sweeps} sweeps a round, about {packets} packets, and "
            f"sends {room:.0f} in {path.interval_s:g} s; the rest waits for later rounds; make it longer"
        )


def _cycle(inventory: Inventory) -> Iterator[str]:
    cycle_ns = timetable(inventory).cycle_ns
    throughput = inventory.probing.throughput
    if throughput is not None and cycle_ns > max(_DAY_NS, throughput.every_s * NS_PER_S):
        yield (
            f"probing.throughput.duration_s: with {throughput.duration_s:g} s a test it takes "
            f"{cycle_ns / _DAY_NS:.1f} days until each link had its turn; shorten it or thin the mesh"
        )


def _silences(inventory: Inventory, rules: Collection[str]) -> Iterator[str]:
    for at, silence in enumerate(inventory.silences):
        for name in sorted(silence.rules - set(rules) if rules else ()):
            near = get_close_matches(name, rules, 1)
            mend = f"did you mean {near[0]}?" if near else "`linkgauge alerts list` has their names"
            yield f"silences[{at}].rules: there is no rule {name}, so nothing is silent by it; {mend}"


def _over(inventory: Inventory, now_ns: int) -> Iterator[str]:
    ends = {
        "maintenance": [work.until_ns for work in inventory.maintenance],
        "silences": [silence.until_ns for silence in inventory.silences],
    }
    for key, until_ns in ends.items():
        over = [f"{key}[{at}]" for at, end_ns in enumerate(until_ns) if end_ns <= now_ns]
        if over:
            yield f"{', '.join(over)}: over; take out what is over"
