"""The book: what the evaluation remembers and what receivers have yet to be told, in one SQLite file.

The memory and the notices that come from the same window are written in one transaction, so that after a
crash either both are there or neither (linkgauge.sqlite_file says what that promises); a notice is marked
only after its receiver took it. A notice may therefore arrive twice and never goes missing, save by the
bound: above `max_waiting` undelivered notices of a receiver the oldest go first, of pages last, counted in
`dropped`; and by damage: the file is moved aside, and what waited in it is told to nobody.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
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
CREATE TABLE IF NOT EXISTS tally(
  receiver TEXT NOT NULL, outcome TEXT NOT NULL, notices INTEGER NOT NULL, PRIMARY KEY(receiver, outcome));
CREATE TABLE IF NOT EXISTS standing(
  receiver TEXT NOT NULL, alert TEXT NOT NULL, body BLOB NOT NULL, until_ns INTEGER,
  PRIMARY KEY(receiver, alert));
"""
WAITING, DELIVERED, GIVEN_UP, DROPPED = "waiting", "delivered", "given_up", "dropped"
DIGESTED, PASSED_BY = "digested", "passed_by"
OUTCOMES = (WAITING, DELIVERED, DIGESTED, GIVEN_UP, DROPPED, PASSED_BY)
"""Delivered together with others; of no concern to the receiver."""
_OF_PAGE = b'"severity":"page"'
"""In the body of each notice of a page: tickets, which a receiver may not even want, push none out."""
KEPT_DONE = 10_000
"""Notices that are done and still kept, to look up who was told what and when."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice for one receiver. alert: the id of the alert that it is about; body: JSON."""

    seq: int
    alert: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Stands:
    """What a receiver is told again. until_ns: until when, Unix ns; None: until another replaces it."""

    receiver: str
    alert: str
    body: bytes
    until_ns: int | None


