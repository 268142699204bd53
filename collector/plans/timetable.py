"""When each link is tested for throughput. Pure.

A throughput test fills the links that it runs over, so no node may be in two at once. The timetable is an
edge colouring: links are edges, nodes their ends, a slot of the cycle is a colour. Networks share it because
they share the nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from linkgauge.clock import NS_PER_S, seconds
from linkgauge.inventory import Inventory
from linkgauge.model import Link

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
    """Give every link a slot so that no node is in two tests at once; the same links, the same slots.

    cycle_ns: at least `every_s` and all slots, in whole windows.
    """
    throughput = inventory.probing.throughput
    if throughput is None:
        return Timetable(0, 0, 0, {})
    duration_ns = seconds(throughput.duration_s)
    slot_ns = duration_ns + max(GUARD_NS, int(duration_ns * GUARD_RATIO))
    links = list(inventory.links)
    slots = _slots(links)
    window_ns = seconds(inventory.window_s)
    need_ns = max(seconds(throughput.every_s), slot_ns * (max(slots, default=0) + 1))
    cycle_ns = -(-need_ns // window_ns) * window_ns
    offsets = (slot * slot_ns for slot in slots)
    return Timetable(duration_ns, slot_ns, cycle_ns, dict(zip(links, offsets, strict=True)))


def _slots(links: Sequence[Link]) -> list[int]:
    """Greedy edge colouring, links with the busiest ends first; fewer than twice the busiest node's links."""
    number = {name: at for at, name in enumerate(sorted({name for k in links for name in (k.src, k.dst)}))}
    plane = {name: at for at, name in enumerate(sorted({link.network for link in links}))}
    src = np.array([number[link.src] for link in links], np.int64)
    dst = np.array([number[link.dst] for link in links], np.int64)
    network = np.array([plane[link.network] for link in links], np.int64)
    degree = np.bincount(src, minlength=len(number)) + np.bincount(dst, minlength=len(number))
    order = np.lexsort((network, dst, src, -degree[src] - degree[dst]))
    busy = [0] * len(number)  # bit k: the node is in a test in slot k
    slots = [0] * len(links)
    for at, one, other in zip(order.tolist(), src[order].tolist(), dst[order].tolist(), strict=True):
        free = ~(busy[one] | busy[other])
        lowest = free & -free
        busy[one] |= lowest
        busy[other] |= lowest
        slots[at] = lowest.bit_length() - 1
    return slots
