"""What is left to explain, and which places explain most of it; rules: quality.places.finding. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quality.places.crossings import Crossings

Rows = NDArray[np.intp]
Reals = NDArray[np.float64]
Mask = NDArray[np.bool_]

WELL_WEIGHT = 10.0
"""A way that is well speaks against a place as much as so many ways in trouble speak for it."""
LEAST_PAIRS = 2
"""Pairs of nodes that a place must explain."""
_SAME = 0.5
"""Scores are whole; closer ones are the same but for rounding."""


@dataclass(frozen=True, slots=True)
class Sights:
    """What was seen on ways, of which those of single flows stand behind those of `Crossings`.

    sight (ways,): the number of the trouble that is seen on a way, -1 none; two ways have the same number
    where it is not known which of them it is on. well (ways,): how much the way speaks against places, 0
    none. pair (ways,). more_way, more_cell: the entries of single flows. least (ways,): share of
    a way's packets in trouble at least: a place that fewer of its flows cross does not explain it. whole: a
    way that is well clears only what all of its flows cross. cleared (k,): way * cells + cell of cells that
    do not explain the trouble of a way.
    """

    sight: Rows
    well: Reals
    pair: NDArray[np.int64]
    more_way: Rows
    more_cell: Rows
    least: Reals
    whole: bool
    cleared: Rows


class Cover:
    """Changes as trouble is explained. `cells` are those that trouble crosses; places by their number."""

    def __init__(self, crossings: Crossings, sights: Sights) -> None:
        trouble, well = np.zeros((2, len(sights.sight)), np.bool_)
        np.greater_equal(sights.sight, 0, out=trouble)
        np.greater(sights.well, 0, out=well)
        entry = np.flatnonzero(trouble[crossings.way])
        entry = entry[crossings.share[entry] >= sights.least[crossings.way[entry]]]
        if len(sights.cleared):
            codes = crossings.way[entry] * len(crossings.cell_place) + crossings.cell[entry]
            entry = entry[~np.isin(codes, sights.cleared)]
        more = trouble[sights.more_way]
        way = np.concatenate([crossings.way[entry], sights.more_way[more]])
        cell = np.concatenate([crossings.cell[entry], sights.more_cell[more]])
        self.cells, cell = np.unique(cell, return_inverse=True)
        self.place = crossings.cell_place[self.cells]
        self._places = len(crossings.places)
        codes = np.unique(sights.sight[way] * max(len(self.cells), 1) + cell)
        self.sight, self.cell = np.divmod(codes, max(len(self.cells), 1))
        self._pair = np.zeros(int(sights.sight.max(initial=-1)) + 1, np.int64)
        self._pair[sights.sight[trouble]] = sights.pair[trouble]
        self._left = np.ones(len(self._pair), np.bool_)
        number = np.full(len(crossings.cell_place), -1, np.intp)
        number[self.cells] = np.arange(len(self.cells))
        entry = np.flatnonzero(well[crossings.way] & (number[crossings.cell] >= 0))
        if sights.whole:
            entry = entry[crossings.share[entry] == 1]
        more = well[sights.more_way] & (number[sights.more_cell] >= 0)
        self._well_way = np.concatenate([crossings.way[entry], sights.more_way[more]])
        self._well_cell = number[np.concatenate([crossings.cell[entry], sights.more_cell[more]])]
        weights = sights.well[self._well_way]
        self._against = np.bincount(self._well_cell, weights, len(self.cells)).astype(np.float64)

    def best(self) -> Rows:
        """The place that explains most of what is left, and those that explain the same as well; none: no
        place explains the trouble of two pairs of nodes."""
        score, pairs, speaks = self._scores(self._left)
        score = np.where(pairs >= LEAST_PAIRS, score, 0.0)
        if not len(score) or score.max() <= 0:
            return np.empty(0, np.intp)
        top = int(np.argmax(score))
        alike, _, _ = self._scores(self._left & self._over(speaks & (self.place == top)))
        return np.flatnonzero(alike > score[top] - _SAME)

    def speaking(self, place: int) -> Rows:
        """Indices into `cells`: those of the place for which more speaks than against them."""
        _, _, speaks = self._scores(self._left)
        return np.flatnonzero(speaks & (self.place == place))

    def left_over(self, cells: Rows) -> Rows:
        """Sights that are left, seen on ways over one of the cells."""
        return np.flatnonzero(self._left & self._over(self._mask(cells)))

    def all_over(self, cells: Rows) -> Rows:
        """All sights on ways over one of the cells, whatever was explained."""
        return np.flatnonzero(self._over(self._mask(cells)))

    def well_over(self, cells: Rows) -> Rows:
        """Ways that are well and cross one of the cells, single flows as well."""
        return np.unique(self._well_way[self._mask(cells)[self._well_cell]])

    def explain(self, sights: Rows) -> None:
        """These are explained."""
        self._left[sights] = False

    def _mask(self, cells: Rows) -> Mask:
        mask = np.zeros(len(self.cells), np.bool_)
        mask[cells] = True
        return mask

    def _over(self, cells: Mask) -> Mask:
        over = np.zeros(len(self._left), np.bool_)
        over[self.sight[cells[self.cell]]] = True
        return over

    def _scores(self, sights: Mask) -> tuple[Reals, NDArray[np.int64], Mask]:
        """Of each place how much of these sights it explains, less what speaks against it, and how many pairs
        of nodes they are of; of each cell whether more speaks for than against it."""
        live = sights[self.sight]
        speaks = np.bincount(self.cell[live], minlength=len(self.cells)) > self._against
        entry = np.flatnonzero(live & speaks[self.cell])
        sight, place = self.sight[entry], self.place[self.cell[entry]]
        explained = self._distinct(sight, place)
        against = np.bincount(self.place[speaks], self._against[speaks], self._places).astype(np.float64)
        return explained - against, self._distinct(self._pair[sight], place), speaks

    def _distinct(self, what: NDArray[np.int64], place: Rows) -> NDArray[np.int64]:
        """How many different `what` each place has."""
        codes = np.unique(what * self._places + place)
        return np.bincount(codes % self._places, minlength=self._places)
