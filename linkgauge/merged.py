"""Histograms of many rows merged into one for each group, and their order statistics. Pure, exact below 2^53.

The buckets of a group lie next to each other in one flat array, from the group's lowest to its highest, so
that merging is one `bincount` and every rank is found by one `searchsorted`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from linkgauge.clock import NS_PER_US
from linkgauge.frame import Histograms
from linkgauge.histogram import MAX_BUCKET, value_of

Rows = NDArray[np.intp]
Counts = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Merged:
    """n merged histograms: group i owns places[i]:places[i+1] of `before`, its first bucket is lowest[i].

    places (n+1,) int64; before (places[-1] + 1,) int64 counts samples in all places before; lowest (n,).
    """

    places: Counts
    before: Counts
    lowest: Counts

    @classmethod
    def of(cls, histograms: Histograms, row: Rows, group: Rows, groups: int) -> Merged:
        """Merge the histograms of the rows (m,) by their group (m,) in 0..groups-1."""
        begin, end = histograms.offsets[row], histograms.offsets[row + 1]
        some = end > begin
        begin, end, group = begin[some], end[some], group[some]
        lowest = np.full(groups, MAX_BUCKET)
        highest = np.full(groups, -MAX_BUCKET - 1)
        np.minimum.at(lowest, group, histograms.bucket[begin].astype(np.int64))
        np.maximum.at(highest, group, histograms.bucket[end - 1].astype(np.int64))
        width = np.maximum(highest - lowest + 1, 0)
        places = np.concatenate([np.zeros(1, np.int64), np.cumsum(width)])
        length = end - begin
        entry = np.arange(int(length.sum())) + np.repeat(begin - (np.cumsum(length) - length), length)
        place = histograms.bucket[entry] + np.repeat(places[group] - lowest[group], length)
        count = np.bincount(place, histograms.count[entry], int(places[-1])).astype(np.int64)
        return cls(places, np.concatenate([np.zeros(1, np.int64), np.cumsum(count)]), lowest)

    @property
    def samples(self) -> Counts:
        """Samples of each group, (n,)."""
        return self.before[self.places[1:]] - self.before[self.places[:-1]]

    def ranked_ns(self, rank: Counts) -> Reals:
        """The sample of that rank (n,), from 1, in each group, ns, within the histogram's relative error.

        NaN where a group has no sample of that rank.
        """
        told = np.full(len(self.lowest), np.nan)
        some = (rank >= 1) & (rank <= self.samples)
        first = self.places[:-1][some]
        place = np.searchsorted(self.before[1:], self.before[first] + rank[some])
        told[some] = value_of((place - first + self.lowest[some]).astype(np.int16))
        return told

    def quantile_ns(self, quantile: ArrayLike, least: int = 1) -> Reals:
        """The sample of rank ceil(q n); NaN in groups of fewer than `least` samples."""
        ranked = self.ranked_ns(quantile_rank(self.samples, quantile))
        return np.where(self.samples >= least, ranked, np.nan)

    def quantile_us(self, per_mille: int, least: int = 1) -> Reals:
        """The sample of rank ceil(n * per_mille / 1000), us; NaN in groups of fewer than `least` samples."""
        rank = np.maximum(-(-self.samples * per_mille // 1000), 1)
        return np.where(self.samples >= max(1, least), self.ranked_ns(rank) / NS_PER_US, np.nan)

    def column(self) -> Histograms:
        """The merged histograms as a column of a frame."""
        counts = np.diff(self.before)
        filled = np.flatnonzero(counts)
        owner = np.searchsorted(self.places, filled, "right") - 1
        bucket = (filled - self.places[owner] + self.lowest[owner]).astype(np.int16)
        length = np.bincount(owner, minlength=len(self.lowest))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(length)]).astype(np.int64)
        count = counts[filled]
        for part in (offsets, bucket, count):
            part.setflags(write=False)
        return Histograms(offsets, bucket, count)


def quantile_rank(samples: Counts, quantile: ArrayLike) -> Counts:
    """Rank of the quantile among so many samples: ceil(q n), from 1; (n,) int64."""
    return np.maximum(np.ceil(np.asarray(quantile) * samples).astype(np.int64), 1)


def samples_of(histograms: Histograms) -> Counts:
    """Samples of each row of a column, (n,)."""
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(histograms.count)])
    samples: Counts = before[histograms.offsets[1:]] - before[histograms.offsets[:-1]]
    return samples