class Book:
    """See above. One value may be used by many threads. Methods raise StoreError naming the file."""

    def __init__(self, path: Path, max_waiting: int = 10_000) -> None:
        self._max_waiting = max_waiting
        self._file = SqliteFile(
            path, _SCHEMA, "the book of alerts", begin=lambda db: self._file.number_anew(db, "notice")
        )
        self._file.transact(lambda db: None)

    def record(
        self,
        snapshot: bytes,
        notices: Sequence[tuple[str, bytes]],
        receivers: Sequence[str],
        now_ns: int,
        firing: Collection[str] | None = None,
        stands: Sequence[Stands] = (),
    ) -> None:
        """Keep the memory, and each notice (alert, body) for each receiver, or nothing at all.

        firing: ids of what fires; nobody is told again that another does, None: as before. stands: what
        receivers are told again from now on.
        """
        rows = [(receiver, alert, body, now_ns) for alert, body in notices for receiver in receivers]

        def write(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO memory VALUES(1, ?)", (snapshot,))
            db.executemany("INSERT INTO notice(receiver, alert, body, created_ns) VALUES(?,?,?,?)", rows)
            if rows:
                for receiver in receivers:
                    _make_room(db, receiver, self._max_waiting, now_ns)
                _forget_done(db)
            if firing is not None:
                _only_firing(db, firing)
            for each in stands:
                _stand(db, each)

        self._file.transact(write)

    def only_firing(self, firing: Collection[str]) -> None:
        """Tell nobody again that any but these fires."""
        self._file.transact(lambda db: _only_firing(db, firing))

    def memory(self) -> bytes | None:
        """The snapshot that was recorded last."""

        def look(db: sqlite3.Connection) -> bytes | None:
            row = db.execute("SELECT snapshot FROM memory").fetchone()
            return checked(row[0], bytes) if row else None

        return self._file.read(look)

    def waiting(self, receiver: str, most: int, after: int = 0) -> list[Notice]:
        """What the receiver has yet to be told, oldest first. after: only what came after that `seq`."""

        def look(db: sqlite3.Connection) -> list[Notice]:
            rows = db.execute(
                "SELECT seq, alert, body FROM notice WHERE receiver = ? AND outcome = 'waiting'"
                " AND seq > ? ORDER BY seq LIMIT ?",
                (receiver, after, most),
            )
            return [Notice(*checked(row, tuple[_Whole, str, bytes])) for row in rows]

        return self._file.read(look)

    def delivered(self, seqs: Sequence[int], now_ns: int, stands: Sequence[Stands] = ()) -> None:
        """The receiver took them, several as one digest; `stands`: what it has to be told again."""

        def write(db: sqlite3.Connection) -> None:
            for seq in seqs:
                receiver = _done(db, seq, now_ns, DELIVERED)
                if receiver is not None and len(seqs) > 1:
                    _tally(db, receiver, DIGESTED, 1)
            for each in stands:
                _stand(db, each)

        self._file.transact(write)

    def given_up(self, seq: int, now_ns: int) -> None:
        """The receiver will never take it; what it took of the same alert before does not stand any more."""

        def write(db: sqlite3.Connection) -> None:
            _done(db, seq, now_ns, GIVEN_UP)
            db.execute(
                "DELETE FROM standing WHERE (receiver, alert) IN"
                " (SELECT receiver, alert FROM notice WHERE seq = ?)",
                (seq,),
            )

        self._file.transact(write)

    def passed_by(self, seqs: Sequence[int], now_ns: int) -> None:
        """The receiver does not want to be told of these."""

        def write(db: sqlite3.Connection) -> None:
            for seq in seqs:
                _done(db, seq, now_ns, PASSED_BY)

        self._file.transact(write)

    def standing(self, receiver: str, now_ns: int) -> list[bytes]:
        """Bodies that the receiver is told again: what fires, and what ended a little while ago."""

        def look(db: sqlite3.Connection) -> list[bytes]:
            db.execute("DELETE FROM standing WHERE until_ns < ?", (now_ns,))
            rows = db.execute("SELECT body FROM standing WHERE receiver = ? ORDER BY alert", (receiver,))
            return [checked(row[0], bytes) for row in rows]

        return self._file.transact(look)

    def only(self, receivers: Sequence[str], now_ns: int) -> int:
        """Forget what stands and waits for others than these; returns how many notices were dropped so."""

        def write(db: sqlite3.Connection) -> int:
            known = ",".join("?" * len(receivers))
            db.execute(f"DELETE FROM standing WHERE receiver NOT IN ({known})", receivers)
            left = db.execute(
                f"SELECT seq FROM notice WHERE outcome = 'waiting' AND receiver NOT IN ({known})",
                receivers,
            ).fetchall()
            for (seq,) in left:
                _done(db, seq, now_ns, DROPPED)
            return len(left)

        return self._file.transact(write)

    def tally(self, receiver: str) -> dict[str, int]:
        """One receiver's notices: waiting now; delivered, digested (of these, with others), given_up,
        dropped, passed_by since the book was made."""

        def look(db: sqlite3.Connection) -> dict[str, int]:
            waiting = db.execute(
                "SELECT count(*) FROM notice WHERE outcome = 'waiting' AND receiver = ?", (receiver,)
            ).fetchone()[0]
            rows = db.execute("SELECT outcome, notices FROM tally WHERE receiver = ?", (receiver,)).fetchall()
            done = dict(checked(rows, list[tuple[str, _Whole]]))
            names = (DELIVERED, DIGESTED, GIVEN_UP, DROPPED, PASSED_BY)
            return {WAITING: waiting, **{name: done.get(name, 0) for name in names}}

        return self._file.read(look)

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


def _done(db: sqlite3.Connection, seq: int, now_ns: int, outcome: str) -> str | None:
    """Mark a notice that waits; returns its receiver, None when it waited no more."""
    row = db.execute(
        "UPDATE notice SET outcome = ?, done_ns = ? WHERE seq = ? AND outcome = 'waiting' RETURNING receiver",
        (outcome, now_ns, seq),
    ).fetchone()
    if row is None:
        return None
    receiver = checked(row[0], str)
    _count(db, outcome, 1)
    _tally(db, receiver, outcome, 1)
    return receiver


def _stand(db: sqlite3.Connection, stands: Stands) -> None:
    db.execute(
        "INSERT OR REPLACE INTO standing VALUES(?, ?, ?, ?)",
        (stands.receiver, stands.alert, stands.body, stands.until_ns),
    )


def _only_firing(db: sqlite3.Connection, firing: Collection[str]) -> None:
    rows = db.execute("SELECT DISTINCT alert FROM standing WHERE until_ns IS NULL").fetchall()
    over = [(alert,) for (alert,) in checked(rows, list[tuple[str]]) if alert not in firing]
    db.executemany("DELETE FROM standing WHERE alert = ? AND until_ns IS NULL", over)


def _make_room(db: sqlite3.Connection, receiver: str, max_waiting: int, now_ns: int) -> None:
    waits = "FROM notice WHERE receiver = ? AND outcome = 'waiting'"
    if db.execute(f"SELECT count(*) {waits}", (receiver,)).fetchone()[0] <= max_waiting:
        return
    dropped = db.execute(
        f"UPDATE notice SET outcome = 'dropped', done_ns = ? WHERE seq IN (SELECT seq {waits}"
        " ORDER BY instr(body, ?) > 0 DESC, seq DESC LIMIT -1 OFFSET ?)",
        (now_ns, receiver, _OF_PAGE, max_waiting),
    )
    _count(db, DROPPED, dropped.rowcount)
    _tally(db, receiver, DROPPED, dropped.rowcount)


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


def _tally(db: sqlite3.Connection, receiver: str, outcome: str, notices: int) -> None:
    db.execute(
        "INSERT INTO tally VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET notices = notices + excluded.notices",
        (receiver, outcome, notices),
    )
