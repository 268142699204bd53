"""Rows of a slot out of the archive, in pieces that fit into memory.

The archive is read for some links and a part of the slot at a time. A key holds link and start, so each
piece has every key of its own once, in the copy that counts, and no key is in two pieces. Files that cannot
be read are left out; `shrunk` tells whose roll-ups would lose by that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import duckdb

from collector.archive import copies
from collector.archive.unreadable import Unreadable
from collector.rollup.slot import HOUR_NS, SHORT_NS, Slot, Touch, agent_of
from collector.sinks.archive_reader import ArchiveReader, files_of
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.judged_tables import DOWN_S
from linkgauge.schema import STATE, WINDOW, WINDOW_5M
from linkgauge.table import Table

MOST_LINKS = 2_000
"""Links that are made at once; there is a merged row or more of each in memory."""
MOST_ROWS = 10_000
"""Rows of the archive that are in memory at once, about: a link's rows lie even over a slot."""
DAY_NS = 24 * HOUR_NS
_EXCUSED = "(coalesce(maintenance, 0) = 1 OR coalesce(drill, 0) = 1)"
_TALLY = f"""link, count(*), count(*) FILTER (good = 1 AND NOT {_EXCUSED}),
count(*) FILTER (bad = 1 AND NOT {_EXCUSED}),
count(*) FILTER (bad = 1 AND unanswered_s > {DOWN_S} AND NOT {_EXCUSED}), count(*) FILTER ({_EXCUSED})
FROM ({{}}) GROUP BY link ORDER BY link"""
_AGENT = "split_part(link, '>', 1)"


@dataclass(frozen=True, slots=True)
class Tally:
    """Windows of a link in a slot, by verdict; `down` of the bad ones, `excused` of all."""

    link: str
    windows: int
    good: int
    bad: int
    down: int
    excused: int


