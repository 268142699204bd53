"""Delay at a tier's quantile, on the basis that the clocks allow. Pure.

One way where, in every window with samples, the bound on the clocks' error is known and at most a tenth of
the objective; else half of the round trip. A link has one basis for the whole span that is judged, so that
its windows and its period speak of the same thing. A packet that came late, after the probe's timeout, is
slower than every sample. Packets that were lost have no delay: loss judges them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_US
from linkgauge.histogram import RELATIVE_ERROR
from linkgauge.merged import Merged, quantile_rank
from linkgauge.model import DelayBasis
from quality.evidence import Evidence
from quality.statistics.confidence import quantile_ranks

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]

CLOCK_SHARE = 0.1
"""Highest error bound of a one-way delay, as a share of the objective that it is held against."""
_BUCKET = RELATIVE_ERROR / (1 - RELATIVE_ERROR)
"""How far the end of a bucket lies from the value that stands for it, at most, as a share of that value."""


@dataclass(frozen=True, slots=True)
class Delays:
    """n links: samples, the quantile, and an interval that holds the true quantile with 95 %.

    samples (n,) are packets in time or late. value_us (n,) is NaN where it is not known: no packets, or the
    quantile falls among the late ones. lower_us, upper_us (n,) are order statistics widened by the
    histogram's error; infinite for a late packet, NaN where there are too few samples for that end.
    """

    samples: Counts
    value_us: Reals
    lower_us: Reals
    upper_us: Reals


def bases(evidence: Evidence, objective_us: Reals) -> Counts:
    """DelayBasis of each link, (links,); NONE without a reply."""
    row = evidence.row
    rtt, forward = (evidence.windows.histograms(name).offsets for name in ("rtt_ns", "forward_ns"))
    some = rtt[row + 1] > rtt[row]
    with np.errstate(invalid="ignore"):
        known = evidence.real("one_way_error_us") <= CLOCK_SHARE * objective_us[evidence.link]
    one_way = some & known & (forward[row + 1] > forward[row])
    sampled = evidence.each(some)
    half = (evidence.each(some & ~one_way) > 0) | (sampled == 0)
    basis = np.where(half, DelayBasis.HALF_ROUND_TRIP, DelayBasis.ONE_WAY)
    return np.where(sampled + evidence.total("late") > 0, basis, DelayBasis.NONE).astype(np.int64)


def delays(evidence: Evidence, basis: Counts, quantile: Reals) -> Delays:
    """Delay of each link over these rows. basis (links,), quantile (links,) 0..1."""
    one_way = _delays(evidence, basis == DelayBasis.ONE_WAY, "forward_ns", quantile, 1.0)
    half = _delays(evidence, basis == DelayBasis.HALF_ROUND_TRIP, "rtt_ns", quantile, 0.5)

    def either(first: Reals, second: Reals) -> Reals:
        return np.where(basis == DelayBasis.ONE_WAY, first, second)

    return Delays(
        one_way.samples + half.samples,
        either(one_way.value_us, half.value_us),
        either(one_way.lower_us, half.lower_us),
        either(one_way.upper_us, half.upper_us),
    )


def _delays(
    evidence: Evidence, links: NDArray[np.bool_], column: str, quantile: Reals, share: float
) -> Delays:
    """The links of the mask, judged on `share` of the histograms in this column."""
    use = evidence.where(links[evidence.link])
    merged = Merged.of(evidence.windows.histograms(column), use.row, use.link, use.links)
    samples = merged.samples + use.total("late")

    def ranked_us(rank: Counts) -> Reals:
        late = (rank > merged.samples) & (rank <= samples)
        return np.where(late, np.inf, merged.ranked_ns(rank) * share / NS_PER_US)

    low, high = (ranked_us(rank) for rank in quantile_ranks(samples, quantile))
    value = ranked_us(quantile_rank(samples, quantile))
    value = np.where(np.isfinite(value), value, np.nan)
    return Delays(samples, value, widened(low, -1), widened(high, 1))


def widened(value_us: Reals, way: int) -> Reals:
    """Moved by the histogram's error down (-1) or up (1)."""
    finite = np.where(np.isfinite(value_us), value_us, 0.0)
    return value_us + way * np.abs(finite) * _BUCKET
