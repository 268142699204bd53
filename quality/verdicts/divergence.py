"""Do STAMP, ICMP and TCP to the same address disagree? Then one of them does not see the network. Pure.

A firewall or rate limit on one protocol, a way for one port only, an ill reflector: one probe sees trouble
and another none. The last WINDOWS windows are pooled, because ICMP and TCP send one packet in two seconds
where STAMP sends twenty; of these only windows that both probes of a pair measured while the agent was fit.

Loss: a probe diverges when it loses significantly more than another (Fisher's exact test, see
quality.statistics.hypergeometric; at ALERT_CONFIDENCE over the up to six tests of a link). Few packets are
never significant: with 60 echoes against 1 200 STAMP packets without a loss it takes three lost echoes.
Losses of both directions count: an echo knows no direction. What was refused (a closed port) is neither
carried nor lost.

Delay: a probe diverges when its median round trip is above another's by more than LEAST_GAP_US and
LEAST_GAP_RATIO of the other's, from the lower end of one median's confidence interval to the upper end of the
other's (order statistics, two-sided ALERT_CONFIDENCE, with the histogram's error). The interval has both
ends from 8 samples on. Windows in which a throughput test of our own ran do not count here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_US
from linkgauge.frame import Frame
from linkgauge.histogram import RELATIVE_ERROR
from linkgauge.merged import Merged
from linkgauge.model import Probe
from quality.evidence import Evidence, gather
from quality.objectives import Objectives
from quality.statistics.confidence import ALERT_CONFIDENCE, quantile_ranks
from quality.statistics.hypergeometric import more_than_share

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]

BITS = {Probe.STAMP: 1, Probe.ICMP: 2, Probe.TCP: 4}
"""The values that add up to the field `divergent`."""
WINDOWS = 12
LEAST_GAP_US = 1_000.0
LEAST_GAP_RATIO = 0.2
_PAIRS = tuple(permutations(range(len(BITS)), 2))
MOST = 2**40
"""Held to this in one row, so that sums stay exact."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """What each of the three probes saw of each of n links in each of WINDOWS windows."""

    evidence: tuple[Evidence, ...]
    window: tuple[NDArray[np.intp], ...]
    """(m,) window of each row of the evidence, 0..WINDOWS-1."""
    known: Counts
    """(3, n, WINDOWS) packets that were replied to or lost."""
    lost: Counts
    """(3, n, WINDOWS) of these: lost."""


def divergent(
    windows: Frame, objectives: Objectives, judged_class: str, start_ns: int, length_ns: int
) -> Counts:
    """The sum of the BITS of the probes that diverge, (links,), seen at the window from `start_ns`.

    windows: WINDOW rows of all probes, at least those of the last WINDOWS windows.
    """
    pooled = _pool(windows, objectives, judged_class, start_ns, length_ns)
    several = (pooled.known > 0).sum(axis=0) > 1
    ends = []
    for evidence, window in zip(pooled.evidence, pooled.window, strict=True):
        use = evidence.where(several[evidence.link, window]).unloaded
        ends.append(median_us(Merged.of(windows.histograms("rtt_ns"), use.row, use.link, use.links)))
    return told(pooled.known, pooled.lost, ends)


def told(known: Counts, lost: Counts, ends: Sequence[tuple[Reals, Reals]]) -> Counts:
    """The sum of the BITS of the probes that diverge, (n,). known, lost (3, n, windows): packets with a known
    fate, and of these lost; ends: of each probe the `median_us` of the windows that several measured."""
    worse = _loses_more(known, lost) | _is_slower(ends)
    return np.asarray(np.array(list(BITS.values())) @ worse, np.int64)


def _pool(windows: Frame, objectives: Objectives, judged_class: str, start_ns: int, length_ns: int) -> Pooled:
    first_ns, end_ns = start_ns - (WINDOWS - 1) * length_ns, start_ns + length_ns
    shape = len(BITS), len(objectives), WINDOWS
    known, lost = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    gathered, at = [], []
    for number, probe in enumerate(BITS):
        fit = gather(windows, objectives, end_ns, judged_class, probe).fit
        fit = fit.where(fit.count("start_ns") >= first_ns)
        window = ((fit.count("start_ns") - first_ns) // length_ns).astype(np.intp)
        lost_here = held(fit, "lost_forward", "lost_backward", "lost_unattributed")
        np.add.at(known[number], (fit.link, window), lost_here + held(fit, "replied", "late"))
        np.add.at(lost[number], (fit.link, window), lost_here)
        gathered.append(fit)
        at.append(window)
    return Pooled(tuple(gathered), tuple(at), known, lost)


def held(evidence: Evidence, *names: str) -> Counts:
    """Sum of columns, (m,), each held to what can be."""
    return np.asarray(sum(np.minimum(evidence.count(name), MOST) for name in names), np.int64)


def _loses_more(known: Counts, lost: Counts) -> NDArray[np.bool_]:
    """(3, links): the probe loses significantly more than another in the windows that both measured."""
    found = np.zeros(known.shape[:2], np.bool_)
    some = np.flatnonzero(lost.any(axis=(0, 2)))  # of most links nothing is lost
    known, lost = known[:, some], lost[:, some]
    for one, other in _PAIRS:
        both = (known[one] > 0) & (known[other] > 0)
        sent, gone = ((each[[one, other]] * both).sum(axis=2) for each in (known, lost))
        p = more_than_share(gone[0], sent[0], gone.sum(axis=0), sent.sum(axis=0))
        found[one, some] |= p <= (1 - ALERT_CONFIDENCE) / len(_PAIRS)
    return found


def _is_slower(ends: Sequence[tuple[Reals, Reals]]) -> NDArray[np.bool_]:
    """(3, links): the probe's median is clearly above another's."""
    found = np.zeros((len(BITS), len(ends[0][0])), np.bool_)
    for one, other in _PAIRS:
        low, high = ends[one][0], ends[other][1]
        found[one] |= low - high > np.maximum(LEAST_GAP_US, LEAST_GAP_RATIO * high)  # NaN: not known
    return found


def median_us(merged: Merged) -> tuple[Reals, Reals]:
    """Lower and upper end (links,) of the median round trip's interval; NaN with too few samples."""
    low, high = (
        merged.ranked_ns(rank) / NS_PER_US for rank in quantile_ranks(merged.samples, 0.5, ALERT_CONFIDENCE)
    )
    return low * (1 - 2 * RELATIVE_ERROR), high * (1 + 2 * RELATIVE_ERROR)