class ArchiveSource:
    """See above; for one thread. Methods raise StoreError when the archive cannot be read."""

    def __init__(self, root: Path) -> None:
        self._root, self.unreadable = root, Unreadable(root)
        self._reader = ArchiveReader(root, self.unreadable)
        self._db = duckdb.connect(config={"threads": 1})

    def pieces(self, slot: Slot, agents: Collection[str]) -> Iterator[Iterator[Frame]]:
        """For each set of links of these agents: the rows of the slot's source, in pieces."""
        rows = self._links(slot.source, slot.start_ns, slot.end_ns, agents)
        links = sorted(rows)
        for first in range(0, len(links), MOST_LINKS):
            chosen = links[first : first + MOST_LINKS]
            yield self._read(slot, chosen, sum(rows[link] for link in chosen))

    def touches(
        self, from_ns: int, to_ns: int, agents: Collection[str] | None = None
    ) -> Iterator[Sequence[Touch]]:
        """Every slot with rows in [from_ns, to_ns), by agent, as if its rows had just come; a day at once.

        Five minutes by WINDOW, hours by WINDOW_5M and, for their scores, by STATE: what has no such rows any
        more is left as it was made.
        """
        for table, length_ns in ((WINDOW, SHORT_NS), (WINDOW_5M, HOUR_NS), (STATE, HOUR_NS)):
            for day_ns in self._days(table):
                first_ns, end_ns = max(day_ns, from_ns), min(day_ns + DAY_NS, to_ns)
                if first_ns < end_ns:
                    yield self._touched(table, length_ns, first_ns, end_ns, agents)

    def tallies(self, slot: Slot, agents: Collection[str]) -> Iterator[Sequence[Tally]]:
        """Verdicts of the windows of a slot, of each link of these agents; some links at a time."""
        links = sorted(self._links(STATE, slot.start_ns, slot.end_ns, agents))
        for first in range(0, len(links), MOST_LINKS):
            chosen = links[first : first + MOST_LINKS]
            inside = "link IN (SELECT unnest(?::VARCHAR[]))"
            rows = copies.complete(STATE, f"{{}} AND {inside}")
            rows = f"SELECT * FROM ({rows}) QUALIFY {copies.rank(STATE)} = 1"
            found = self._ask(STATE, _TALLY.format(rows), slot.start_ns, slot.end_ns, chosen)
            yield [Tally(str(row[0]), *(int(str(each)) for each in row[1:])) for row in found]

    def shrunk(self, slot: Slot, made: Frame) -> frozenset[str]:
        """Agents with a roll-up of the slot that stands and has more windows than that in `made`.

        Nobody while every file of the slot's days can be read: then there are fewer rows for a reason.
        """
        days = (_date(slot.start_ns), _date(slot.end_ns - 1))
        if not made.rows or not self.unreadable.among(files_of(self._root, slot.source, days)):
            return frozenset()
        links = sorted(set(made.text("link").tolist()))
        stands = _windows(self._reader.read(slot.table, slot.start_ns, slot.start_ns + 1, links))
        now = _windows(made)
        return frozenset(agent_of(key[0]) for key, windows in stands.items() if windows > now.get(key, 0))

    def close(self) -> None:
        self._db.close()
        self._reader.close()

    def _days(self, table: Table) -> list[int]:
        """Start of each day of which the archive has rows, Unix ns."""
        found = []
        for folder in sorted((self._root / table.name).glob("date=*")):
            with contextlib.suppress(ValueError):  # not ours
                day = datetime.strptime(folder.name, "date=%Y-%m-%d").replace(tzinfo=UTC)
                found.append(int(day.timestamp()) * NS_PER_S)
        return found

    def _read(self, slot: Slot, links: Sequence[str], rows: int) -> Iterator[Frame]:
        parts = max(1, -(-rows // MOST_ROWS))
        bounds = [slot.start_ns + slot.length_ns * part // parts for part in range(parts + 1)]
        for from_ns, to_ns in pairwise(bounds):
            yield self._reader.read(slot.source, from_ns, to_ns, links)

    def _links(self, table: Table, from_ns: int, to_ns: int, agents: Collection[str]) -> dict[str, int]:
        """Rows by link of these agents, second copies included."""
        select = f"link, count(*) AS rows FROM {{}} AND {_AGENT} IN (SELECT unnest(?::VARCHAR[]))"
        found = self._ask(table, f"{select} GROUP BY link", from_ns, to_ns, sorted(agents))
        return {str(link): int(str(rows)) for link, rows in found}

    def _touched(
        self, table: Table, length_ns: int, from_ns: int, to_ns: int, agents: Collection[str] | None
    ) -> list[Touch]:
        select = f"DISTINCT start_ns - start_ns % {length_ns}, {_AGENT} FROM {{}}"
        if agents is None:
            found = self._ask(table, select, from_ns, to_ns)
        else:
            select += f" AND {_AGENT} IN (SELECT unnest(?::VARCHAR[]))"
            found = self._ask(table, select, from_ns, to_ns, sorted(agents))
        return [Touch(Slot(int(str(start)), length_ns), str(agent), 0) for start, agent in found]

    def _ask(
        self, table: Table, select: str, from_ns: int, to_ns: int, *values: object
    ) -> list[tuple[object, ...]]:
        """Answer of SELECT `select`, whose {} is the table's rows in [from_ns, to_ns)."""
        rows = f"{copies.files()} WHERE start_ns >= ? AND start_ns < ?"
        query = f"SELECT {select.format(rows)}"
        found = self.unreadable.ask(
            lambda: files_of(self._root, table, (_date(from_ns), _date(to_ns))),
            lambda files: self._db.execute(query, [files, from_ns, to_ns, *values]).fetchall(),
        )
        return found or []


def _windows(frame: Frame) -> dict[tuple[str, ...], int]:
    """Of how many windows each row was made, by its keys; the link is the first."""
    windows = frame.count("windows") + frame.count("windows_unfit")
    keys = zip(*(frame.text(key).tolist() for key in frame.table.keys), strict=True)
    return dict(zip(keys, windows.tolist(), strict=True))


def _date(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // NS_PER_S, UTC).strftime("%Y-%m-%d")
