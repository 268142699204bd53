"""What each flow of a link lost on the way out since its trouble began: which flows are hit, at once. Pure.

Agents tell the flows of a link that loses with the window of the loss (see probes.engine.closing), older ones
once a minute; so a row's span is taken for what it says. Of what was lost without a direction counts what the
far end did not hear by its own word, which is waited for: a flow that is dead on its way back looks the same
here, and goes out over other hops. Losses of which the far end has not told, or never does, are `doubtful`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S
from quality.evidence import Rows, summed
from quality.verdicts.flows import FlowCounts, unequal

Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]

REPLIED, FORWARD, BACKWARD, UNKNOWN = range(4)
"""Rows of a matrix of counts."""
LONGEST_NS = 900 * NS_PER_S
"""Of a trouble that goes on for longer the last so long counts: each row of a link that loses is kept."""
_MOST_FLOWS = 1 << 20


@dataclass(frozen=True, slots=True)
class LossOfFlows:
    """The flows of one link, (f,): names, packets whose fate on the way out is known, and of these lost.

    bad: loses more than the others, significantly; none where all may lose alike. doubtful: packets of all of
    them lost in a direction that nobody can tell (yet).
    """

    names: tuple[str, ...]
    sent: Counts
    lost: Counts
    bad: Mask
    doubtful: int


@dataclass(frozen=True, slots=True)
class _Part:
    """m rows that came together; counts (4, m)."""

    link: Rows
    flow: Rows
    counts: Counts
    end_ns: Counts

    def take(self, rows: Rows) -> _Part:
        """Some of the rows."""
        return _Part(self.link[rows], self.flow[rows], self.counts[:, rows], self.end_ns[rows])

    @property
    def codes(self) -> Counts:
        """A number for each link and flow."""
        return self.link.astype(np.int64) * _MOST_FLOWS + self.flow


class FlowLosses:
    """Keeps the rows of links that lost something, by the window in which they start; not thread safe."""

    def __init__(self) -> None:
        self._parts: dict[int, list[_Part]] = {}
        self._newest_ns = 0

    def put(self, start_ns: int, link: Rows, flow: Rows, counts: Counts, length_ns: Counts) -> None:
        """Rows (m,) that start in one window, of which they replace those of the same flows; of these rows
        the later counts. Of links of which none lost anything nothing is kept."""
        part = _Part(link, flow, counts, start_ns + length_ns)
        codes = part.codes
        last = len(codes) - 1 - np.unique(codes[::-1], return_index=True)[1]
        if former := self._parts.pop(start_ns, None):
            former = [each.take(np.flatnonzero(~np.isin(each.codes, codes))) for each in former]
        loses = np.zeros(int(link.max(initial=-1)) + 1, np.bool_)
        loses[link[last][counts[FORWARD:, last].any(axis=0)]] = True
        parts = [each for each in (*(former or ()), part.take(last[loses[link[last]]])) if len(each.link)]
        if parts:
            self._parts[start_ns] = parts
            self._newest_ns = max(self._newest_ns, start_ns)

    def since(
        self, from_ns: Counts, told: Callable[[int, int], tuple[Mask, Mask]]
    ) -> tuple[FlowCounts, Counts]:
        """Sums of what each flow lost since then (links,), 2**62 for links that are not asked for, of rows
        that reach beyond it; and what is doubtful, (links,).

        told: between two times the links of whose way out the far end tells, and those of which it says that
        it is well, each (links,).
        """
        links = len(from_ns)
        none = np.empty(0, np.int64)
        found: list[tuple[Counts, ...]] = [(none, none, none, none, none)]
        for start_ns, parts in self._parts.items():
            for part in parts:
                use = np.flatnonzero(part.end_ns > from_ns[part.link])
                if not len(use):
                    continue
                tells, well = told(start_ns, int(part.end_ns.max()))
                link, counts = part.link[use], part.counts[:, use]
                unknown = np.where(well[link], 0, counts[UNKNOWN])
                lost = counts[FORWARD] + np.where(tells[link], unknown, 0)
                sent = counts[REPLIED] + counts[BACKWARD] + lost
                found.append((link, part.flow[use], sent, lost, np.where(tells[link], 0, unknown)))
        link, flow, sent, lost, doubtful = (np.concatenate(each) for each in zip(*found, strict=True))
        flows = int(flow.max(initial=0)) + 1
        codes, group = np.unique(link * flows + flow, return_inverse=True)
        each_link, each_flow = np.divmod(codes, flows)
        all_sent, all_lost = (summed(each, group, len(codes)) for each in (sent, lost))
        return FlowCounts(each_link, all_sent, all_lost, links, each_flow), summed(doubtful, link, links)

    def forget(self, before_ns: int) -> None:
        """Drop the rows that start before, or longer ago than LONGEST_NS."""
        before_ns = max(before_ns, self._newest_ns - LONGEST_NS)
        for start_ns in [each for each in self._parts if each < before_ns]:
            del self._parts[start_ns]

    def move(self, place: Rows) -> None:
        """Link i becomes link place[i]; -1 drops it."""
        for parts in self._parts.values():
            for at, part in enumerate(parts):
                kept = part.take(np.flatnonzero(place[part.link] >= 0))
                parts[at] = replace(kept, link=place[kept.link])


def of_links(counts: FlowCounts, doubtful: Counts, names: list[str]) -> dict[int, LossOfFlows]:
    """By link; names: of each flow, by its number."""
    some = np.flatnonzero(counts.sent)
    known = FlowCounts(
        counts.link[some], counts.sent[some], counts.lost[some], counts.links, counts.flow[some]
    )
    bad = np.zeros(len(counts.link), np.bool_)
    bad[some] = unequal(known).is_bad
    told: dict[int, LossOfFlows] = {}
    links, first = np.unique(counts.link, return_index=True)
    ends = np.append(first, len(counts.link)).tolist()
    for at, link in enumerate(links.tolist()):
        mine = slice(ends[at], ends[at + 1])
        flows = tuple(names[flow] for flow in counts.flow[mine].tolist())
        told[link] = LossOfFlows(flows, counts.sent[mine], counts.lost[mine], bad[mine], int(doubtful[link]))
    return told
