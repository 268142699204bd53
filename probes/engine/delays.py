"""Delay statistics of many groups of samples at once. Pure.

Samples come as columns: `values_ns` (n,) float64 and `group` (n,) of 0..groups-1; results are one value per
group. A sample that is NaN was not measured and is left out. Percentiles are order statistics, the sample of
rank ceil(q n), and NaN below the number of samples at which the percentile can be told from the largest with
95 % confidence: 59 for the 95th, 299 for the 99th, 2 995 for the 99.9th (the smallest n with q**n <= 0.05).
Values may be negative.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_US
from linkgauge.frame import Histograms
from linkgauge.histogram import MAX_BUCKET, bucket_of

P95_SAMPLES = 59
P99_SAMPLES = 299
P999_SAMPLES = 2_995
_SPARSE = 4
"""A table of groups by samples is not made when it would be this many times larger than the samples."""

Reals = NDArray[np.float64]
Groups = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Delays:
    """Statistics per group, each (groups,) float64, us; NaN where a group has too few samples."""

    min_us: Reals
    mean_us: Reals
    p50_us: Reals
    p95_us: Reals
    p99_us: Reals
    p999_us: Reals
    max_us: Reals

    @property
    def highest_us(self) -> Reals:
        """The highest percentile that is known."""
        known = self.p50_us
        for higher in (self.p95_us, self.p99_us, self.p999_us):
            known = np.where(np.isnan(higher), known, higher)
        return known


@dataclass(frozen=True, slots=True)
class Ordered:
    """Samples in order, group by group: group g owns values[first[g] : first[g] + count[g]]."""

    values: Reals
    first: NDArray[np.int64]
    count: NDArray[np.int64]


def ordered(values_ns: Reals, group: Groups, groups: int) -> Ordered:
    """Sort the samples of each group. values_ns (n,) ns, group (n,) in 0..groups-1; any order."""
    present = ~np.isnan(values_ns)
    if not present.all():
        values_ns, group = values_ns[present], group[present]
    count = np.bincount(group, minlength=groups).astype(np.int64)
    first = np.cumsum(count) - count
    if (np.diff(group) < 0).any():
        by_group = np.argsort(group, kind="stable")
        values_ns, group = values_ns[by_group], group[by_group]
    longest = int(count.max(initial=0))
    if groups * longest > _SPARSE * len(values_ns) + 1024:
        return Ordered(values_ns[np.lexsort((values_ns, group))], first, count)
    table = np.full((groups, longest), np.inf)
    inside = np.arange(longest) < count[:, None]
    table[inside] = values_ns
    table.sort(axis=1)
    return Ordered(table[inside], first, count)


def grouped(values_ns: Reals, group: Groups, groups: int) -> Delays:
    """Statistics of each group. values_ns (n,) ns, group (n,) in 0..groups-1; any order."""
    return statistics(ordered(values_ns, group, groups))


def statistics(samples: Ordered) -> Delays:
    """Statistics of each group of samples."""
    count, first, groups = samples.count, samples.first, len(samples.count)
    some = count > 0

    def rank(position: NDArray[np.int64], least: int) -> Reals:
        told = np.full(groups, np.nan)
        enough = count >= least
        told[enough] = samples.values[(first + position - 1)[enough]] / NS_PER_US
        return told

    mean = np.full(groups, np.nan)
    if some.any():
        mean[some] = np.add.reduceat(samples.values, first[some]) / (count[some] * float(NS_PER_US))
    return Delays(
        rank(np.ones(groups, np.int64), 1),
        mean,
        rank(_rank(count, 500), 1),
        rank(_rank(count, 950), P95_SAMPLES),
        rank(_rank(count, 990), P99_SAMPLES),
        rank(_rank(count, 999), P999_SAMPLES),
        rank(count, 1),
    )


def medians_us(values_ns: Reals, group: Groups, groups: int) -> Reals:
    """The median of each group, us; NaN for an empty one."""
    samples = ordered(values_ns, group, groups)
    told = np.full(groups, np.nan)
    some = samples.count > 0
    told[some] = samples.values[(samples.first + _rank(samples.count, 500) - 1)[some]] / NS_PER_US
    return told


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
    step_of_group = np.diff(group)
    if ((step_of_group < 0) | ((step_of_group == 0) & (np.diff(order) < 0))).any():
        sorting = np.lexsort((order, group))
        values, group = values[sorting], group[sorting]
        step_of_group = np.diff(group)
    same = step_of_group == 0
    step, owner = np.abs(np.diff(values))[same], group[1:][same]
    count = np.bincount(owner, minlength=groups)
    # unrolled, J = sum over k of |D_k| / 16 * (15/16)**(number of steps after k)
    left = np.cumsum(count)[owner] - 1 - np.arange(len(owner))
    recent = left < 512  # what is further back weighs less than 1e-14
    weight = np.power(15.0 / 16.0, left[recent])
    total = np.bincount(owner[recent], step[recent] / 16.0 * weight, groups)
    return np.where(count > 0, total / NS_PER_US, np.nan)


def histograms(values_ns: Reals, group: Groups, groups: int) -> Histograms:
    """One histogram per group, (groups,) rows; samples that are not finite are left out."""
    finite = np.isfinite(values_ns)
    if not finite.all():
        values_ns, group = values_ns[finite], group[finite]
    return counted(ordered(values_ns, group, groups))


def counted(samples: Ordered) -> Histograms:
    """One histogram of each group of finite samples."""
    groups = len(samples.count)
    bucket = bucket_of(samples.values).astype(np.int64)
    owner = np.repeat(np.arange(groups), samples.count)
    begins = np.ones(len(bucket), np.bool_)
    begins[1:] = (np.diff(bucket) != 0) | (np.diff(owner) != 0)
    at = np.flatnonzero(begins)
    offsets = np.zeros(groups + 1, np.int64)
    offsets[1:] = np.cumsum(np.bincount(owner[at], minlength=groups))
    count = np.diff(np.append(at, len(bucket)))
    return Histograms(offsets, np.clip(bucket[at], -MAX_BUCKET, MAX_BUCKET).astype(np.int16), count)


def _rank(count: NDArray[np.int64], thousandths: int) -> NDArray[np.int64]:
    """Rank ceil(thousandths/1000 n), from 1; in whole numbers, because 0.95 * 20 is more than 19."""
    return np.maximum(1, -(-count * thousandths // 1000))
