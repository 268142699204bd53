"""How the delays of a period spread, by blocks of windows: for the number `period_delay_us`. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_US
from linkgauge.frame import Frame
from linkgauge.merged import Merged, quantile_rank
from linkgauge.model import DelayBasis
from quality.evidence import Rows
from quality.memory.packed import Packed
from quality.memory.shelf import RANGE, Shelf

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]
BLOCKS = 6
"""Blocks of a period."""
DEPTH = 15
"""Windows of which what was told is remembered."""
_SHARES = {DelayBasis.ONE_WAY: ("forward_ns", 1.0), DelayBasis.HALF_ROUND_TRIP: ("rtt_ns", 0.5)}


class Spread:
    """Round trips and one-way delays that a fit agent measured without a throughput test of our own."""

    def __init__(self, window_ns: int, period_ns: int) -> None:
        self._window_ns, self._period_ns = window_ns, period_ns
        windows = -(-period_ns // window_ns)
        self._block_ns = -(-windows // BLOCKS) * window_ns
        self._shelves = {column: Shelf(merge=True) for column, _ in _SHARES.values()}
        self._told: dict[int, Packed] = {}

    def put(self, start_ns: int, link: Rows, rows: Frame) -> None:
        """Add WINDOW rows (m,) of one window, of the links (m,), ascending."""
        use = (rows.count("sent") > 0) & (rows.count("unfit") == 0) & (rows.count("under_test") == 0)
        chosen = np.flatnonzero(use)
        for column, shelf in self._shelves.items():
            shelf.put(self._block(start_ns), link[chosen], rows.histograms(column).take(chosen))

    def quantile_us(self, start_ns: int, basis: Counts, late: Counts, quantile: Reals) -> Reals:
        """Delay (links,) over the period that ends with the window at start_ns, on the link's basis.

        late (links,): packets slower than every sample; NaN where the quantile is among them, or unknown. A
        window judged again soon is told what it was first: later windows are in its block by now.
        """
        told = self._quantile_us(start_ns, basis, late, quantile)
        if start_ns in self._told:
            before = self._told[start_ns].arrays()[0]
            told = np.where(np.isnan(before), told, before)
        self._told[start_ns] = Packed.of(told)
        for old_ns in sorted(self._told)[:-DEPTH]:
            del self._told[old_ns]
        return told

    def _quantile_us(self, start_ns: int, basis: Counts, late: Counts, quantile: Reals) -> Reals:
        first = self._block(start_ns + self._window_ns - self._period_ns)
        blocks = range(first, self._block(start_ns) + 1, self._block_ns)
        told = np.full(len(basis), np.nan)
        for kind, (column, share) in _SHARES.items():
            for part in range(-(-len(basis) // RANGE)):
                here = slice(part * RANGE, (part + 1) * RANGE)
                mine = basis[here] == kind
                if mine.any():
                    kept = self._shelves[column].get(blocks, part)
                    link = kept.link - part * RANGE
                    use = np.flatnonzero(mine[link])
                    merged = Merged.of(kept.histograms, use, link[use], len(mine))
                    rank = quantile_rank(merged.samples + late[here], quantile[here])
                    told[here] = np.where(mine, merged.ranked_ns(rank) * share / NS_PER_US, told[here])
        return told

    def forget(self, before_ns: int) -> None:
        """Drop the blocks that end before."""
        for shelf in self._shelves.values():
            shelf.forget(self._block(before_ns))

    def move(self, place: Rows, links: int) -> None:
        """Link i becomes link place[i] of `links`; -1 drops it."""
        self._told.clear()
        for shelf in self._shelves.values():
            shelf.move(place)

    def _block(self, start_ns: int) -> int:
        return start_ns - start_ns % self._block_ns
