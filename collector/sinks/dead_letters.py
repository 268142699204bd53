"""Dead letters: what a store refused for good, with its words, kept in a SQLite file for a person to look at.

Bounded: above `max_octets` or `max_letters` the oldest go, counted in `dropped`. A letter that is marked is
taken up again by the running collector: its lines are written once more, its batch is journalled once more.
Commands look into the file of a running collector. Methods raise StoreError.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from linkgauge.clock import Clock
from linkgauge.sqlite_file import SqliteFile

FILE_NAME = "dead-letters.sqlite"
MAX_OCTETS, MAX_LETTERS = 64 * 1024 * 1024, 100_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS letters (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, sink TEXT NOT NULL, kind TEXT NOT NULL,
  why TEXT NOT NULL, what BLOB NOT NULL, agent TEXT NOT NULL, boot TEXT NOT NULL, number INTEGER NOT NULL,
  octets INTEGER NOT NULL, marked INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS letters_marked ON letters (sink, id) WHERE marked = 1;
CREATE INDEX IF NOT EXISTS letters_octets ON letters (octets, marked);
CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS taken_in (name TEXT PRIMARY KEY);
"""
_COLUMNS = "id, at_ns, sink, kind, why, what, agent, boot, number, marked"


class Kind(Enum):
    """LINES: line protocol, one or more. BATCH: an encoded batch, as in the journal. NOTE: only words."""

    LINES = "lines"
    BATCH = "batch"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Letter:
    """What was refused, and why, in the store's words. agent, boot, number: of a batch."""

    what: bytes
    why: str
    kind: Kind = Kind.LINES
    agent: str = ""
    boot: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A letter in the file. at_ns: when it was refused last; marked: to be taken up again."""

    id: int
    at_ns: int
    sink: str
    letter: Letter
    marked: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """kept and octets: what is in the file now; marked: of these; dropped: gone unseen since it was made."""

    kept: int
    octets: int
    marked: int
    dropped: int


class DeadLetters:
    """The letters of all sinks of a collector; for many threads and processes."""

    def __init__(
        self,
        path: Path,
        max_octets: int = MAX_OCTETS,
        max_letters: int = MAX_LETTERS,
        clock: Clock | None = None,
    ) -> None:
        self._file = SqliteFile(
            path, _SCHEMA, "the dead letters", clock, begin=lambda db: self._file.number_anew(db, "letters")
        )
        self._max_octets, self._max_letters = max_octets, max_letters

    @property
    def damaged(self) -> int:
        """Times the file was found damaged, and a new one begun."""
        return self._file.damaged

    def keep(self, at_ns: int, sink: str, letters: Sequence[Letter]) -> None:
        """Keep letters; on disk when it returns."""
        self._file.transact(lambda db: self._insert(db, [(at_ns, sink, letter) for letter in letters]))

    def take_in(self, name: str, letters: Iterable[tuple[int, str, Letter]]) -> bool:
        """Keep (at_ns, sink, letter) of another file, once for each `name`; False: they are here already."""

        def work(db: sqlite3.Connection) -> bool:
            if db.execute("SELECT 1 FROM taken_in WHERE name = ?", (name,)).fetchone():
                return False
            db.execute("INSERT INTO taken_in VALUES (?)", (name,))
            self._insert(db, letters)
            return True

        return self._file.transact(work)

    def letters(
        self, after_id: int = 0, limit: int = 1000, sink: str | None = None, marked: bool = False
    ) -> list[Kept]:
        """Oldest first."""
        where = "id > ?" + (" AND sink = ?" if sink else "") + (" AND marked = 1" if marked else "")
        query = f"SELECT {_COLUMNS} FROM letters WHERE {where} ORDER BY id LIMIT ?"
        values = (after_id, *([sink] if sink else []), limit)
        return self._file.read(lambda db: [_kept(row) for row in db.execute(query, values)])

    def mark(self, ids: Sequence[int] | None = None, sink: str | None = None) -> int:
        """Have them taken up again, without ids all that can be; returns how many were marked now."""
        return self._each("UPDATE letters SET marked = 1 WHERE marked = 0 AND kind != 'note'", ids, sink)

    def forget(self, ids: Sequence[int] | None = None, sink: str | None = None) -> int:
        """Throw them away; returns how many."""
        return self._each("DELETE FROM letters WHERE 1", ids, sink)

    def settle(self, ids: Sequence[int], at_ns: int, sink: str, refused: Sequence[Letter]) -> None:
        """These were taken up again; `refused` is what the store does not take this time either."""

        def work(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM letters WHERE id = ?", [(id,) for id in ids])
            self._insert(db, [(at_ns, sink, letter) for letter in refused])

        self._file.transact(work)

    def counts(self) -> Counts:
        def work(db: sqlite3.Connection) -> Counts:
            kept, octets, marked = db.execute(
                "SELECT count(*), coalesce(sum(octets), 0), coalesce(sum(marked), 0) FROM letters"
            ).fetchone()
            row = db.execute("SELECT value FROM totals WHERE name = 'dropped'").fetchone()
            return Counts(kept, octets, marked, row[0] if row else 0)

        return self._file.read(work)

    def close(self) -> None:
        self._file.close()

    def _insert(self, db: sqlite3.Connection, letters: Iterable[tuple[int, str, Letter]]) -> None:
        db.executemany(
            "INSERT INTO letters (at_ns, sink, kind, why, what, agent, boot, number, octets)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (at_ns, sink, each.kind.value, each.why, each.what, each.agent, each.boot, each.number,
                 len(each.what) + len(each.why))
                for at_ns, sink, each in letters
            ),
        )  # fmt: skip
        self._bound(db)

    def _bound(self, db: sqlite3.Connection) -> None:
        """Let the oldest go until what is left fits; the newest letter always stays."""
        kept, octets = db.execute("SELECT count(*), coalesce(sum(octets), 0) FROM letters").fetchone()
        going: list[tuple[int]] = []
        for id, size in db.execute("SELECT id, octets FROM letters ORDER BY id"):
            if kept - len(going) <= 1 or (
                kept - len(going) <= self._max_letters and octets <= self._max_octets
            ):
                break
            going.append((id,))
            octets -= size
        db.executemany("DELETE FROM letters WHERE id = ?", going)
        if going:
            db.execute(
                "INSERT INTO totals VALUES ('dropped', ?1)"
                " ON CONFLICT (name) DO UPDATE SET value = value + ?1",
                (len(going),),
            )

    def _each(self, statement: str, ids: Sequence[int] | None, sink: str | None) -> int:
        def work(db: sqlite3.Connection) -> int:
            text = statement + (" AND sink = :sink" if sink else "")
            if ids is None:
                return db.execute(text, {"sink": sink}).rowcount
            return sum(db.execute(f"{text} AND id = :id", {"sink": sink, "id": id}).rowcount for id in ids)

        return self._file.transact(work)


def _kept(row: tuple[int, int, str, str, str, bytes, str, str, int, int]) -> Kept:
    id, at_ns, sink, kind, why, what, agent, boot, number, marked = row
    return Kept(id, at_ns, sink, Letter(what, why, Kind(kind), agent, boot, number), bool(marked))
