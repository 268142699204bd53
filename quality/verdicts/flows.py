"""Which flows of a link lose more than its others: "3 of 32 lose 100 %" where the average says 9 %. Pure.

Each flow (source port) takes one of the equal paths, so a bad member of the network harms a share of the
flows and the average hides it. Two steps, for each link:

1. Is the loss spread unevenly at all? Where each flow expects at least LEAST_EXPECTED packets lost and as
   many kept, X^2 = sum (x_i - n_i p)^2 / (n_i p (1 - p)) against chi^2(F - 1), with p the loss of all flows.
   Else, exactly: the smallest p-value of step 2, times the number of flows (Bonferroni). Significant at
   ALERT_CONFIDENCE.
2. Each flow against the others together, one-sided, given the losses of all (see
   quality.statistics.hypergeometric). Of these Benjamini and Hochberg's step-up procedure names the bad
   flows, of which at most FALSE_SHARE are expected to be named wrongly (J. R. Stat. Soc. B 57, 1995).

A link whose flows all lose alike, be it everything or nothing, has no bad flow; nor has one with one flow. A
flow without a packet whose fate is known is not compared. Packets are supposed to be lost independently; a
short outage hits all flows alike, so it makes the counts more even, not less.

Losses count in the link's own direction, as in quality.verdicts.judge: backward ones only where the far end
does not measure them itself. A loss whose direction is not known counts, because a flow of which nothing
comes back never tells its direction. A network that moves flows to other paths within the span blurs the
counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from linkgauge.frame import Frame
from linkgauge.model import Probe
from quality.evidence import Rows, summed
from quality.objectives import Objectives
from quality.statistics.confidence import ALERT_CONFIDENCE
from quality.statistics.hypergeometric import more_than_share

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]
Mask = NDArray[np.bool_]

FALSE_SHARE = 0.05
LEAST_EXPECTED = 5
MOST = 2**40
"""Held to this in one row, so that sums stay exact: no flow sends as much in a minute."""


@dataclass(frozen=True, slots=True)
class FlowCounts:
    """m flows, each of one of `links` links: packets with a known fate, and of these lost.

    link (m,) 0..links-1, ascending. sent, lost (m,) int64, 0 <= lost <= sent, sent > 0. flow (m,): a number
    that stands for its name, where that is told.
    """

    link: Rows
    sent: Counts
    lost: Counts
    links: int
    flow: Counts = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class Unequal:
    """n links: flows compared, how many of them are bad, their loss together (NaN without), p of step 1."""

    flows: Counts
    bad: Counts
    bad_loss_ratio: Reals
    uneven_p: Reals
    is_bad: Mask
    """(m,) for each of the flows."""


def gather_flows(
    frame: Frame, objectives: Objectives, judged_class: str, end_ns: int, told_elsewhere: Mask
) -> FlowCounts:
    """Sums over the FLOW rows that start before `end_ns`: those of the probe stamp, of the class that is
    judged, of expected links, measured by a fit agent. Of two copies of a row the later one counts.

    told_elsewhere (links,): backward loss is told by the reverse link.
    """
    link = objectives.found(frame.text("link"))
    use = (link >= 0) & (frame.text("probe") == Probe.STAMP.value) & (frame.text("class") == judged_class)
    start_ns = frame.count("start_ns")
    row = np.flatnonzero(use & (start_ns < end_ns) & (frame.count("unfit") == 0))
    flow = _numbered(frame.text("flow")[row])
    row, flow = _last_copies(row, link[row], flow, start_ns[row])
    replied, forward, backward, unknown = (
        np.minimum(frame.count(name)[row], MOST)
        for name in ("replied", "lost_forward", "lost_backward", "lost_unattributed")
    )
    lost = forward + unknown + np.where(told_elsewhere[link[row]], 0, backward)
    sent = replied + forward + backward + unknown
    return _by_flow(link[row], flow, sent, lost, len(objectives))


def unequal(counts: FlowCounts) -> Unequal:
    """Compare the flows of each link; see the top of the file."""
    link, links = counts.link, counts.links
    flows = np.bincount(link, minlength=links).astype(np.int64)
    all_sent, all_lost = summed(counts.sent, link, links), summed(counts.lost, link, links)
    flow_p = more_than_share(counts.lost, counts.sent, all_lost[link], all_sent[link])
    uneven_p = _uneven_p(counts, flows, all_sent, all_lost, flow_p)
    is_bad = _named(flow_p, link, flows) & (uneven_p <= 1 - ALERT_CONFIDENCE)[link]
    bad = np.bincount(link[is_bad], minlength=links).astype(np.int64)
    sent, lost = (summed(each[is_bad], link[is_bad], links) for each in (counts.sent, counts.lost))
    ratio = np.full(links, np.nan)
    np.divide(lost, sent, out=ratio, where=sent > 0)
    return Unequal(flows, bad, ratio, uneven_p, is_bad)


def _uneven_p(counts: FlowCounts, flows: Counts, all_sent: Counts, all_lost: Counts, flow_p: Reals) -> Reals:
    """p-value (links,) of "all flows lose alike"; 1 where there is nothing to compare."""
    link = counts.link
    ratio = all_lost / np.maximum(all_sent, 1)
    some = (flows > 1) & (all_lost > 0) & (all_lost < all_sent)
    p = ratio[link]
    expected, variance = counts.sent * p, counts.sent * p * (1 - p)
    square = np.divide((counts.lost - expected) ** 2, variance, out=np.zeros(len(p)), where=variance > 0)
    chi_p = chdtrc(np.maximum(flows - 1, 1), np.bincount(link, square, counts.links))
    least = np.full(counts.links, np.inf)
    np.minimum.at(least, link, np.minimum(expected, counts.sent - expected))
    lowest = np.ones(counts.links)
    np.minimum.at(lowest, link, flow_p)
    exact_p = np.minimum(lowest * flows, 1.0)
    return np.where(some, np.where(least >= LEAST_EXPECTED, chi_p, exact_p), 1.0)


def _named(flow_p: Reals, link: Rows, flows: Counts) -> Mask:
    """Benjamini and Hochberg, in each link: all flows up to the last whose p is at most rank / F of
    FALSE_SHARE."""
    order = np.lexsort((flow_p, link))
    first = np.cumsum(flows) - flows
    rank = np.empty(len(flow_p), np.int64)
    rank[order] = np.arange(len(flow_p)) - first[link[order]] + 1
    last = np.zeros(len(flows), np.int64)
    np.maximum.at(last, link, np.where(flow_p <= rank / flows[link] * FALSE_SHARE, rank, 0))
    return rank <= last[link]


def _numbered(words: NDArray[np.object_]) -> Counts:
    """A number for each distinct word."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(word, len(known)) for word in words.tolist()], np.int64)


def _last_copies(row: Rows, link: Rows, flow: Counts, start_ns: Counts) -> tuple[Rows, Counts]:
    order = np.lexsort((row, start_ns, flow, link))
    last = np.ones(len(row), np.bool_)
    keys = (each[order] for each in (link, flow, start_ns))
    last[:-1] = np.any([np.diff(each) != 0 for each in keys], axis=0)
    return row[order][last], flow[order][last]


def _by_flow(link: Rows, flow: Counts, sent: Counts, lost: Counts, links: int) -> FlowCounts:
    """Sum the rows (ordered by link and flow) of each flow; flows without a packet are left out."""
    begins = np.ones(len(link), np.bool_)
    begins[1:] = (np.diff(link) != 0) | (np.diff(flow) != 0)
    group = np.cumsum(begins) - 1
    groups = int(begins.sum())
    all_sent, all_lost = summed(sent, group, groups), summed(lost, group, groups)
    some = all_sent > 0
    return FlowCounts(link[begins][some], all_sent[some], all_lost[some], links, flow[begins][some])
