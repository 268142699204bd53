"""Which place explains the trouble of several links: 31 of 31 links into a node lose, 480 others not. Pure.

A way in trouble was harmed somewhere on it, so each place that it crosses may be the one; a way that is well
exonerates every place on it. The smallest set of places that explains all trouble is sought greedily: the one
that explains most, then of what is left the one that explains most, and so on. A way that is well counts
against a place as WELL_WEIGHT ways in trouble count for it: one wrong sight does not clear a place over which
a hundred links fail, two links in trouble and one that is well do not make one. Of the cells of a place (in
and out, on each network) those count that more speaks for than against; they tell the finding's direction and
network.

A place must explain links between two pairs of nodes at least: one link alone, or a link and its reverse,
tells nothing about where on the way it is. Places that explain the same are named as `others`, and then
nothing is sure. Of a node and of the gateway that it is only one is named. Hops that all ways over a site's
edge, or between two sites, pass and no other are part of that site or trunk (where it is a single hop on a
trunk, the hop is named); of hops in a row the first is named; the network is named only where nothing smaller
explains as much. Unknown ways neither accuse nor exonerate, so a site whose agents are silent but for one is
not told from that node.

Where only some flows of a link cross a hop, its flows say whether the hop may explain it (`cleared`); where
they are not told, no place of its trouble is sure.

Trouble of a link whose direction is not known (`either`: nothing came back) is explained by a place on either
way, unless one of them is known to be well.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quality.places.cover import Cover
from quality.places.crossings import GATEWAY, HOP, INSIDE, KINDS, NETWORK, NODE, SITE, TRUNK, Crossings
from quality.places.sights import Evidence, Known, sighted

Rows = NDArray[np.intp]

DIRECTIONS = ("out", "in", "both")
"""By the number of a cell; a site of which links inside are in trouble is told as "both"."""
BOTH = 2
MOST_FINDINGS = 64
MOST_OTHERS = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """A place that explains trouble.

    place: its name; of a trunk "a>b", or "a<>b" in both directions. network: empty when of several.
    direction: "out", "in" or "both" (also when it is not known which of them). explains: names of links.
    links_bad, links_judged: links over it in trouble, and of which something is known. others: "kind name" of
    places that explain the same; none when sure.
    """

    place: str
    kind: str
    network: str
    direction: str
    site: str
    explains: frozenset[str]
    links_bad: int
    links_judged: int
    sure: bool
    others: tuple[str, ...] = ()


def crossed(crossings: Crossings, finding: Finding) -> NDArray[np.bool_]:
    """Ways (ways,) that cross the place of a finding, in its direction and on its network."""
    name, direction = finding.place, finding.direction
    if finding.kind == KINDS[TRUNK]:
        one, other = name.replace("<>", ">").split(">")
        name = f"{min(one, other)} {max(one, other)}"
        direction = "both" if "<>" in finding.place else DIRECTIONS[int(one > other)]
    cells = np.array([(each.kind, each.name) == (finding.kind, name) for each in crossings.places], np.bool_)
    use = cells[crossings.cell_place]
    if finding.network:
        use &= crossings.cell_network == crossings.networks.index(finding.network)
    if finding.kind == KINDS[SITE]:
        use &= crossings.cell_direction != INSIDE
    if direction != "both" and finding.kind not in (KINDS[HOP], KINDS[NETWORK]):
        use &= crossings.cell_direction == DIRECTIONS.index(direction)
    over = np.zeros(crossings.ways, np.bool_)
    over[crossings.way[use[crossings.cell]]] = True
    return over


def locate(
    crossings: Crossings, evidence: Evidence, held: Collection[tuple[str, str]] = ()
) -> tuple[Finding, ...]:
    """The places that explain what is in trouble, those that explain most first.

    held: (kind, place) of earlier findings; of places that explain the same such a one is named.
    """
    known = sighted(crossings, evidence)
    if known.sights.sight.max(initial=-1) < 0:
        return ()
    cover = Cover(crossings, known.sights)
    findings: list[Finding] = []
    while len(findings) < MOST_FINDINGS and len(best := cover.best()):
        named = [_Named.of(crossings, cover, place) for place in best.tolist()]
        lead, others = _chosen(named, frozenset(held))
        findings.append(_untold(crossings, evidence, _finding(known, cover, lead, others)))
        cover.explain(cover.left_over(lead.cells))
    return tuple(_gathered(findings))


def _untold(crossings: Crossings, evidence: Evidence, finding: Finding) -> Finding:
    """Not sure where it is not known which flows of its links are in trouble: hops that only some of them
    cross may explain the same."""
    mine = np.zeros(len(crossings.links.name), np.bool_)
    mine[list(evidence.untold)] = True
    mine &= np.isin(crossings.links.name, list(finding.explains)) if mine.any() else mine
    if not mine.any():
        return finding
    some = np.zeros(crossings.ways, np.bool_)
    some[crossings.forward[mine]] = True
    entry = some[crossings.way] & (crossings.share < 1)
    places, count = np.unique(crossings.cell_place[crossings.cell[entry]], return_counts=True)
    hops = [crossings.places[place] for place in places[np.argsort(-count, kind="stable")].tolist()]
    words = [f"{each.kind} {each.name}" for each in hops if each.name != finding.place]
    others = dict.fromkeys((*finding.others, *words)) if words else (f"{KINDS[NETWORK]} {finding.network}",)
    return replace(finding, sure=False, others=tuple(others)[:MOST_OTHERS])


def _gathered(findings: Sequence[Finding]) -> list[Finding]:
    """Several trunks of one network at once: one place that no sweep has seen explains them all, more likely
    than as many faults. They are told as one, of which only the network is known; and then nothing else is
    sure there either."""
    trunks: dict[str, list[Finding]] = {}
    for each in findings:
        if each.kind == KINDS[TRUNK]:
            trunks.setdefault(each.network, []).append(each)
    some = {network: parts for network, parts in trunks.items() if len(parts) > 1}
    rest = [each for each in findings if each.kind != KINDS[TRUNK] or each.network not in some]
    told = [_doubted(each) if each.network in some else each for each in rest]
    return told + [_one(network, parts) for network, parts in some.items()]


def _doubted(finding: Finding) -> Finding:
    return replace(finding, sure=False, others=(*finding.others, f"{KINDS[NETWORK]} {finding.network}"))


def _one(network: str, parts: Sequence[Finding]) -> Finding:
    explains = frozenset[str]().union(*(each.explains for each in parts))
    bad, judged = (sum(each.links_bad for each in parts), sum(each.links_judged for each in parts))
    others = tuple(f"{each.kind} {each.place}" for each in parts[:MOST_OTHERS])
    return Finding(network, KINDS[NETWORK], network, "both", "", explains, bad, judged, False, others)


@dataclass(frozen=True, slots=True)
class _Named:
    """A place that explains something, as it is told. cells: those of the cover that speak for it.

    number: of the place; hops one after the other were numbered in that order.
    """

    number: int
    kind: int
    name: str
    network: str
    direction: str
    site: str
    cells: Rows

    @classmethod
    def of(cls, crossings: Crossings, cover: Cover, number: int) -> _Named:
        place, cells = crossings.places[number], cover.speaking(number)
        of_cells = cover.cells[cells]
        directions = set(crossings.cell_direction[of_cells].tolist())
        networks = set(crossings.cell_network[of_cells].tolist())
        direction = DIRECTIONS[BOTH if len(directions) > 1 else directions.pop()]
        network = "" if len(networks) > 1 else crossings.networks[networks.pop()]
        kind, name = KINDS.index(place.kind), place.name
        if kind == TRUNK:
            low, high = name.split()
            name = {"out": f"{low}>{high}", "in": f"{high}>{low}", "both": f"{low}<>{high}"}[direction]
            direction = "both" if direction == "both" else "out"
        if kind == NETWORK:
            direction = "both"
        return cls(number, kind, name, network, direction, place.site, cells)

    @property
    def key(self) -> tuple[str, str]:
        return KINDS[self.kind], self.name

    @property
    def words(self) -> str:
        return f"{KINDS[self.kind]} {self.name}"


def _chosen(named: Sequence[_Named], held: frozenset[tuple[str, str]]) -> tuple[_Named, list[_Named]]:
    """The place to name, and the others that explain the same."""
    some = [each for each in named if each.kind != NETWORK] or list(named)
    nodes = {each.name for each in some if each.kind == NODE}
    some = [each for each in some if each.kind != GATEWAY or each.name not in nodes]
    hops = [each for each in some if each.kind == HOP]
    around = [each for each in some if each.kind != HOP]
    if hops and [each.kind for each in around] == [TRUNK] and len(hops) == 1:
        some = hops
    elif hops and [each.kind for each in around] in ([TRUNK], [SITE]):
        some = around
    lead, *others = sorted(some, key=lambda each: (each.key not in held, each.kind, each.number))
    if lead.key not in held:  # perhaps one that is part of the lead, or the other way round
        lead = next((each for each in named if each.key in held and each.kind != NETWORK), lead)
    return lead, others


def _finding(known: Known, cover: Cover, lead: _Named, others: Sequence[_Named]) -> Finding:
    explained = known.links_of(cover.left_over(lead.cells))
    bad = known.links_of(cover.all_over(lead.cells))
    well = known.links_over(cover.well_over(lead.cells))
    names = known.crossings.links.name
    return Finding(
        lead.name,
        KINDS[lead.kind],
        lead.network,
        lead.direction,
        lead.site,
        frozenset(names[sorted(explained)].tolist()),
        len(bad),
        len(bad | well),
        not others,
        tuple(each.words for each in others[:MOST_OTHERS]),
    )
