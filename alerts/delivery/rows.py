"""The tables of the book, and what is done to their rows within a transaction of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from alerts.delivery.room import Dropped, Waiting, believed, dropped
from alerts.receivers.told import Told
from linkgauge.sqlite_file import checked

Whole = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
SCHEMA = """
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


def totals(db: sqlite3.Connection) -> dict[str, int]:
    waiting = db.execute("SELECT count(*) FROM notice WHERE outcome = 'waiting'").fetchone()[0]
    done = dict(checked(db.execute("SELECT outcome, notices FROM total").fetchall(), list[tuple[str, Whole]]))
    return {WAITING: waiting, **{name: done.get(name, 0) for name in (DELIVERED, GIVEN_UP, DROPPED)}}


def done(db: sqlite3.Connection, seq: int, now_ns: int, outcome: str) -> str | None:
    """Mark a notice that waits; returns its receiver, None when it waited no more."""
    row = db.execute(
        "UPDATE notice SET outcome = ?, done_ns = ? WHERE seq = ? AND outcome = 'waiting' RETURNING receiver",
        (outcome, now_ns, seq),
    ).fetchone()
    if row is None:
        return None
    receiver = checked(row[0], str)
    counted(db, receiver, outcome, 1)
    return receiver


def stand(db: sqlite3.Connection, stands: Stands) -> None:
    db.execute(
        "INSERT OR REPLACE INTO standing VALUES(?, ?, ?, ?)",
        (stands.receiver, stands.alert, stands.body, stands.until_ns),
    )


def only_firing(db: sqlite3.Connection, firing: Collection[str]) -> None:
    rows = db.execute("SELECT DISTINCT alert FROM standing WHERE until_ns IS NULL").fetchall()
    over = [(alert,) for (alert,) in checked(rows, list[tuple[str]]) if alert not in firing]
    db.executemany("DELETE FROM standing WHERE alert = ? AND until_ns IS NULL", over)


def stand_unless_refused(db: sqlite3.Connection, stands: Sequence[Stands]) -> None:
    """What receivers are told again; not what they refused for good."""
    refused = _refused(db) if stands else ()
    for each in stands:
        if (each.receiver, _notification(each.body)) not in refused:
            stand(db, each)


def make_room(
    db: sqlite3.Connection,
    receivers: Sequence[str],
    max_waiting: int,
    now_ns: int,
    forgetful: Collection[str],
) -> dict[str, Dropped]:
    """Drop what is too much, and forget what was done long ago; returns what was dropped, by receiver.

    forgetful: receivers that are told again of what fires, and so of that all the same."""
    gone = {each: _make_room(db, each, max_waiting, now_ns) for each in receivers}
    for receiver, some in gone.items():
        if some is not None and receiver in forgetful:
            db.executemany(
                "INSERT OR REPLACE INTO standing"
                " SELECT receiver, alert, body, NULL FROM notice WHERE seq = ?",
                [(each.seq,) for each in some.unheard if not each.ends],
            )
    db.execute(
        "DELETE FROM notice WHERE outcome <> 'waiting' AND seq <= (SELECT max(seq) FROM notice) - ?",
        (KEPT_DONE,),
    )
    return {receiver: some for receiver, some in gone.items() if some is not None}


def _refused(db: sqlite3.Connection) -> set[tuple[str, str]]:
    """Receivers and the notification that each gave up, where that was the last of its alert."""
    rows = db.execute(
        "SELECT receiver, body, outcome, max(seq) FROM notice WHERE outcome <> 'dropped'"
        " GROUP BY receiver, alert"
    )
    found = checked(rows.fetchall(), list[tuple[str, bytes, str, Whole]])
    return {(receiver, _notification(body)) for receiver, body, outcome, _ in found if outcome == GIVEN_UP}


def _notification(body: bytes) -> str:
    try:
        return Told.read(body).notification
    except ValueError:
        return ""


def _make_room(db: sqlite3.Connection, receiver: str, max_waiting: int, now_ns: int) -> Dropped | None:
    """Drop what is too much; None: nothing is."""
    waits = "FROM notice WHERE receiver = ? AND outcome = 'waiting'"
    if db.execute(f"SELECT count(*) {waits}", (receiver,)).fetchone()[0] <= max_waiting:
        return None
    rows = db.execute(f"SELECT seq, alert, body {waits} ORDER BY seq", (receiver,))
    waiting = [Waiting.of(*checked(row, tuple[Whole, str, bytes])) for row in rows]
    gone = dropped(waiting, max_waiting, _believed(db, receiver))
    db.executemany(
        "UPDATE notice SET outcome = 'dropped', done_ns = ? WHERE seq = ?",
        [(now_ns, seq) for seq in gone.seqs],
    )
    counted(db, receiver, DROPPED, len(gone.seqs))
    return gone


def _believed(db: sqlite3.Connection, receiver: str) -> dict[str, bool]:
    """See alerts.room.believed; of what is still kept."""
    rows = db.execute(
        "SELECT seq, alert, body, outcome FROM notice WHERE receiver = ?"
        " AND outcome IN ('delivered', 'given_up', 'dropped') ORDER BY seq",
        (receiver,),
    )
    each = (checked(row, tuple[Whole, str, bytes, str]) for row in rows)
    read = ((Waiting.of(seq, alert, body), outcome) for seq, alert, body, outcome in each)
    return believed((notice.alert, outcome == DELIVERED, notice.ends) for notice, outcome in read)


def counted(db: sqlite3.Connection, receiver: str, outcome: str, notices: int) -> None:
    """So many more of that outcome, in all and of the receiver."""
    if not notices:
        return
    db.execute(
        "INSERT INTO total VALUES(?, ?) ON CONFLICT DO UPDATE SET notices = notices + excluded.notices",
        (outcome, notices),
    )
    tally(db, receiver, outcome, notices)


def tally(db: sqlite3.Connection, receiver: str, outcome: str, notices: int) -> None:
    db.execute(
        "INSERT INTO tally VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET notices = notices + excluded.notices",
        (receiver, outcome, notices),
    )
