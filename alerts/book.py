"""The book: what the evaluation remembers and what receivers have yet to be told, in one SQLite file.

The memory and the notices that come from the same window are written in one transaction, so that after a
crash either both are there or neither (linkgauge.sqlite_file says what that promises); a notice is marked
only after its receiver took it. A notice may therefore arrive twice and never goes missing, save by the
bound: above `max_waiting` undelivered notices of a receiver the oldest go first, counted in `dropped`; and by
damage: the file is moved aside, and what waited in it is told to nobody.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from linkgauge.sqlite_file import SqliteFile, checked

_Whole = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS memory(id INTEGER PRIMARY KEY CHECK(id = 1), snapshot BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS notice(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, receiver TEXT NOT NULL, alert TEXT NOT NULL, body BLOB NOT NULL,
  created_ns INTEGER NOT NULL, done_ns INTEGER, outcome TEXT NOT NULL DEFAULT 'waiting');
CREATE INDEX IF NOT EXISTS waiting ON notice(receiver, seq) WHERE outcome = 'waiting';
CREATE TABLE IF NOT EXISTS total(outcome TEXT PRIMARY KEY, notices INTEGER NOT NULL);
"""
WAITING, DELIVERED, GIVEN_UP, DROPPED = "waiting", "delivered", "given_up", "dropped"
KEPT_DONE = 10_000
"""Notices that are done and still kept, to look up who was told what and when."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice for one receiver. alert: the id of the alert that it is about; body: JSON."""

    seq: int
    alert: str
    body: bytes


class Book:
    """See above. One value may be used by many threads. Methods raise StoreError naming the file."""

    def __init__(self, path: Path, max_waiting: int = 10_000) -> None:
        self._max_waiting = max_waiting
        self._file = SqliteFile(
            path, _SCHEMA, "the book of alerts", begin=lambda db: self._file.number_anew(db, "notice")
        )
        self._file.transact(lambda db: None)

    def record(
        self, snapshot: bytes, notices: Sequence[tuple[str, bytes]], receivers: Sequence[str], now_ns: int
    ) -> None:
        """Keep the memory, and each notice (alert, body) for each receiver, or nothing at all."""
        rows = [(receiver, alert, body, now_ns) for alert, body in notices for receiver in receivers]

        def write(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO memory VALUES(1, ?)", (snapshot,))
            db.executemany("INSERT INTO notice(receiver, alert, body, created_ns) VALUES(?,?,?,?)", rows)
            if rows:
                for receiver in receivers:
                    _make_room(db, receiver, self._max_waiting, now_ns)
                _forget_done(db)

        self._file.transact(write)

    def memory(self) -> bytes | None:
        """The snapshot that was recorded last."""

        def look(db: sqlite3.Connection) -> bytes | None:
            row = db.execute("SELECT snapshot FROM memory").fetchone()
            return checked(row[0], bytes) if row else None

        return self._file.read(look)

    def heads(self, receiver: str, most: int) -> list[Notice]:
        """The oldest waiting notice of each alert, oldest first: order is kept within an alert."""

        def look(db: sqlite3.Connection) -> list[Notice]:
            rows = db.execute(
                "SELECT seq, alert, body FROM notice WHERE seq IN (SELECT min(seq) FROM notice"
                " WHERE receiver = ? AND outcome = 'waiting' GROUP BY alert) ORDER BY seq LIMIT ?",
                (receiver, most),
            )
            return [Notice(*checked(row, tuple[_Whole, str, bytes])) for row in rows]

        return self._file.read(look)

    def delivered(self, seq: int, now_ns: int) -> None:
        """The receiver took it."""
        self._file.transact(lambda db: _done(db, seq, now_ns, DELIVERED))

    def given_up(self, seq: int, now_ns: int) -> None:
        """The receiver will never take it."""
        self._file.transact(lambda db: _done(db, seq, now_ns, GIVEN_UP))

    def totals(self) -> dict[str, int]:
        """Notices by outcome since the book was made: waiting, delivered, given_up, dropped."""
        return self._file.read(_totals)

    def close(self) -> None:
        self._file.close()


def _totals(db: sqlite3.Connection) -> dict[str, int]:
    waiting = db.execute("SELECT count(*) FROM notice WHERE outcome = 'waiting'").fetchone()[0]
    done = dict(
        checked(db.execute("SELECT outcome, notices FROM total").fetchall(), list[tuple[str, _Whole]])
    )
    return {WAITING: waiting, **{name: done.get(name, 0) for name in (DELIVERED, GIVEN_UP, DROPPED)}}


def _done(db: sqlite3.Connection, seq: int, now_ns: int, outcome: str) -> None:
    changed = db.execute(
        "UPDATE notice SET outcome = ?, done_ns = ? WHERE seq = ? AND outcome = 'waiting'",
        (outcome, now_ns, seq),
    )
    _count(db, outcome, changed.rowcount)


def _make_room(db: sqlite3.Connection, receiver: str, max_waiting: int, now_ns: int) -> None:
    dropped = db.execute(
        "UPDATE notice SET outcome = 'dropped', done_ns = ? WHERE seq IN (SELECT seq FROM notice"
        " WHERE receiver = ? AND outcome = 'waiting' ORDER BY seq DESC LIMIT -1 OFFSET ?)",
        (now_ns, receiver, max_waiting),
    )
    _count(db, DROPPED, dropped.rowcount)


def _forget_done(db: sqlite3.Connection) -> None:
    db.execute(
        "DELETE FROM notice WHERE outcome <> 'waiting' AND seq <= (SELECT max(seq) FROM notice) - ?",
        (KEPT_DONE,),
    )


def _count(db: sqlite3.Connection, outcome: str, notices: int) -> None:
    db.execute(
        "INSERT INTO total VALUES(?, ?) ON CONFLICT DO UPDATE SET notices = notices + excluded.notices",
        (outcome, notices),
    )
