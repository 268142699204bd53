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
from linkgauge.schema import AGENT_TABLES
from probes.outbox import Outbox

PointKey = tuple[str, str, str, int]
"""link, probe, class, start of the window in Unix ns."""


@dataclass(frozen=True, slots=True)
class Kept:
    """windows_produced: by the ledgers. points_in_influxdb: windows found there, None when it is not used.

    missing: rows that some store lacks. duplicates: rows that a store has twice, or that nobody produced.
    """

    windows_produced: int
    windows_in_archive: int
    points_in_influxdb: int | None
    missing: int
    duplicates: int

    def as_dict(self) -> dict[str, int | None]:
        return asdict(self)


def count_kept(outboxes: Mapping[str, Path], archive: Path, influxdb: str | None, database: str) -> Kept:
    """Compare the stores. outboxes: agent -> outbox file; influxdb: its address."""
    reader = ArchiveReader(archive)
    keys = {table: reader.keys(table) for table in AGENT_TABLES}
    reader.close()
    produced = {agent: ledger(path) for agent, path in outboxes.items()}
    missing, duplicates = compare_batches(produced, keys)
    windows = [(key[3], key[4], key[5], key[6]) for key in keys["window"]]
    distinct = set(windows)
    duplicates += len(windows) - len(distinct)
    others = len(set(keys["throughput"])) + len(set(keys["health"]))
    points = None
    if influxdb is not None:
        found = influx_points(influxdb, database)
        missing += len(distinct - found)
        duplicates += len(found - distinct)
        points = len(found)
    rows = sum(sum(batches.values()) for batches in produced.values())
    return Kept(rows - others, len(distinct), points, missing, duplicates)


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
