"""What is known of links, turned into what is seen on ways; rules: quality.places.finding. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkgauge.way_text import SILENT
from quality.places.cover import WELL_WEIGHT, Sights
from quality.places.crossings import IN, Crossings

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]

FLOW_WELL_WEIGHT = 3.0
"""The same of a flow that is well."""
UNKNOWN, WELL, BAD = 0, 1, 2
"""What is known of a way: nothing, that it is surely well, that it is in trouble."""


@dataclass(frozen=True, slots=True)
class FlowSight:
    """A flow of a link (its row) of which some flows are in trouble and others well, and the hops of it."""

    link: int
    hops: tuple[str, ...]
    bad: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of n links, each (n,) int8 of UNKNOWN, WELL, BAD, for one sort of trouble.

    forward, backward: the way out, the way back. either: WELL when both ways are, BAD when one of them is in
    trouble and it is not known which. flows: of links of which only some flows are in trouble; forward of
    these is UNKNOWN. whole: trouble hits all packets, so a place that only some flows of a link cross
    explains none. least (n,): share of a link's own packets in trouble at least, 0..1; a place that fewer of
    its flows cross does not explain it. cleared: (link, hop) of links in trouble that these hops do not
    explain. untold: links of which it is not known which flows are in trouble; a place of theirs is not sure.
    now (n,): links in trouble in this very window; None: all.
    """

    forward: NDArray[np.int8]
    backward: NDArray[np.int8]
    either: NDArray[np.int8]
    flows: Sequence[FlowSight] = ()
    whole: bool = False
    least: NDArray[np.float64] | None = None
    cleared: Sequence[tuple[int, str]] = ()
    untold: Sequence[int] = ()
    now: Mask | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """Sights, and whose they are. link, sight (k,): the links of which a trouble was seen."""

    crossings: Crossings
    sights: Sights
    link: Rows
    sight: Rows
    flow_link: Rows
    """(flows,) of which link each flow is."""

    def links_of(self, sights: Rows) -> set[int]:
        """Links of which one of these was seen."""
        return set(self.link[np.isin(self.sight, sights)].tolist())

    def links_over(self, ways: Rows) -> set[int]:
        """Links of these ways, where the way is the one out."""
        single = ways >= self.crossings.ways
        mask = np.zeros(self.crossings.ways, np.bool_)
        mask[ways[~single]] = True
        whole = np.flatnonzero(mask[self.crossings.forward])
        return {*whole.tolist(), *self.flow_link[ways[single] - self.crossings.ways].tolist()}


def sighted(crossings: Crossings, evidence: Evidence) -> Known:
    """Sights of all ways, those of single flows last."""
    out, back = crossings.forward, crossings.backward
    ways = crossings.ways
    direct, well = np.zeros((2, ways), np.bool_)
    for way, told in ((out, evidence.forward), (back, evidence.backward)):
        direct[way[told == BAD]] = True
        well[way[told == WELL]] = True
    fine = evidence.either == WELL
    well[out[fine]] = well[back[fine]] = True
    well &= ~direct
    sight = np.where(direct, np.arange(ways), -1)
    links = [np.flatnonzero(evidence.forward == BAD), np.flatnonzero(evidence.backward == BAD)]
    seen = [out[links[0]], back[links[1]]]
    row, sight_of = _either(out, back, np.flatnonzero(evidence.either == BAD), direct, well, sight)
    return _with_flows(
        crossings,
        evidence,
        sight,
        np.where(well, WELL_WEIGHT, 0.0),
        np.concatenate([*links, row]),
        np.concatenate([*seen, sight_of]),
    )


def _either(out: Rows, back: Rows, row: Rows, direct: Mask, well: Mask, sight: Rows) -> tuple[Rows, Rows]:
    """Place the trouble of the links `row`, of which one way is harmed, in `sight`; what each of them sees.

    Where a way is known to be in trouble it is that, where one is well it is the other. Where both are well,
    which cannot be (one of the sights is of other flows), it is the way out.
    """
    there, hence = out[row], back[row]
    on_out = direct[there] | (~direct[hence] & well[hence])
    on_back = ~on_out & (direct[hence] | well[there])
    number = np.where(on_back, hence, np.where(on_out, there, np.minimum(there, hence)))
    contrary = on_out & well[there]
    well[there[contrary]] = False
    for way, use in ((there, ~on_back), (hence, ~on_out)):
        some = use & (sight[way] < 0)
        sight[way[some]] = number[some]
    return row, sight[number]


def _with_flows(
    crossings: Crossings, evidence: Evidence, sight: Rows, well: NDArray[np.float64], link: Rows, seen: Rows
) -> Known:
    flows, ways = evidence.flows, crossings.ways
    flow_link = np.array([flow.link for flow in flows], np.intp)
    bad = np.array([flow.bad for flow in flows], np.bool_)
    number = ways + np.arange(len(flows))
    least = np.full(ways + len(flows), float(evidence.whole))
    if evidence.least is not None:
        least[crossings.forward] = evidence.least
    more_way, more_cell = _entries(crossings, flows, flow_link)
    sights = Sights(
        np.concatenate([sight, np.where(bad, number, -1)]),
        np.concatenate([well, np.where(bad, 0.0, FLOW_WELL_WEIGHT)]),
        np.concatenate([crossings.pair, crossings.pair[crossings.forward[flow_link]]]),
        more_way,
        more_cell,
        least,
        evidence.whole,
        _cleared(crossings, evidence.cleared),
    )
    return Known(
        crossings,
        sights,
        np.concatenate([link, flow_link[bad]]),
        np.concatenate([seen, number[bad]]),
        flow_link,
    )


def _cleared(crossings: Crossings, cleared: Sequence[tuple[int, str]]) -> Rows:
    """Entries that accuse nothing, as way * cells + cell."""
    networks, cells = crossings.links.network, len(crossings.cell_place)
    known = [(link, crossings.hop_cell.get((networks[link], hop, IN), -1)) for link, hop in cleared]
    codes = [int(crossings.forward[link]) * cells + cell for link, cell in known if cell >= 0]
    return np.array(codes, np.intp)


def _entries(crossings: Crossings, flows: Sequence[FlowSight], flow_link: Rows) -> tuple[Rows, Rows]:
    """Ways and cells that single flows cross: all of the link's but hops, and the flow's own hops."""
    wanted = np.zeros(crossings.ways, np.bool_)
    wanted[crossings.forward[flow_link]] = True
    entry = np.flatnonzero(wanted[crossings.way])
    entry = entry[~crossings.is_hop[entry]]
    of_way: dict[int, list[int]] = {}
    for way, cell in zip(crossings.way[entry].tolist(), crossings.cell[entry].tolist(), strict=True):
        of_way.setdefault(way, []).append(cell)
    networks = crossings.links.network
    more: list[tuple[int, int]] = []
    for at, flow in enumerate(flows):
        number = crossings.ways + at
        more += [(number, cell) for cell in of_way.get(int(crossings.forward[flow.link]), ())]
        keys = ((networks[flow.link], hop, IN) for hop in {*flow.hops} - {SILENT})
        more += [(number, crossings.hop_cell[key]) for key in keys if key in crossings.hop_cell]
    pairs = np.array(more, np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]
