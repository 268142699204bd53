"""Delay histograms of many rows, merged into one for each group. Pure.

The buckets of a group lie next to each other in one flat array, from the group's lowest to its highest, so
merging is one pass over the entries and sums are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_US
from linkgauge.frame import Histograms
from linkgauge.histogram import MAX_BUCKET, value_of

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Merged:
    """n histograms: group i owns places[i]:places[i+1] of `count`, its first bucket is lowest[i].

    places (n+1,), count (places[-1],), lowest (n,), all int64.
    """

    places: Counts
    count: Counts
    lowest: Counts

    @classmethod
    def of(cls, histograms: Histograms, row: Counts, group: Counts, groups: int) -> Merged:
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
        count = np.zeros(int(places[-1]), np.int64)
        np.add.at(count, place, histograms.count[entry])
        return cls(places, count, lowest)

    @property
    def samples(self) -> Counts:
        """Samples of each group, (n,)."""
        before = self._before()
        return before[self.places[1:]] - before[self.places[:-1]]

    def column(self) -> Histograms:
        """The merged histograms as a column of a frame."""
        filled = np.flatnonzero(self.count)
        owner = np.searchsorted(self.places, filled, "right") - 1
        bucket = (filled - self.places[owner] + self.lowest[owner]).astype(np.int16)
        length = np.bincount(owner, minlength=len(self.lowest))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(length)]).astype(np.int64)
        count = self.count[filled]
        for part in (offsets, bucket, count):
            part.setflags(write=False)
        return Histograms(offsets, bucket, count)

    def quantile_us(self, per_mille: int, least: int = 1) -> Reals:
        """The sample of rank ceil(n * per_mille / 1000), us; NaN in groups of fewer than `least` samples."""
        before = self._before()
        first = before[self.places[:-1]]
        samples = before[self.places[1:]] - first
        told = np.full(len(self.lowest), np.nan)
        some = samples >= max(1, least)
        rank = np.maximum(-(-samples[some] * per_mille // 1000), 1)
        place = np.searchsorted(before[1:], first[some] + rank)
        bucket = place - self.places[:-1][some] + self.lowest[some]
        told[some] = value_of(bucket.astype(np.int16)) / NS_PER_US
        return told

    def _before(self) -> Counts:
        """Samples in all places before, (places[-1] + 1,)."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.count)])


def samples_of(histograms: Histograms) -> Counts:
    """Samples of each row of a column."""
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(histograms.count)])
    samples: Counts = before[histograms.offsets[1:]] - before[histograms.offsets[:-1]]
    return samples
