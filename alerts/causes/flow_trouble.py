"""What flows tell of lossy links whose flows may cross different hops: which hops their loss can be on. Pure.

A link's loss says nothing about a hop that only some of its flows cross before it is known which flows lose.
So for such a link:

- Its flows are waited for, those since its trouble began, WAIT_NS at most (older agents tell them once a
  minute); until then the link is evidence of nothing. After that it is taken as a whole, `untold`: a place
  that explains it is not sure.
- Some flows lose more than the others: each of them is seen by itself, the bad ones, and the others as well
  where it is sure that they lose less.
- They may all lose alike: the link is in trouble as a whole, but not on hops (`cleared`) when the flows that
  cross them have too little of the loss to explain it.

A link of which no way is known, or not that of a bad flow, counts as a whole: there are no hops to be told
apart, and its nodes and sites are on all of its ways.

A trouble of a link begins with a window with loss and is over after CALM windows without one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from linkgauge.clock import NS_PER_S
from linkgauge.way_text import SILENT
from quality.places.sights import FlowSight
from quality.verdicts.flow_losses import LossOfFlows

Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]

WAIT_NS = 90 * NS_PER_S
CALM = 3
EXPLAINS = 0.8
"""Share of a link's loss on flows over a hop from which on it may explain all; the rest is by chance."""
WELL_CONFIDENCE = 0.99
Way = tuple[str, ...]
LossesOf = Callable[[Mapping[str, int]], Mapping[str, LossOfFlows]]
"""What the flows lost of the links that are named, since the time (Unix ns) that each is named with."""
WaysOf = Callable[[str], Mapping[str, Way]]
"""The hops of each flow of a link, by its name."""


@dataclass(slots=True)
class Told:
    """unknown: rows of links that say nothing as a whole. flows: of some of these. cleared: (row, hop) where
    the loss of a link is not. untold: rows of links whose flows nobody tells."""

    unknown: list[int] = field(default_factory=list)
    flows: list[FlowSight] = field(default_factory=list)
    cleared: list[tuple[int, str]] = field(default_factory=list)
    untold: list[int] = field(default_factory=list)


class FlowTroubles:
    """Remembers since when each link loses; not thread safe."""

    def __init__(self, losses: LossesOf, ways: WaysOf) -> None:
        self._losses, self._ways = losses, ways
        self._since_ns, self._calm = np.zeros((2, 0), np.int64)
        self._end_ns = 0

    def begin(self, links: int) -> None:
        """Other links than before: nothing is known of them."""
        self._since_ns, self._calm = np.zeros((2, links), np.int64)

    def note(self, start_ns: int, end_ns: int, loses: Mask) -> None:
        """Take up a window; loses (n,): links that lost on the way out."""
        self._end_ns = end_ns
        self._calm = np.where(loses, 0, self._calm + 1)
        self._since_ns[self._calm >= CALM] = 0
        self._since_ns[loses & (self._since_ns == 0)] = start_ns

    def told(self, names: NDArray[np.object_], bad: Mask, perhaps: Mask, flows: Counts) -> Told:
        """What is known now. bad (n,): links that lose as a whole; perhaps: others of which flows may lose;
        flows: how many were compared lately."""
        rows = np.flatnonzero((bad | perhaps) & (self._since_ns > 0))
        since_ns = dict(zip(names[rows].tolist(), self._since_ns[rows].tolist(), strict=True))
        found = self._losses(since_ns) if since_ns else {}
        told = Told()
        of_links = _filled({name: self._ways(name) for name in since_ns})
        for row, (name, began_ns) in zip(rows.tolist(), since_ns.items(), strict=True):
            ways, loss = of_links[name], found.get(name)
            if not _several(ways, int(flows[row]), loss):
                continue
            if loss is not None and 0 < loss.lost.sum() >= loss.doubtful:
                _of_flows(told, row, loss, ways, bool(bad[row]))
            elif bad[row]:
                (told.unknown if self._end_ns - began_ns < WAIT_NS else told.untold).append(row)
        return told


def _filled(of_links: Mapping[str, Mapping[str, Way]]) -> dict[str, dict[str, Way]]:
    """Ways in which a hop that was silent has the one address that others show between the same two."""
    between: dict[tuple[str, str], str] = {}
    for way in {way for ways in of_links.values() for way in ways.values()}:
        for before, hop, after in zip(way, way[1:], way[2:], strict=False):
            if SILENT not in (before, hop, after):
                known = between.setdefault((before, after), hop)
                between[before, after] = hop if known == hop else SILENT

    def filled(way: Way) -> Way:
        ends = zip((SILENT, *way[:-1]), (*way[1:], SILENT), strict=True)
        return tuple(
            between.get(end, SILENT) if hop == SILENT else hop for hop, end in zip(way, ends, strict=True)
        )

    return {link: {flow: filled(way) for flow, way in ways.items()} for link, ways in of_links.items()}


def _several(ways: Mapping[str, Way], flows: int, loss: LossOfFlows | None) -> bool:
    """Whether flows may cross different hops: known ways differ, or are known of some flows only."""
    if not ways:
        return False
    count = max(flows, len(loss.names) if loss is not None else 0, len(ways))
    return count > 1 and (len(ways) < count or len(set(ways.values())) > 1)


def _of_flows(told: Told, row: int, loss: LossOfFlows, ways: Mapping[str, Way], whole: bool) -> None:
    """Put in what the flows of a link say."""
    sights = [
        FlowSight(row, ways[name], bad)
        for name, bad, well in zip(loss.names, loss.bad.tolist(), _well(loss).tolist(), strict=True)
        if name in ways and (bad or well)
    ]
    if any(sight.bad for sight in sights):
        told.unknown.append(row)
        told.flows += sights
    elif whole:
        told.cleared += [(row, hop) for hop in _cleared(loss, ways)]


def _well(loss: LossOfFlows) -> Mask:
    """Flows (f,) that surely lose less than the bad ones."""
    ratio = loss.lost[loss.bad].sum() / max(int(loss.sent[loss.bad].sum()), 1)
    as_little = bdtr(loss.lost, loss.sent, min(float(ratio), 1 - 1e-9))
    return np.asarray(~loss.bad & (as_little <= 1 - WELL_CONFIDENCE), np.bool_)


def _cleared(loss: LossOfFlows, ways: Mapping[str, Way]) -> list[str]:
    """Hops that too little of the loss is on."""
    lost = dict(zip(loss.names, loss.lost.tolist(), strict=True))
    least = EXPLAINS * sum(lost.values())
    cleared = []
    for hop in {hop for way in ways.values() for hop in way} - {SILENT}:
        over = sum(lost[flow] for flow in lost if hop in ways.get(flow, ()))
        maybe = sum(
            lost[flow]
            for flow in lost
            if hop not in ways.get(flow, ()) and SILENT in ways.get(flow, (SILENT,))
        )
        if not over or over + maybe < least:
            cleared.append(hop)
    return cleared
