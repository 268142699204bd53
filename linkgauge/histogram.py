"""A mergeable histogram of delay with logarithmic buckets and a stated relative error.

Bucket k > 0 holds the values v with GAMMA**(k-1) < v <= GAMMA**k (ns); it is told as the point whose
relative distance to both ends is the same, so every quantile is within RELATIVE_ERROR of an order statistic
of the samples. Bucket 0 holds |v| < 1; bucket -k mirrors k, because one-way delays between two clocks may be
negative and are kept. The bucket layout is fixed, so histograms of all agents and all times add up.
(The bucket rule is that of Masson, Rim and Lee, "DDSketch", VLDB 2019, section 2.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RELATIVE_ERROR = 0.01
GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = math.log(GAMMA)
MAX_BUCKET = math.ceil(math.log(3.6e12) / _LOG_GAMMA)  # an hour, in ns


def bucket_of(values_ns: NDArray[np.float64]) -> NDArray[np.int16]:
    """Bucket of each value. values_ns: (n,) float64, finite. Returns (n,) int16 in +-MAX_BUCKET."""
    size = np.abs(values_ns)
    with np.errstate(divide="ignore"):
        bucket = np.ceil(np.log(size) / _LOG_GAMMA)
    bucket = np.where(size < 1.0, 0.0, np.clip(bucket, 1, MAX_BUCKET))
    return (np.sign(values_ns) * bucket).astype(np.int16)


def value_of(bucket: NDArray[np.int16]) -> NDArray[np.float64]:
    """The value that stands for each bucket, ns, float64."""
    size = 2.0 * np.power(GAMMA, np.abs(bucket.astype(np.float64))) / (GAMMA + 1.0)
    return np.where(bucket == 0, 0.0, np.sign(bucket) * size)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of the buckets that are not empty: `bucket` (k,) int16 ascending, `count` (k,) int64 > 0."""

    bucket: NDArray[np.int16]
    count: NDArray[np.int64]

    @classmethod
    def of(cls, values_ns: NDArray[np.float64]) -> Histogram:
        """Histogram of samples (n,), ns; NaN is left out."""
        present = values_ns[np.isfinite(values_ns)]
        bucket, count = np.unique(bucket_of(present), return_counts=True)
        return cls(bucket, count.astype(np.int64))

    @classmethod
    def empty(cls) -> Histogram:
        return cls(np.empty(0, np.int16), np.empty(0, np.int64))

    @property
    def total(self) -> int:
        """Number of samples."""
        return int(self.count.sum())

    def quantile(self, q: float) -> float:
        """The q-quantile (0..1), ns, within RELATIVE_ERROR of the sample of rank ceil(q n); NaN if empty."""
        if not self.total:
            return math.nan
        rank = max(1, math.ceil(q * self.total))
        at = int(np.searchsorted(np.cumsum(self.count), rank))
        return float(value_of(self.bucket[at : at + 1])[0])

    def share_above(self, limit_ns: float) -> float:
        """Share of samples (0..1) in buckets that stand above `limit_ns`; NaN when empty."""
        if not self.total:
            return math.nan
        return float(self.count[value_of(self.bucket) > limit_ns].sum() / self.total)


def merge(parts: Sequence[Histogram]) -> Histogram:
    """The histogram of all samples of all parts; exact, in any order and grouping."""
    if not parts:
        return Histogram.empty()
    bucket = np.concatenate([part.bucket for part in parts])
    count = np.concatenate([part.count for part in parts])
    merged, where = np.unique(bucket, return_inverse=True)
    total = np.zeros(len(merged), np.int64)
    np.add.at(total, where, count)
    return Histogram(merged, total)
