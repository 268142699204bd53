"""Reads the archive back: as frames for judging, and as keys for counting what is missing or double.

A row may be there more than once: a window that late replies corrected comes again with a higher revision, a
window that was judged again has a second row of state. As a frame each key comes once, in its last copy: the
highest revision, of equals the one written last. Whoever queries the files must choose likewise:

    ... QUALIFY row_number() OVER (PARTITION BY link, probe, class, start_ns ORDER BY revision DESC) = 1

A column that a file lacks, because it is older than the column, reads as 0, unknown or empty. A file that
cannot be read is left out (collector/archive/unreadable.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from collector.archive import copies
from collector.archive.unreadable import Unreadable
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Column, Columns, Frame, Histograms, concat
from linkgauge.schema import TABLES, WINDOW
from linkgauge.table import Kind, Table
from linkgauge.words import Words

Key = tuple[Any, ...]


class ArchiveReader:
    """Opens the files under `root` anew at each call, so it sees what the writer has finished by then.

    Raises StoreError when the archive cannot be read. unreadable: the files that are left out, where somebody
    else knows of some.
    """

    def __init__(self, root: Path, unreadable: Unreadable | None = None) -> None:
        self._root, self._unreadable = root, unreadable or Unreadable(root)
        self._db = duckdb.connect(config={"threads": 1})

    def windows(self, links: Sequence[str] | None, from_ns: int, to_ns: int) -> Frame:
        """WINDOW rows of `links` (None: of all) whose window starts in [from_ns, to_ns), ordered by start."""
        return self.read(WINDOW, from_ns, to_ns, links)

    def read(self, table: Table, from_ns: int, to_ns: int, links: Sequence[str] | None = None) -> Frame:
        """Rows of a table that start in [from_ns, to_ns), each key once, ordered by start."""
        where, values = "start_ns >= ? AND start_ns < ?", list[object]([from_ns, to_ns])
        if links is not None:
            where += " AND link IN (SELECT unnest(?::VARCHAR[]))"
            values.append(list(links))
        days = (_date(from_ns), _date(to_ns))
        rest = f"QUALIFY {copies.rank(table)} = 1 ORDER BY start_ns"
        found = self._fetch(table, ", ".join(_stored(table)), where, rest, values, days)
        return concat(table, []) if found is None else _frame(table, found)

    def keys(self, table: str) -> list[Key]:
        """(agent, boot, number, key columns…, start_ns) of every row; a key that comes twice is a double."""
        keys = TABLES[table].keys
        names = ["agent", "boot", "number", *keys, "start_ns"]
        select = ", ".join(f'"{n}" AS c{at}' for at, n in enumerate(names))
        found = self._fetch(TABLES[table], select, "true", "", [])
        if found is None:
            return []
        return list(zip(*(found[f"c{at}"].to_pylist() for at in range(len(names))), strict=True))

    def close(self) -> None:
        self._db.close()

    def _fetch(
        self,
        table: Table,
        select: str,
        where: str,
        rest: str,
        values: Sequence[object],
        days: tuple[str, str] | None = None,
    ) -> pa.Table | None:
        """The answer; None when the table has no file of these days (first, last; None: of any) yet."""
        rows = copies.complete(table, f"{copies.files()} WHERE {where}")
        query = f"SELECT {select} FROM ({rows}) {rest}"
        return self._unreadable.ask(
            lambda: files_of(self._root, table, days),
            lambda files: self._db.sql(query, params=[files, *values]).to_arrow_table(),
        )


def files_of(root: Path, table: Table, days: tuple[str, str] | None = None) -> list[str]:
    """A table's files, those of `days` (first and last, YYYY-MM-DD; None = of all).

    Named one by one, because DuckDB opens all that a pattern matches, of years of days for one of them.
    """
    first, last = days or ("", "~")
    found: list[str] = []
    for folder in sorted((root / table.name).glob("date=*")):
        if first <= folder.name.removeprefix("date=") <= last:
            found += sorted(str(path) for path in folder.glob("network=*/[0-9a-f]*.parquet"))
    return found


def _date(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // NS_PER_S, UTC).strftime("%Y-%m-%d")


def _stored(table: Table) -> list[str]:
    names = []
    for field in table.columns:
        if field.kind is Kind.HISTOGRAM:
            names += [f"{field.name}_bucket", f"{field.name}_count"]
        else:
            names.append(f'"{field.name}"')
    return names


def _frame(table: Table, found: pa.Table) -> Frame:
    columns: dict[str, Column | Words] = {}
    for field in table.columns:
        if field.kind is Kind.HISTOGRAM:
            columns[field.name] = _histograms(found[f"{field.name}_bucket"], found[f"{field.name}_count"])
            continue
        column = found[field.name]
        if field.kind is Kind.TEXT:
            columns[field.name] = _words(column)
        else:  # an older file may lack the column
            columns[field.name] = _numbers(column, np.nan if field.kind is Kind.REAL else 0)
    return Frame(table, Columns(columns), found.num_rows)


def _words(column: pa.ChunkedArray) -> Words:
    coded = column.fill_null("").combine_chunks().dictionary_encode()
    return Words.checked(coded.indices.to_numpy().astype(np.uint32), coded.dictionary.to_pylist())


def _numbers(column: pa.ChunkedArray, unknown: float) -> NDArray[Any]:
    made: NDArray[Any] = column.fill_null(unknown).to_numpy().copy()
    made.setflags(write=False)
    return made


def _histograms(buckets: pa.ChunkedArray, counts: pa.ChunkedArray) -> Histograms:
    """Lay the lists of all rows end to end; NULL (a column that an older file lacks) is an empty list."""
    lengths = pc.list_value_length(buckets).fill_null(0).to_numpy()
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    bucket = pc.list_flatten(buckets).to_numpy().astype(np.int16)
    count = pc.list_flatten(counts).to_numpy().astype(np.int64)
    for part in (offsets, bucket, count):
        part.setflags(write=False)
    return Histograms(offsets, bucket, count)
