"""The last row of each link, in columns: a hundred thousand links are a few arrays. Not thread safe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Frame
from linkgauge.table import Kind, Table

Row = Mapping[str, Any]
Rows = NDArray[np.intp]


class LastRows:
    """Of the copies of a row that of the highest revision stays, of equals the later.

    names: the columns kept, with "start_ns"; without them all that are numbers.
    """

    def __init__(self, table: Table, links: int, names: tuple[str, ...] = ()) -> None:
        kinds = {f.name: f.kind for f in table.columns if f.kind in (Kind.COUNT, Kind.REAL)}
        self._names = names or tuple(kinds)
        self._columns: dict[str, NDArray[Any]] = {
            name: np.zeros(links, np.int64 if kinds[name] is Kind.COUNT else np.float64)
            for name in self._names
        }

    def put(self, link: Rows, frame: Frame) -> None:
        """Rows (m,) of the links (m,), those of -1 left out."""
        starts = frame.count("start_ns")
        revisions = frame.count("revision") if "revision" in self._columns else np.zeros_like(starts)
        held, rows = self._columns["start_ns"], np.flatnonzero(link >= 0)
        if len(rows) > 1:  # of several rows of a link the last that is written stays
            rows = rows[np.lexsort((rows, revisions[rows], starts[rows]))]
        owner = link[rows]
        newer = starts[rows] > held[owner]
        same = starts[rows] == held[owner]
        if same.any() and "revision" in self._columns:
            same &= revisions[rows] >= self._columns["revision"][owner]
        fresh = newer | same
        owner, rows = owner[fresh], rows[fresh]
        for name, column in self._columns.items():
            column[owner] = np.asarray(frame.columns[name])[rows]

    def move(self, place: Rows, links: int) -> None:
        """Link i becomes link place[i] of `links`; -1 drops it."""
        kept = place >= 0
        for name, column in self._columns.items():
            self._columns[name] = np.zeros(links, column.dtype)
            self._columns[name][place[kept]] = column[kept]

    def forget_after(self, time_ns: int) -> None:
        """Drop rows that start later."""
        later = self._columns["start_ns"] > time_ns
        for column in self._columns.values():
            column[later] = 0

    @property
    def newest_ns(self) -> int:
        """Start of the newest row, 0 when there is none."""
        return int(self._columns["start_ns"].max(initial=0))

    def present(self, since_ns: int = 1) -> Rows:
        """Links with a row that starts then or later, ascending."""
        return np.flatnonzero(self._columns["start_ns"] >= since_ns)

    def columns(self, link: Rows) -> dict[str, NDArray[Any]]:
        """The rows of these links (m,), as columns (m,)."""
        return {name: column[link] for name, column in self._columns.items()}

    def rows(self, links: slice) -> Iterator[Row | None]:
        """The row of each of these links; None where there is none."""
        columns = [column[links].tolist() for column in self._columns.values()]
        for values in zip(*columns, strict=True):
            row = dict(zip(self._names, values, strict=True))
            yield row if row["start_ns"] else None
