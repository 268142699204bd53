"""Is the likely place right? Random networks with one fault each, of whose truth noisy sights are made.

`python -m benchmarks.places [--quick]` prints one JSON document: how often the place that is named is the
right one, where it can be told at all from the ways in trouble; how often it cannot be told; how often a
wrong place is named; and what 100 000 links cost.

A place counts as right when it is the faulty one, or when exactly the same ways cross it. A fault is
identifiable when no other place is crossed by exactly the ways that it harms, and they are of two pairs of
nodes at least. Wrong: a place that is named as sure and is another one, places of which none is the right
one, or a further place where nothing is wrong.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import at_least, at_most, quick, show
from benchmarks.roads import Roads, Way
from linkgauge.way_text import SILENT
from quality.places.crossings import KINDS, NETWORK, TRUNK
from quality.places.finding import Finding, crossed, locate
from quality.places.sights import BAD, UNKNOWN, WELL, Evidence, FlowSight

SCENARIOS = 400 if quick() else 4_000
RIGHT, CANNOT_TELL, WRONG = "right", "cannot tell", "wrong"


@dataclass(frozen=True, slots=True)
class Noise:
    """Shares: ways of which nothing is known; of the ways in trouble those not found yet, and those that pass
    for well; of all others those that are in some trouble of their own."""

    unknown: float = 0.05
    late: float = 0.1
    cleared: float = 0.002
    others: float = 0.002
    silent_nodes: int = 1


@dataclass(frozen=True, slots=True)
class Fault:
    """place: the kind and name of what is faulty. ways: harmed ones, all or (flows) some flows of each."""

    kind: str
    name: str
    ways: frozenset[Way]
    flows: bool
    dark: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """A network, its fault, and whether it can be identified from the ways in trouble."""

    roads: Roads
    fault: Fault
    identifiable: bool


class Core:
    """Two or three routers in a row, each with some sites; between them one or more equal-cost routers."""

    def __init__(self, chance: Random, nodes: dict[str, str]) -> None:
        self._nodes, self._equal = nodes, chance.choice((1, 1, 2, 3))
        routers = chance.choice((1, 2, 2, 3))
        self._router = {site: chance.randrange(routers) for site in sorted(set(nodes.values()))}
        self._flows = chance.choice((4, 8))
        self._salt = chance.randrange(1 << 20)
        self._silent = chance.choice((0.0, 0.3, 0.6))
        self._answers: dict[str, bool] = {}

    def __call__(self, way: Way) -> list[tuple[str, ...]]:
        """The hops of each flow; of a box each port has an address of its own."""
        src, dst, network = way
        one, other = self._nodes[src], self._nodes[dst]
        end = f"{dst}.{network}"
        if one == other:
            return [(f"r-{one}", end)]
        chance = Random(f"{way}{self._salt}")
        ways = [(f"r-{one}", *self._core(one, other, chance), f"r-{other}") for _ in range(self._flows)]
        return [(*map(self._heard, hops), end) for hops in ways]

    def _heard(self, hop: str) -> str:
        """Some hops never answer."""
        if hop not in self._answers:
            self._answers[hop] = Random(f"{hop}{self._salt}").random() >= self._silent
        return hop if self._answers[hop] else SILENT

    def _core(self, one: str, other: str, chance: Random) -> list[str]:
        here, there = self._router[one], self._router[other]
        hops = [f"c{here}-from-{one}"]
        step = 1 if there > here else -1
        for at in range(here, there, step):
            if self._equal > 1:
                middle = f"m{chance.randrange(self._equal)}"
                hops += [f"{middle}-{at}-{at + step}", f"c{at + step}-from-{middle}-{at}"]
            else:
                hops.append(f"c{at + step}-from-c{at}")
        return hops


def scene(chance: Random) -> Scene:
    """A random network with a random fault that harms two pairs of nodes or more."""
    while True:
        nodes = {
            f"{site}{number}": site
            for site in "abcdef"[: chance.randint(2, 6)]
            for number in range(1, chance.choice((1, 2, 2, 3, 4)) + 1)
        }
        networks = ("net",) if chance.random() < 0.7 else ("backbone", "private")
        core = Core(chance, nodes)
        roads = Roads(nodes, networks, core if chance.random() < 0.8 else lambda way: ())
        if len(nodes) > 2:
            fault = _fault(chance, roads, core)
            if len({(*sorted(way[:2]), way[2]) for way in fault.ways}) > 1:
                return Scene(roads, fault, _identifiable(roads, fault))


def sights(chance: Random, one: Scene, noise: Noise) -> Evidence:
    """What is seen of it."""
    roads, fault = one.roads, one.fault
    dead = {fault.name} if fault.kind == "node" and fault.dark else set()
    silent = {*chance.sample(sorted(roads.nodes), noise.silent_nodes * (chance.random() < 0.3)), *dead}
    forward = np.full(len(roads.ways), WELL, np.int8)
    either = np.full(len(roads.ways), UNKNOWN, np.int8)
    flows: list[FlowSight] = []
    for row, way in enumerate(roads.ways):
        harmed = way in fault.ways
        if harmed and fault.flows:
            forward[row] = UNKNOWN
            flows += _flow_sights(chance, roads, row, fault.name, noise)
        else:
            forward[row] = _seen(chance, harmed, noise)
        if way[0] in silent:
            forward[row] = UNKNOWN
        elif fault.dark and way[1] in silent:
            back = (way[1], way[0], way[2])
            forward[row], either[row] = UNKNOWN, _seen(chance, harmed or back in fault.ways, noise)
    return Evidence(forward, np.full(len(roads.ways), UNKNOWN, np.int8), either, flows, fault.dark)


def outcome(one: Scene, findings: tuple[Finding, ...]) -> str:
    """RIGHT, CANNOT_TELL or WRONG."""
    if not findings:
        return CANNOT_TELL
    first, *more = findings
    fault = one.fault
    names = {f"{first.kind} {first.place}", *first.others}
    same = _ways(one.roads, crossed(one.roads.crossings, first)) == fault.ways and not fault.flows
    if more and not all(_right(one, each) for each in more):
        return WRONG
    if f"{first.kind} {first.place}" in (f"{fault.kind} {fault.name}", _router_of(fault)) or same:
        return RIGHT
    hidden = {first.kind, *(name.split()[0] for name in names)} & {"network"} or all(
        fault.name != each.name for each in one.roads.crossings.places
    )
    return CANNOT_TELL if not first.sure and (hidden or f"{fault.kind} {fault.name}" in names) else WRONG


def main() -> None:
    counts: Counter[str] = Counter()
    kinds: dict[str, Counter[str]] = {}
    for seed in range(SCENARIOS):
        chance = Random(seed)
        one = scene(chance)
        told = outcome(one, locate(one.roads.crossings, sights(chance, one, Noise())))
        what = f"{one.fault.kind}{' (flows)' if one.fault.flows else ''}"
        known = "identifiable" if one.identifiable else "not identifiable"
        counts[f"{known}: {told}"] += 1
        kinds.setdefault(f"{what}, {known}", Counter())[told] += 1
    found = {outcome: counts[f"identifiable: {outcome}"] for outcome in (RIGHT, CANNOT_TELL, WRONG)}
    wrong = found[WRONG] + counts[f"not identifiable: {WRONG}"]
    cpu_s = cost_s()
    show(
        "places",
        "no packets: sights of random networks",
        {
            "scenarios": SCENARIOS,
            "outcomes": dict(counts),
            "by_fault": {k: dict(v) for k, v in kinds.items()},
        },
        [
            at_least("right where identifiable", 0.9, found[RIGHT] / sum(found.values())),
            at_most("wrong", 0.02, wrong / SCENARIOS),
            at_most("CPU s for 100 000 links, a site, a node and a trunk in trouble", 0.5, cpu_s),
        ],
    )


def cost_s() -> float:
    """CPU of one look at 100 000 links (317 nodes in 24 sites) with three faults at once."""
    sites = [f"s{number}" for number in range(24)]
    nodes = {f"n{number}": sites[number % 24] for number in range(317)}
    roads = Roads(nodes, hops=lambda way: [(f"r-{nodes[way[0]]}", f"t-{nodes[way[0]]}-{nodes[way[1]]}")])
    harmed = {way for way in roads.ways if "n5" in way[:2] or nodes[way[0]] == "s7" or nodes[way[1]] == "s7"}
    harmed |= {way for way in roads.ways if nodes[way[0]] == "s1" and nodes[way[1]] == "s2"}
    evidence = roads.evidence(harmed)
    began_s = time.process_time()
    findings = locate(roads.crossings, evidence)
    assert {each.kind for each in findings} == {"site", "node", "hop"}, findings
    return time.process_time() - began_s


def _router_of(fault: Fault) -> str:
    """The site of which the hop is the router."""
    return f"site {fault.name.removeprefix('r-')}" if fault.name.startswith("r-") else ""


def _fault(chance: Random, roads: Roads, core: Core) -> Fault:
    kind = chance.choice(("node", "node", "site", "trunk", "path"))
    dark = chance.random() < 0.5
    network = chance.choice(roads.networks)
    if kind == "node":
        name, way = chance.choice(sorted(roads.nodes)), chance.choice(("in", "out", "both"))
        everywhere = way == "both" and chance.random() < 0.5
        ends = {"in": (1,), "out": (0,), "both": (0, 1)}[way]
        ways = [w for w in roads.ways if everywhere or w[2] == network if name in [w[end] for end in ends]]
        return Fault("node", name, frozenset(ways), False, dark)
    if kind == "site":
        name, way = chance.choice(sorted(set(roads.nodes.values()))), chance.choice(("in", "out", "both"))
        ends = {"in": (1,), "out": (0,), "both": (0, 1)}[way]
        apart = [w for w in roads.ways if w[2] == network and roads.nodes[w[0]] != roads.nodes[w[1]]]
        ways = [w for w in apart if name in [roads.nodes[w[end]] for end in ends]]
        return Fault("site", name, frozenset(ways), False, dark)
    steps: dict[str, dict[Way, int]] = {}
    for each in roads.ways:
        if each[2] == network:
            for hop in [hop for hops in core(each) for hop in hops[:-1] if hop != SILENT]:
                over = steps.setdefault(hop, {})
                over[each] = over.get(each, 0) + 1
    if not steps:
        return Fault("hop", "", frozenset(), False, dark)
    inner = sorted(hop for hop in steps if hop.startswith("m") or "-from-c" in hop)
    name = chance.choice(inner if inner and chance.random() < 0.7 else sorted(steps))
    some = any(count < len(core(each)) for each, count in steps[name].items())
    return Fault("hop", name, frozenset(steps[name]), some, dark and not some)


def _flow_sights(chance: Random, roads: Roads, row: int, name: str, noise: Noise) -> list[FlowSight]:
    """Of each flow of a link whether it is over the faulty hop; some are not known yet."""
    ways = roads.hops(roads.ways[row]) or [()]
    return [
        FlowSight(row, hops, name in hops)
        for hops in ways
        if chance.random() >= noise.unknown + noise.late * (name in hops)
    ]


def _seen(chance: Random, harmed: bool, noise: Noise) -> int:
    draw = chance.random()
    if draw < noise.unknown:
        return UNKNOWN
    draw = chance.random()
    if not harmed:
        return BAD if draw < noise.others else WELL
    if draw < noise.cleared:
        return WELL
    return UNKNOWN if draw < noise.cleared + noise.late else BAD


def _identifiable(roads: Roads, fault: Fault) -> bool:
    """Whether no other place is crossed by exactly the ways harmed; see the top of the file."""
    if fault.kind == "hop" and not any(place.name == fault.name for place in roads.crossings.places):
        return False
    if fault.flows:
        mine = _flow_set(roads, fault.name)
        others = {place.name for place in roads.crossings.places if place.kind == "hop"} - {fault.name}
        return all(_flow_set(roads, other) != mine for other in others)
    same = {
        (place.kind, place.name)
        for number, place in enumerate(roads.crossings.places)
        if place.kind not in (KINDS[TRUNK], KINDS[NETWORK])
        if fault.ways in _sets_of(roads, number)
    }
    return len(same - {(fault.kind, fault.name)}) == 0


def _flow_set(roads: Roads, name: str) -> set[tuple[int, int]]:
    return {
        (row, at)
        for row, way in enumerate(roads.ways)
        for at, hops in enumerate(roads.hops(way))
        if name in hops
    }


def _sets_of(roads: Roads, place: int) -> list[frozenset[Way]]:
    """The ways over a place: in, out and both; on each network and on all."""
    crossings = roads.crossings
    cells = np.flatnonzero(crossings.cell_place == place)
    found = []
    for network in (-1, *range(len(crossings.networks))):
        for direction in (-1, 0, 1):
            use = (network < 0) | (crossings.cell_network[cells] == network)
            use &= (direction < 0) | (crossings.cell_direction[cells] == direction)
            over = np.zeros(crossings.ways, np.bool_)
            over[crossings.way[np.isin(crossings.cell, cells[use])]] = True
            found.append(_ways(roads, over))
    return found


def _ways(roads: Roads, over: NDArray[np.bool_]) -> frozenset[Way]:
    rows = np.flatnonzero(over[roads.crossings.forward])
    return frozenset(roads.ways[row] for row in rows.tolist())


def _right(one: Scene, finding: Finding) -> bool:
    """Whether a further finding is of the same fault: a part of its ways, or the faulty place again."""
    return _ways(one.roads, crossed(one.roads.crossings, finding)) <= one.fault.ways


if __name__ == "__main__":
    main()
