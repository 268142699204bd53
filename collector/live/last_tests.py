"""The last two throughput tests of each link that measured: one low test may be a neighbour's transfer.

Not thread safe.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.live.last_rows import LastRows
from linkgauge.frame import Frame
from linkgauge.schema import THROUGHPUT

Rows = NDArray[np.intp]
_JUDGED = ("start_ns", "outcome", "received_bps")
"""Columns that a verdict looks at."""


class LastTests:
    """Rows come in any order; of the copies of one the last stays."""

    def __init__(self) -> None:
        self._last, self._former = (LastRows(THROUGHPUT, 0, _JUDGED) for _ in range(2))

    def put(self, link: Rows, frame: Frame) -> None:
        """THROUGHPUT rows (m,) that measured, of the links (m,), those of -1 left out."""
        starts = frame.count("start_ns")
        while len(rows := np.flatnonzero(link >= 0)):
            rows = rows[np.argsort(starts[rows], kind="stable")]
            _, first = np.unique(link[rows], return_index=True)  # the earliest left of each link
            self._put(link[rows[first]], frame.take(rows[first]))
            link = link.copy()
            link[rows[first]] = -1

    def columns(self, last_ns: int, former_ns: int) -> tuple[Rows, dict[str, NDArray[Any]]]:
        """Links and columns of the last tests that began then or later, and of those before each of them."""
        last = self._last.present(last_ns)
        former = np.intersect1d(last, self._former.present(former_ns))
        lasts, formers = self._last.columns(last), self._former.columns(former)
        columns = {name: np.concatenate([column, formers[name]]) for name, column in lasts.items()}
        return np.concatenate([last, former]), columns

    def move(self, place: Rows, links: int) -> None:
        """Link i becomes link place[i] of `links`; -1 drops it."""
        for rows in (self._last, self._former):
            rows.move(place, links)

    def forget_after(self, time_ns: int) -> None:
        """Drop tests that began later; the one before is the last then."""
        for rows in (self._last, self._former):
            rows.forget_after(time_ns)
        left = np.setdiff1d(self._former.present(), self._last.present())
        self._last.put(left, self._frame(left, self._former.columns(left)))

    def _put(self, link: Rows, frame: Frame) -> None:
        """Rows (m,) of different links (m,)."""
        starts = frame.count("start_ns")
        held = self._last.columns(link)
        newer = starts > held["start_ns"]
        replaced = np.flatnonzero(newer & (held["start_ns"] > 0))
        former = self._frame(link[replaced], {name: column[replaced] for name, column in held.items()})
        self._former.put(link[replaced], former)
        older = starts < held["start_ns"]
        self._former.put(np.where(older, link, -1), frame)
        self._last.put(np.where(older, -1, link), frame)

    @staticmethod
    def _frame(link: Rows, columns: dict[str, NDArray[Any]]) -> Frame:
        return Frame.of(THROUGHPUT, {"link": [""] * len(link), **columns}, len(link))
