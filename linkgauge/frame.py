"""Rows of one table as columns: the value that travels from the agent to every store.

TEXT columns are object arrays of str, COUNT int64, REAL float64 (NaN = unknown), HISTOGRAM columns are
`Histograms`. All columns of a frame have the same number of rows; arrays are read-only. Inside, a TEXT column
may stand as `Words`, as it came by the wire; its array is made when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.histogram import Histogram
from linkgauge.table import Kind, Table
from linkgauge.words import Words, join


@dataclass(frozen=True, slots=True)
class Histograms:
    """A column of histograms, end to end: row i owns entries offsets[i]:offsets[i+1].

    offsets (n+1,) int64 from 0, bucket (m,) int16, count (m,) int64.
    """

    offsets: NDArray[np.int64]
    bucket: NDArray[np.int16]
    count: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[Histogram]) -> Histograms:
        """Lay single histograms end to end."""
        offsets = np.zeros(len(rows) + 1, np.int64)
        offsets[1:] = np.cumsum([len(row.bucket) for row in rows])
        bucket = np.concatenate([row.bucket for row in rows] or [np.empty(0, np.int16)])
        count = np.concatenate([row.count for row in rows] or [np.empty(0, np.int64)])
        return cls(_frozen(offsets), _frozen(bucket), _frozen(count))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Histogram:
        part = slice(self.offsets[row], self.offsets[row + 1])
        return Histogram(self.bucket[part], self.count[part])

    def __iter__(self) -> Iterator[Histogram]:
        return (self[row] for row in range(len(self)))

    def take(self, rows: NDArray[np.intp]) -> Histograms:
        """The column of the rows named, in that order."""
        lengths = np.diff(self.offsets)[rows]
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        entries = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return Histograms(_frozen(offsets), _frozen(self.bucket[entries]), _frozen(self.count[entries]))


Column = NDArray[Any] | Histograms


class Columns(Mapping[str, Column]):
    """Columns by name, of which TEXT ones may be given as `Words`; whoever looks sees arrays."""

    __slots__ = ("_given", "_texts")

    def __init__(self, given: Mapping[str, Column | Words]) -> None:
        self._given, self._texts = given, dict[str, NDArray[np.object_]]()

    def __getitem__(self, name: str) -> Column:
        column = self._given[name]
        if not isinstance(column, Words):
            return column
        texts = self._texts.get(name)
        if texts is None:
            texts = self._texts[name] = column.texts()
        return texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def given(self, name: str) -> Column | Words:
        """The column as it is held."""
        return self._given[name]


@dataclass(frozen=True, slots=True)
class Frame:
    """`rows` rows of `table`; `columns` has every column of the table, in the table's order."""

    table: Table
    columns: Mapping[str, Column]
    rows: int

    @classmethod
    def of(cls, table: Table, columns: Mapping[str, Any], rows: int | None = None) -> Frame:
        """Build from arrays or lists; a column that is missing is 0 (COUNT), NaN (REAL), "" or empty.

        Raises ValueError when a key column is missing, a column is unknown, or lengths differ.
        """
        unknown = set(columns) - {field.name for field in table.columns}
        if unknown:
            raise ValueError(f"table {table.name} has no column {', '.join(sorted(unknown))}")
        if rows is None and "start_ns" not in columns:
            raise ValueError(f"table {table.name}: key column start_ns is missing")
        if rows is None:
            rows = len(columns["start_ns"])
        missing = [key for key in table.keys if key not in columns]
        if missing:
            raise ValueError(f"table {table.name}: key column {missing[0]} is missing")
        made = {f.name: _column(f.kind, f.name, columns.get(f.name), rows) for f in table.columns}
        return cls(table, made, rows)

    def text(self, name: str) -> NDArray[np.object_]:
        """A TEXT column: (rows,) object array of str."""
        return self._array(name)

    def words(self, name: str) -> Words:
        """A TEXT column as distinct words and which of them each row has; cheap where it came by the wire."""
        held = self._held(name)
        return held if isinstance(held, Words) else Words.of(self.text(name))

    def count(self, name: str) -> NDArray[np.int64]:
        """A COUNT column: (rows,) int64."""
        return self._array(name)

    def real(self, name: str) -> NDArray[np.float64]:
        """A REAL column: (rows,) float64, NaN = unknown."""
        return self._array(name)

    def histograms(self, name: str) -> Histograms:
        """A HISTOGRAM column."""
        column = self.columns[name]
        if not isinstance(column, Histograms):
            raise TypeError(f"column {name} of table {self.table.name} is no histogram")
        return column

    def take(self, rows: NDArray[Any]) -> Frame:
        """The rows named by a mask (rows,) bool or an index array, in that order."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        columns: dict[str, Column | Words] = {}
        for name in self.columns:
            held = self._held(name)
            columns[name] = held.take(index) if isinstance(held, Histograms | Words) else _frozen(held[index])
        return Frame(self.table, Columns(columns), len(index))

    def _held(self, name: str) -> Column | Words:
        return self.columns.given(name) if isinstance(self.columns, Columns) else self.columns[name]

    def _array(self, name: str) -> NDArray[Any]:
        column = self.columns[name]
        if isinstance(column, Histograms):
            raise TypeError(f"column {name} of table {self.table.name} is a histogram")
        return column


def concat(table: Table, frames: Sequence[Frame]) -> Frame:
    """All rows of all frames of one table, in order; an empty frame when there are none."""
    if not frames:
        return Frame.of(table, {key: [] for key in (*table.keys, "start_ns")})
    columns: dict[str, Column | Words] = {}
    for field in table.columns:
        held = [frame._held(field.name) for frame in frames]
        if field.kind is Kind.TEXT and all(isinstance(column, Words) for column in held):
            columns[field.name] = join([column for column in held if isinstance(column, Words)])
        elif field.kind is Kind.HISTOGRAM:
            columns[field.name] = _concat_histograms([frame.histograms(field.name) for frame in frames])
        else:
            columns[field.name] = _frozen(np.concatenate([frame._array(field.name) for frame in frames]))
    return Frame(table, Columns(columns), sum(frame.rows for frame in frames))


def _concat_histograms(parts: Sequence[Histograms]) -> Histograms:
    offsets = [np.zeros(1, np.int64)]
    base = 0
    for part in parts:
        offsets.append(part.offsets[1:] + base)
        base += int(part.offsets[-1])
    bucket = np.concatenate([part.bucket for part in parts])
    count = np.concatenate([part.count for part in parts])
    return Histograms(_frozen(np.concatenate(offsets)), _frozen(bucket), _frozen(count))


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, read-only; for arrays that nobody else holds."""
    array.setflags(write=False)
    return array


def _column(kind: Kind, name: str, given: Any, rows: int) -> Column:
    if kind is Kind.HISTOGRAM:
        made: Column = (
            given if isinstance(given, Histograms) else Histograms.of(given or [Histogram.empty()] * rows)
        )
    elif given is not None:
        made = _frozen(np.array(given, dtype=_DTYPES[kind]))
    else:
        made = _frozen(np.full(rows, _UNKNOWN[kind], _DTYPES[kind]))
    if len(made) != rows:
        raise ValueError(f"column {name} has {len(made)} rows, expected {rows}")
    return made


_UNKNOWN: Mapping[Kind, Any] = {Kind.TEXT: "", Kind.COUNT: 0, Kind.REAL: np.nan}
_DTYPES: Mapping[Kind, Any] = {Kind.TEXT: np.object_, Kind.COUNT: np.int64, Kind.REAL: np.float64}
