"""Faults that the lab's forwarder makes: which lanes of which wires are impaired, and how. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from lab import routing
from lab.blueprint import Wire
from lab.faults import truths
from lab.faults.fault import Fault
from lab.impairment import Impairment
from lab.topology import NetworkPlane, Topology
from linkgauge.errors import LabError

_REORDER_US = 150_000
"""By how much reordered packets come later: more than between two packets of a link at 10 a second."""
_CONGESTED_LOSS_RATIO = 0.05
SHAPED = frozenset({"delay", "jitter", "reorder", "duplicate", "congest"})


def impairments(topology: Topology, wires: Sequence[Wire], fault: Fault) -> list[Impairment]:
    """What makes the fault. Raises LabError where no wire with a delay is on the way: nothing passes us."""
    plane = topology.plane(fault.link[2])
    if fault.kind == "congest":
        number, beyond = truths.step(plane, fault)
        lanes = _lanes(plane, wires, [(number, beyond)])
        if not lanes:
            raise LabError(f"trunk {fault.place} has no delay, so it is a plain cable: name another")
        size = round(fault.size)
        return [Impairment(lane, jitter_us=size, loss_ratio=_CONGESTED_LOSS_RATIO) for lane in lanes]
    src, dst = (topology.address(node, plane.name) for node in fault.link[:2])
    return [_on_pair(fault, lane, src, dst) for lane in _of_link(plane, wires, fault)]


def _on_pair(fault: Fault, lane: int, src: str, dst: str) -> Impairment:
    size = round(fault.size)
    match fault.kind:
        case "delay":
            return Impairment(lane, src, dst, delay_us=size)
        case "jitter":
            return Impairment(lane, src, dst, jitter_us=size)
        case "reorder":
            return Impairment(lane, src, dst, reorder_ratio=fault.size, reorder_us=_REORDER_US)
        case _:
            return Impairment(lane, src, dst, duplicate_ratio=fault.size)


def _of_link(plane: NetworkPlane, wires: Sequence[Wire], fault: Fault) -> list[int]:
    """Lanes of which every packet of the link crosses exactly one."""
    src, dst, network = fault.link
    for node, side in ((src, 0), (dst, 1)):
        if lanes := [2 * at + side for at, wire in enumerate(wires) if wire.name == f"{network}/{node}"]:
            return lanes
    here, there = plane.member(src).hub, plane.member(dst).hub
    for place in range(len(next(iter(routing.ways(plane.trunks, here, there)), ()))):
        crossed = {_place(plane, here, way, place) for way in routing.ways(plane.trunks, here, there)}
        lanes = _lanes(plane, wires, sorted(crossed))
        if len(lanes) == len(crossed):
            return lanes
    raise LabError(
        f"{src}>{dst}@{network} has no delay on its way, so nothing of it passes us: name another link"
    )


def _place(plane: NetworkPlane, here: str, way: Sequence[int], place: int) -> tuple[int, str]:
    """(number of the trunk, hub beyond it) at that place of a way."""
    for number in way[: place + 1]:
        trunk = plane.trunks[number]
        here = trunk.right if here == trunk.left else trunk.left
    return way[place], here


def _lanes(plane: NetworkPlane, wires: Sequence[Wire], steps: Sequence[tuple[int, str]]) -> list[int]:
    """The lane of each of these trunks towards the hub, where the trunk is a wire."""
    lanes = []
    for number, beyond in steps:
        trunk = plane.trunks[number]
        for at, wire in enumerate(wires):
            if wire.name == f"{plane.name}/{trunk.left}-{trunk.right}":
                lanes.append(2 * at + (0 if trunk.right == beyond else 1))
    return lanes
