"""Delay statistics of many groups of samples at once. Pure.

Samples come as columns: `values_ns` (n,) float64 and `group` (n,) of 0..groups-1; results are one value per
group. A sample that is NaN was not measured and is left out. Percentiles are order statistics, the sample of
rank ceil(q n), and NaN below the number of samples at which the percentile can be told from the largest with
95 % confidence: 59 for the 95th, 299 for the 99th (the smallest n with q**n <= 0.05). Values may be negative.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_US
from linkgauge.frame import Histograms
from linkgauge.histogram import MAX_BUCKET, bucket_of

P95_SAMPLES = 59
P99_SAMPLES = 299
_WIDTH = 2 * MAX_BUCKET + 1

Reals = NDArray[np.float64]
Groups = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Delays:
    """Statistics per group, each (groups,) float64, us; NaN where a group has too few samples."""

    min_us: Reals
    mean_us: Reals
    p50_us: Reals
    p95_us: Reals
    p99_us: Reals
    max_us: Reals


def grouped(values_ns: Reals, group: Groups, groups: int) -> Delays:
    """Statistics of each group. values_ns (n,) ns, group (n,) in 0..groups-1; any order."""
    present = ~np.isnan(values_ns)
    values, group = values_ns[present], group[present]
    count = np.bincount(group, minlength=groups)
    ordered = values[np.lexsort((values, group))] / NS_PER_US
    first = np.cumsum(count) - count

    def rank(position: NDArray[np.int64], least: int) -> Reals:
        told = np.full(groups, np.nan)
        enough = count >= least
        told[enough] = ordered[(first + position - 1)[enough]]
        return told

    mean = np.full(groups, np.nan)
    np.divide(np.bincount(group, values, groups), count * float(NS_PER_US), out=mean, where=count > 0)
    return Delays(
        rank(np.ones(groups, np.int64), 1),
        mean,
        rank(_percentile(count, 50), 1),
        rank(_percentile(count, 95), P95_SAMPLES),
        rank(_percentile(count, 99), P99_SAMPLES),
        rank(count, 1),
    )


def summary(values_ns: Reals, prefix: str = "rtt") -> dict[str, float]:
    """Statistics of one group, keyed as in the store: rtt_min_us, rtt_mean_us, ... rtt_max_us."""
    delays = grouped(values_ns, np.zeros(len(values_ns), np.intp), 1)
    return {f"{prefix}_{field.name}": float(getattr(delays, field.name)[0]) for field in fields(Delays)}


def jitter_us(values_ns: Reals, order: NDArray[np.int64], group: Groups, groups: int) -> Reals:
    """Interarrival jitter after the last sample (RFC 3550 section 6.4.1), us, (groups,) float64.

    J += (|D| - J) / 16 from J = 0, D the difference of two consecutive delays of a group in the order of
    arrival; order: (n,) arrival time or rank. NaN for a group of fewer than two samples.
    """
    present = ~np.isnan(values_ns)
    values, order, group = values_ns[present], order[present], group[present]
    sorting = np.lexsort((order, group))
    values, group = values[sorting], group[sorting]
    step = np.abs(np.diff(values))
    same = group[1:] == group[:-1]
    step, owner = step[same], group[1:][same]
    count = np.bincount(owner, minlength=groups)
    # unrolled, J = sum over k of |D_k| / 16 * (15/16)**(number of steps after k)
    left = np.cumsum(count)[owner] - 1 - np.arange(len(owner))
    total = np.bincount(owner, step / 16.0 * np.power(15.0 / 16.0, left), groups)
    return np.where(count > 0, total / NS_PER_US, np.nan)


def histograms(values_ns: Reals, group: Groups, groups: int) -> Histograms:
    """One histogram per group, (groups,) rows; samples that are not finite are left out."""
    present = np.isfinite(values_ns)
    group = group[present].astype(np.int64)
    key, count = np.unique(
        group * _WIDTH + bucket_of(values_ns[present]).astype(np.int64) + MAX_BUCKET, return_counts=True
    )
    offsets = np.zeros(groups + 1, np.int64)
    offsets[1:] = np.cumsum(np.bincount(key // _WIDTH, minlength=groups))
    return Histograms(offsets, (key % _WIDTH - MAX_BUCKET).astype(np.int16), count.astype(np.int64))


def _percentile(count: NDArray[np.int64], percent: int) -> NDArray[np.int64]:
    """Rank ceil(percent/100 n), from 1; in whole numbers, because 0.95 * 20 is more than 19."""
    return np.maximum(1, -(-count * percent // 100))
