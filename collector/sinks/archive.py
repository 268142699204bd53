"""The archive: every row that was ever journalled, as Hive-partitioned Parquet, written through DuckDB.

    root/<table>/date=YYYY-MM-DD/network=<name>/<journal>-<first seq>-<last seq>.parquet

The date is that of the window's start, UTC; tables without links have network=none. Columns are those of the
table (TEXT VARCHAR, COUNT BIGINT, REAL DOUBLE with NULL for unknown, a histogram as the lists
``<name>_bucket`` INTEGER and ``<name>_count`` BIGINT), then agent, boot, number of the batch, and for tables
with links the tags of schema.LINK_TAGS. `network` stands in the path only, so that every engine reads it
from there. A file appears whole: written beside its place, on disk, then renamed.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from collector.sinks.link_tags import Tags
from collector.sinks.sink import Delivery
from linkgauge.clock import NS_PER_S
from linkgauge.errors import SinkHeld
from linkgauge.frame import Frame, Histograms, concat
from linkgauge.schema import LINK_TAGS, TABLES
from linkgauge.table import Kind, Table

NAME = "archive"
_DAY_NS = 86_400 * NS_PER_S
_FILE = re.compile(r"([0-9a-f]+)-(\d+)-(\d+)\.parquet")
_SQL_TYPES = {Kind.TEXT: "VARCHAR", Kind.COUNT: "BIGINT", Kind.REAL: "DOUBLE"}


class Archive:
    """Writes deliveries as Parquet files under `root`, named by the journal's identity and their seqs.

    At open, files of this journal beyond `cursor` are removed: they were written, but the cursor had not
    moved when the process ended, so the same batches come again. Raises SinkHeld when the disk will not.
    """

    def __init__(self, root: Path, identity: str, cursor: int, tags: Tags) -> None:
        self._root, self._identity, self._tags = root, identity, tags
        self._db = duckdb.connect(config={"threads": 1})
        self._sweep(cursor)

    @property
    def name(self) -> str:
        return NAME

    @property
    def tables(self) -> None:
        return None

    def write(self, entries: Sequence[Delivery]) -> None:
        file_name = f"{self._identity}-{entries[0].seq}-{entries[-1].seq}.parquet"
        tables = dict.fromkeys(name for entry in entries for name in entry.frames)
        try:
            for table in tables:
                self._write_table(TABLES[table], entries, file_name)
        except (OSError, duckdb.Error) as err:
            words = str(err).splitlines()[0][:300]
            raise SinkHeld(
                f"{self._root}: the archive cannot be written ({words}); make room or mend it"
            ) from None

    def close(self) -> None:
        self._db.close()

    def _write_table(self, table: Table, entries: Sequence[Delivery], file_name: str) -> None:
        chosen = [entry for entry in entries if table.name in entry.frames]
        frame = concat(table, [entry.frames[table.name] for entry in chosen])
        columns = _columns(frame)
        rows = [entry.frames[table.name].rows for entry in chosen]
        for name in ("agent", "boot", "number"):
            if name not in columns:
                columns[name] = np.repeat(_object_or_int([getattr(entry, name) for entry in chosen]), rows)
        partition = self._tagged(frame, columns)
        for (day, network), index in _groups(frame.count("start_ns") // _DAY_NS, partition).items():
            date = datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")
            folder = self._root / table.name / f"date={date}" / f"network={network}"
            part = {name: column[index] for name, column in columns.items()}
            self._write_file(folder / file_name, _select(table), part)

    def _tagged(self, frame: Frame, columns: dict[str, NDArray[Any]]) -> list[str]:
        """Add the link's tags to `columns`; returns the network of each row."""
        if "link" not in frame.table.keys:
            return ["none"] * frame.rows
        links = frame.text("link").tolist()
        tags = {link: self._tags(link) for link in set(links)}
        for name in LINK_TAGS:
            if name not in ("link", "network"):
                columns[name] = _objects([tags[link].get(name) for link in links])
        return [tags[link]["network"] for link in links]

    def _write_file(self, path: Path, select: str, part: dict[str, NDArray[Any]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        temporary = path.with_name(f".tmp-{path.name}")
        quoted = str(temporary).replace("'", "''")
        self._db.register("part", part)
        try:
            self._db.execute(
                f"COPY ({select}) TO '{quoted}' (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)"
            )
        finally:
            self._db.unregister("part")
        _settle(temporary)
        os.replace(temporary, path)
        _sync_folder(path.parent)

    def _sweep(self, cursor: int) -> None:
        for path in self._root.rglob("*.parquet"):
            found = _FILE.fullmatch(path.name.removeprefix(".tmp-"))
            if not found or found[1] != self._identity:
                continue
            if path.name.startswith(".tmp-") or int(found[3]) > cursor:
                path.unlink()


def _select(table: Table) -> str:
    """The columns with their types, in order; the names are the schema's, not a user's."""
    parts = []
    for field in table.columns:
        if field.kind is Kind.HISTOGRAM:
            parts.append(f"{field.name}_bucket::INTEGER[] AS {field.name}_bucket")
            parts.append(f"{field.name}_count::BIGINT[] AS {field.name}_count")
        elif field.kind is Kind.REAL:
            parts.append(
                f'CASE WHEN isnan("{field.name}") THEN NULL ELSE "{field.name}" END AS "{field.name}"'
            )
        else:
            parts.append(f'"{field.name}"::{_SQL_TYPES[field.kind]} AS "{field.name}"')
    extra = [name for name in ("agent", "boot") if name not in table.keys]
    if "link" in table.keys:
        extra += [name for name in LINK_TAGS if name not in ("link", "network")]
    parts += [f"{name}::VARCHAR AS {name}" for name in extra]
    return f"SELECT {', '.join(parts)}, number::BIGINT AS number FROM part"


def _columns(frame: Frame) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {}
    for name, column in frame.columns.items():
        if isinstance(column, Histograms):
            columns[f"{name}_bucket"] = _lists(column.bucket, column.offsets)
            columns[f"{name}_count"] = _lists(column.count, column.offsets)
        else:
            columns[name] = column
    return columns


def _lists(values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[np.object_]:
    flat, ends = values.tolist(), offsets.tolist()
    return _objects([flat[start:end] for start, end in pairwise(ends)])


def _objects(values: Sequence[object]) -> NDArray[np.object_]:
    return np.fromiter(values, np.object_, len(values))


def _object_or_int(values: Sequence[object]) -> NDArray[Any]:
    return np.array(values, np.int64) if isinstance(values[0], int) else _objects(values)


def _groups(days: NDArray[np.int64], networks: Sequence[str]) -> dict[tuple[int, str], NDArray[np.intp]]:
    """Row indices by (day, network)."""
    found: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
    for at, key in enumerate(zip(days.tolist(), networks, strict=True)):
        found[key].append(at)
    return {key: np.array(rows, np.intp) for key, rows in found.items()}


def _settle(path: Path) -> None:
    """Readable by owner and group only, and on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fchmod(handle, 0o640)
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
