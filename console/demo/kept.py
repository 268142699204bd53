"""Was everything kept, once? Counted from what is in the stores themselves.

The agents' ledgers say which batches were produced and how many rows each had; the archive is read back row
by row; InfluxDB is asked for every point. No counter of a running program is believed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from collector.sinks.archive_reader import ArchiveReader
from linkgauge.clock import seconds
from linkgauge.errors import LinkgaugeError
from linkgauge.frame import Frame
from linkgauge.schema import AGENT_TABLES, WINDOW
from probes.upload.outbox import Outbox

_FOREVER_NS = 2**62
PointKey = tuple[str, str, str, int]
"""link, probe, class, start of the window in Unix ns."""


@dataclass(frozen=True, slots=True)
class Kept:
    """windows_produced: by the ledgers. points_in_influxdb: windows found there, None when it is not used.

    missing: rows that some store lacks. duplicates: rows that a store has twice, or that nobody produced.
    revisions: windows reported anew because late replies came; they count in none of the others.
    """

    windows_produced: int
    windows_in_archive: int
    points_in_influxdb: int | None
    missing: int
    duplicates: int
    revisions: int

    def as_dict(self) -> dict[str, int | None]:
        return asdict(self)


def count_kept(outboxes: Mapping[str, Path], archive: Path, influxdb: str | None, database: str) -> Kept:
    """Compare the stores. outboxes: agent -> outbox file; influxdb: its address."""
    reader = ArchiveReader(archive)
    keys = {table: reader.keys(table) for table in AGENT_TABLES}
    last = reader.windows(None, 0, _FOREVER_NS)
    reader.close()
    produced = {agent: ledger(path) for agent, path in outboxes.items()}
    missing, duplicates = compare_batches(produced, keys)
    distinct, revisions, twice = count_windows(keys[WINDOW.name], revision_by_window(last))
    duplicates += twice
    others = sum(len(set(rows)) for table, rows in keys.items() if table != WINDOW.name)
    points = None
    if influxdb is not None:
        found = influx_points(influxdb, database)
        missing += len(distinct - found)
        duplicates += len(found - distinct)
        points = len(found)
    rows = sum(sum(batches.values()) for batches in produced.values())
    return Kept(rows - others - revisions, len(distinct), points, missing, duplicates, revisions)


def revision_by_window(windows: Frame) -> dict[PointKey, int]:
    """The revision of each window that counts; one row for each."""
    names = [windows.text(key).tolist() for key in WINDOW.keys]
    keys = zip(*names, windows.count("start_ns").tolist(), strict=True)
    return dict(zip(keys, windows.count("revision").tolist(), strict=True))


def count_windows(
    rows: Sequence[tuple[Any, ...]], revision: Mapping[PointKey, int]
) -> tuple[set[PointKey], int, int]:
    """Windows among the archive's rows: the distinct ones, rows that are revisions, rows that are too many.

    rows: (agent, boot, number, link, probe, class, start). revision: the highest of each window; a window
    that came n times has revision n - 1.
    """
    found = Counter((row[3], row[4], row[5], row[6]) for row in rows)
    revisions = sum(count - 1 for count in found.values())
    twice = sum(max(0, count - 1 - revision.get(window, 0)) for window, count in found.items())
    return set(found), revisions - twice, twice


def compare_batches(
    produced: Mapping[str, Mapping[tuple[str, int], int]], keys: Mapping[str, Sequence[tuple[Any, ...]]]
) -> tuple[int, int]:
    """Rows missing and rows too many in the archive, batch by batch.

    produced: agent -> (boot, number) -> rows. keys: table -> (agent, boot, number, key columns, start).
    """
    archived: Counter[tuple[str, str, int]] = Counter()
    missing = duplicates = 0
    for rows in keys.values():
        seen = Counter(rows)
        duplicates += sum(seen.values()) - len(seen)
        archived.update((agent, boot, number) for agent, boot, number, *_ in seen)
    for agent, batches in produced.items():
        for (boot, number), expected in batches.items():
            have = archived.pop((agent, boot, number), 0)
            missing += max(0, expected - have)
            duplicates += max(0, have - expected)
    return missing, duplicates + sum(archived.values())


def ledger(path: Path) -> dict[tuple[str, int], int]:
    """(boot, number) -> rows of every batch that the outbox at `path` ever held."""
    outbox = Outbox(path, max_bytes=1 << 40, max_age_ns=seconds(86_400 * 365))
    rows = {(boot, number): count for boot, number, count, _ in outbox.ledger()}
    outbox.close()
    return rows


def influx_points(url: str, database: str) -> set[PointKey]:
    """Every window in the measurement link_loss. Raises LinkgaugeError with the server's words."""
    query = 'SELECT "sent" FROM "link_loss" GROUP BY "link", "probe", "class"'
    data = {"db": database, "epoch": "ns", "q": query}
    reply = httpx.post(f"{url}/query", data=data, timeout=60, trust_env=False)
    answer = json.loads(reply.text)
    result = answer.get("results", [{}])[0]
    if error := answer.get("error") or result.get("error"):
        raise LinkgaugeError(f"{url}: InfluxDB cannot be asked what it holds: {error}")
    return {
        (series["tags"]["link"], series["tags"]["probe"], series["tags"]["class"], int(time_ns))
        for series in result.get("series", [])
        for time_ns, _ in series["values"]
    }
