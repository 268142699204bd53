"""Which slots are to be made, on disk: noted when rows come, forgotten when their roll-up is journalled.

One note for each slot and agent, with the newest journal batch that touched it. What is noted is made at
least once, whenever the process ends. Bounded by the agents and by how old a row may be.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from collector.rollup.slot import HOUR_NS, SHORT_NS, Slot, Touch
from linkgauge.clock import Clock
from linkgauge.sqlite_file import SqliteFile

FILE_NAME = "rollup.sqlite"
"""Under the collector's data_dir."""
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS note(
  length_ns INTEGER NOT NULL, start_ns INTEGER NOT NULL, agent TEXT NOT NULL, seq INTEGER NOT NULL,
  noted_ns INTEGER NOT NULL, PRIMARY KEY(length_ns, start_ns, agent)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS part ON note(agent, start_ns) WHERE length_ns = {SHORT_NS};
"""
_NOTE = """
INSERT INTO note VALUES(?,?,?,?,?)
ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)
"""
_READY = f"""
length_ns = ? AND start_ns <= ? AND seq <= ?
AND NOT (length_ns = {HOUR_NS} AND EXISTS (
  SELECT 1 FROM note AS part WHERE part.length_ns = {SHORT_NS} AND part.agent = note.agent
  AND part.start_ns >= note.start_ns AND part.start_ns < note.start_ns + {HOUR_NS}))
"""
"""Notes of a length that start early enough and whose rows are in the archive; an hour only when its parts
are made."""


@dataclass(frozen=True, slots=True)
class Grace:
    """How long after its end a slot is made, ns, for late rows; by its length."""

    short_ns: int
    hour_ns: int

    def of(self, length_ns: int) -> int:
        return self.short_ns if length_ns == SHORT_NS else self.hour_ns


@dataclass(frozen=True, slots=True)
class Due:
    """Slots that are over and not made, and since when the oldest of them is due, Unix ns; None: no slot."""

    slots: int = 0
    since_ns: int | None = None


class Notes:
    """See above; thread safe, and other processes may use the same file. Methods raise StoreError."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._file = SqliteFile(path, _SCHEMA, "the list of roll-ups to make", clock)

    @property
    def damaged(self) -> int:
        """Times the file was damaged or gone: what was noted in it then is lost."""
        return self._file.damaged

    def note(self, touches: Iterable[Touch], now_ns: int) -> None:
        """Note slots; of one that is noted already the greater seq and the first time stay."""
        rows = [(t.slot.length_ns, t.slot.start_ns, t.agent, t.seq, now_ns) for t in touches]
        if rows:
            self._file.transact(lambda db: db.executemany(_NOTE, rows))

    def ready(
        self, now_ns: int, passed: int, grace: Grace, newest: bool = True, skip: Collection[Slot] = ()
    ) -> tuple[Slot, dict[str, int]] | None:
        """The newest (or the oldest) slot that can be made, and its agents with their seq.

        passed: the last batch that the archive has. skip: slots that are left for later.
        """
        order = "DESC" if newest else "ASC"

        def found(db: sqlite3.Connection) -> tuple[Slot, dict[str, int]] | None:
            best: list[Slot] = []
            for length_ns in (SHORT_NS, HOUR_NS):
                most = (length_ns, now_ns - length_ns - grace.of(length_ns), passed)
                rows = db.execute(
                    f"SELECT DISTINCT start_ns FROM note WHERE {_READY} ORDER BY start_ns {order} LIMIT ?",
                    (*most, len(skip) + 1),
                )
                slots = (Slot(row[0], length_ns) for row in rows)
                best += [slot for slot in slots if slot not in skip][:1]
            if not best:
                return None
            slot = max(best) if newest else min(best)
            agents = db.execute(
                f"SELECT agent, seq FROM note WHERE {_READY} AND start_ns = ?",
                (slot.length_ns, slot.start_ns, passed, slot.start_ns),
            )
            return slot, dict(agents.fetchall())

        return self._file.read(found)

    def forget(self, slot: Slot, agents: Mapping[str, int]) -> None:
        """The slot is made for these agents; a note that was touched again meanwhile stays."""
        rows = [(slot.length_ns, slot.start_ns, agent, seq) for agent, seq in agents.items()]
        self._file.transact(
            lambda db: db.executemany(
                "DELETE FROM note WHERE length_ns = ? AND start_ns = ? AND agent = ? AND seq <= ?", rows
            )
        )

    def due(self, now_ns: int, grace: Grace) -> Due:
        """How many slots are over and not made; the oldest by when it was noted and over."""

        def found(db: sqlite3.Connection) -> Due:
            slots, since = 0, []
            for length_ns in (SHORT_NS, HOUR_NS):
                after_ns = length_ns + grace.of(length_ns)
                count, oldest_ns = db.execute(
                    "SELECT count(DISTINCT start_ns), min(max(start_ns + ?, noted_ns)) FROM note"
                    " WHERE length_ns = ? AND start_ns <= ?",
                    (after_ns, length_ns, now_ns - after_ns),
                ).fetchone()
                slots += count
                since += [oldest_ns] if count else []
            return Due(slots, min(since, default=None))

        return self._file.read(found)

    def counts(self) -> dict[int, tuple[int, int, int]]:
        """By length: slots noted, the start of the first and of the last, Unix ns."""

        def found(db: sqlite3.Connection) -> dict[int, tuple[int, int, int]]:
            rows = db.execute(
                "SELECT length_ns, count(DISTINCT start_ns), min(start_ns), max(start_ns) FROM note"
                " GROUP BY length_ns"
            )
            return {row[0]: row[1:] for row in rows}

        return self._file.read(found)

    def close(self) -> None:
        self._file.close()
