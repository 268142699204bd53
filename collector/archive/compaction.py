"""Small files of a folder put together into one: sorted by key and start, of each key its last copy.

While its day lasts, a folder's files are put together by the step (rules.step_files: an hour's, at one a
minute); once the day is over, and its files are old enough, what there is becomes one; what still comes waits
a day for more. A run of files that are put together has no other between them in the order of the journal, so
"written last" means the same before and after. The last delivery is left alone: its rows may come again.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Container, Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from collector.archive import copies, disk, parquet
from collector.archive.holdings import Holdings
from collector.archive.layout import FileName, name_of
from collector.archive.manifest import Held
from collector.archive.rules import Rules
from linkgauge.clock import NS_PER_S, Clock
from linkgauge.errors import StoreError
from linkgauge.schema import TABLES
from linkgauge.table import Table

_DAY_S = 86_400
_MEMORY = "320MB"
"""What DuckDB may take; beyond it sorts on disk, in the work folder."""
_BATCH_ROWS = 16_384
_SOURCE = copies.files("$files")


class FolderFault(StoreError):
    """The files of one folder cannot be put together; others can."""

    def __init__(self, folder: str, words: str) -> None:
        super().__init__(f"{folder}: {words}")
        self.folder = folder


def step(holdings: Holdings, rules: Rules, clock: Clock, aside: Container[str] = ()) -> bool:
    """Put together the files of one folder that are due; False when none are. aside: folders to leave alone.

    Raises FolderFault, and OSError when the disk will not; then everything is as it was.
    """
    run = due(holdings, rules, clock.now().wall_ns, aside)
    if not run:
        return False
    need = 2 * sum(held.file.octets for held in run)
    if disk.free_bytes(holdings.layout.root) < rules.keep_free_bytes + need:
        return False
    try:
        _merge_as_many_as_fit(holdings, run)
    except (duckdb.Error, pa.ArrowException) as err:
        raise FolderFault(_folder(run[0]), str(err).splitlines()[0][:300]) from None
    return True


def _merge_as_many_as_fit(holdings: Holdings, run: Sequence[Held]) -> None:
    """The run, or where memory does not do for it the first half of it, and so on."""
    while True:
        try:
            merge(holdings, [held.file.path for held in run], sum(held.file.rows for held in run))
            return
        except duckdb.OutOfMemoryException:
            if len(run) < 4:
                raise
            run = run[: len(run) // 2]


def due(holdings: Holdings, rules: Rules, now_ns: int, aside: Container[str] = ()) -> list[Held]:
    """Files of one folder that are to be put together now; [] when there are none."""
    folders: defaultdict[str, list[Held]] = defaultdict(list)
    for held in holdings.held():
        folders[_folder(held)].append(held)
    for folder in sorted(folder for folder in folders if folder not in aside):
        files = sorted(folders[folder], key=lambda held: name_of(held.file.path).first)
        day_over = now_ns > _end_ns(folder) + rules.compact_after_s * NS_PER_S
        for run in _runs(files, holdings, rules, now_ns, day_over):
            if _worth(run, rules, now_ns, day_over):
                return run
    return []


def merge(holdings: Holdings, paths: Sequence[str], rows: int) -> None:
    """Put the files named, in the order of the journal, together; rows: what they have."""
    first, last = name_of(paths[0]), name_of(paths[-1])
    folder = paths[0].rpartition("/")[0]
    table = TABLES[folder.partition("/")[0]]
    name = str(FileName(first.identity, first.first, last.last))
    made, spill = holdings.work / name, holdings.work / "spill"
    try:
        with duckdb.connect(
            config={"threads": 1, "memory_limit": _MEMORY, "temp_directory": str(spill)}
        ) as db:
            left = _write(db, table, [str(holdings.layout.root / path) for path in paths], made)
    finally:
        disk.remove_folder(spill)
    holdings.merge(holdings.stage(made, f"{folder}/{name}", left), paths, rows - left)


def _write(db: duckdb.DuckDBPyConnection, table: Table, files: list[str], made: Path) -> int:
    source, key = _SOURCE, copies.key(table)
    if _have_doubles(db, files, key):
        source = f"(SELECT * FROM {_SOURCE} QUALIFY {copies.rank(table)} = 1)"
    rows = db.sql(
        f"SELECT * EXCLUDE (filename, file_row_number) FROM ({copies.complete(table, source)}) "
        f"ORDER BY {_order(table)}",
        params={"files": files},
    ).to_arrow_reader(_BATCH_ROWS)
    return parquet.write(made, table, rows.schema, rows)


def _have_doubles(db: duckdb.DuckDBPyConnection, files: list[str], key: str) -> bool:
    query = f"SELECT 1 FROM {_SOURCE} GROUP BY {key} HAVING count(*) > 1 LIMIT 1"
    return bool(db.execute(query, {"files": files}).fetchall())


def _order(table: Table) -> str:
    """By link and start, then by what else is in the key."""
    first, *others = (f'"{key}"' for key in table.keys)
    return ", ".join([first, "start_ns", *others])


def _runs(
    files: list[Held], holdings: Holdings, rules: Rules, now_ns: int, day_over: bool
) -> list[list[Held]]:
    """Files that follow each other, are small and old enough, and together not much above a step's size."""
    runs: list[list[Held]] = [[]]
    size = 0
    for held in files:
        young = now_ns - held.at_ns < rules.compact_after_s * NS_PER_S
        done = held.what == "merged" and not day_over
        if young or done or held.file.octets >= rules.step_octets or not holdings.settled(held.file.path):
            runs.append([])
            size = 0
            continue
        if size + held.file.octets > rules.step_octets:
            runs.append([])
            size = 0
        runs[-1].append(held)
        size += held.file.octets
    return [run for run in runs if len(run) > 1]


def _worth(run: list[Held], rules: Rules, now_ns: int, day_over: bool) -> bool:
    fresh = [held for held in run if held.what != "merged"]
    if len(fresh) >= rules.step_files:
        return True
    if not day_over:
        return False
    waited_ns = now_ns - min((held.at_ns for held in fresh), default=now_ns)
    return len(run) - len(fresh) != 1 or waited_ns > (_DAY_S + rules.compact_after_s) * NS_PER_S


def _folder(held: Held) -> str:
    return held.file.path.rpartition("/")[0]


def _end_ns(folder: str) -> int:
    """End of the day of a folder, Unix ns; raises FolderFault where the folder is none of a table's day."""
    table, date = folder.split("/")[:2]
    try:
        start = datetime.strptime(date.removeprefix("date="), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as err:
        raise FolderFault(folder, str(err)) from None
    if table not in TABLES:
        raise FolderFault(folder, "this version knows no such table")
    return (int(start.timestamp()) + _DAY_S) * NS_PER_S


def be_nice() -> None:
    """Let the thread that calls this stand back behind those that take batches in."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
