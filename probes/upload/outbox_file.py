"""The outbox's tables, and the statements that change them; each is for one transaction.

`batch` is the ledger: one row for each number given, with a body while it waits or is a dead letter.
`boot` has the last number given in each boot. `total` counts the batches that ever came to each state, and
what waits now, so that nothing needs to look at all that waits.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

import msgspec

from linkgauge.sqlite_file import Damage, checked

SCHEMA = """
CREATE TABLE IF NOT EXISTS batch (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, boot TEXT NOT NULL, number INTEGER NOT NULL,
    created_ns INTEGER NOT NULL, rows INTEGER NOT NULL, state INTEGER NOT NULL, size INTEGER NOT NULL,
    sentence TEXT, body BLOB, UNIQUE (boot, number));
CREATE INDEX IF NOT EXISTS waiting ON batch (seq) WHERE state = 0;
CREATE INDEX IF NOT EXISTS waiting_since ON batch (created_ns, seq) WHERE state = 0;
CREATE INDEX IF NOT EXISTS settled ON batch (seq) WHERE state <> 0;
CREATE INDEX IF NOT EXISTS dead ON batch (seq) WHERE state = 3;
CREATE TABLE IF NOT EXISTS boot (boot TEXT PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS total (state INTEGER PRIMARY KEY, batches INTEGER NOT NULL);
INSERT OR IGNORE INTO total VALUES (0, 0), (1, 0), (2, 0), (3, 0);
"""
LEDGER_ROWS = 100_000
"""Ledger rows kept besides those that wait: a batch each 10 s is 11 days."""
DEAD_LETTERS = 100
"""Rejected batches whose bodies are kept."""
AT_ONCE = 200
"""Rows that one transaction drops or forgets at most: a put never waits for thousands."""
_WAITING_NOW, _OCTETS_NOW = 4, 5

Whole = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]


class State(IntEnum):
    """What became of a batch. WAITING's total counts all that were ever put."""

    WAITING = 0
    ACKNOWLEDGED = 1
    DROPPED = 2
    REJECTED = 3


@dataclass(frozen=True, slots=True)
class Totals:
    """Since the file was begun, and what waits now."""

    produced: int = 0
    acknowledged: int = 0
    dropped: int = 0
    rejected: int = 0
    waiting: int = 0
    waiting_octets: int = 0


def begin(db: sqlite3.Connection, carried: Totals | None, last_seq: int) -> int:
    """Make the totals fit what is there. carried: what was known of a file that was lost in mid-run.

    Returns the last seq given; the next is above it, and above `last_seq`.
    """
    if carried is not None:
        lost = carried.dropped + carried.waiting
        for state, batches in enumerate((carried.produced, carried.acknowledged, lost, carried.rejected)):
            db.execute("INSERT OR REPLACE INTO total VALUES (?, ?)", (state, batches))
    db.execute(
        "INSERT OR REPLACE INTO total SELECT ?, count(*) FROM batch WHERE state = 0 "
        "UNION ALL SELECT ?, CAST(total(size) AS INTEGER) FROM batch WHERE state = 0",
        (_WAITING_NOW, _OCTETS_NOW),
    )
    totals(db)
    for name in ("batch", "sqlite_sequence"):
        found = db.execute(f"SELECT coalesce(max(seq), 0) FROM {name}").fetchone()[0]
        last_seq = max(last_seq, checked(found, Whole))
    db.execute("DELETE FROM sqlite_sequence")
    db.execute("INSERT INTO sqlite_sequence VALUES ('batch', ?)", (last_seq,))
    return last_seq


def totals(db: sqlite3.Connection) -> Totals:
    rows = db.execute("SELECT batches FROM total ORDER BY state").fetchall()
    return Totals(*checked([row[0] for row in rows], list[Whole])[: len(Totals.__slots__)])


def oldest_ns(db: sqlite3.Connection) -> int | None:
    """When the oldest of those that wait was created."""
    found = db.execute("SELECT min(created_ns) FROM batch WHERE state = 0").fetchone()[0]
    return checked(found, Whole | None)  # type: ignore[arg-type]  # a union is a type to msgspec


def last_number(db: sqlite3.Connection, boot: str) -> int:
    found = db.execute("SELECT number FROM boot WHERE boot = ?", (boot,)).fetchone()
    return checked(found[0], Whole) if found else 0


def insert(db: sqlite3.Connection, boot: str, number: int, created_ns: int, rows: int, body: bytes) -> int:
    """Returns its seq."""
    try:
        seq = db.execute(
            "INSERT INTO batch (boot, number, created_ns, rows, state, size, body) "
            "VALUES (?, ?, ?, ?, 0, ?, ?)",
            (boot, number, created_ns, rows, len(body), body),
        ).lastrowid
    except sqlite3.IntegrityError as err:
        raise Damage(str(err)) from None  # no number is given twice
    db.execute("INSERT OR REPLACE INTO boot VALUES (?, ?)", (boot, number))
    add(db, State.WAITING, 1)
    _add_waiting(db, 1, len(body))
    return seq or 0


def add(db: sqlite3.Connection, state: State, batches: int) -> None:
    db.execute("UPDATE total SET batches = batches + ? WHERE state = ?", (batches, int(state)))


def settle(db: sqlite3.Connection, seqs: Iterable[int], state: State, sentence: str | None = None) -> int:
    """Bring what waits of `seqs` to `state`; returns how many that were."""
    changed = octets = 0
    for seq in seqs:
        found = db.execute("SELECT size FROM batch WHERE seq = ? AND state = 0", (seq,)).fetchone()
        if found is not None:
            db.execute(
                "UPDATE batch SET state = ?, sentence = ?, body = CASE ? WHEN 3 THEN body END WHERE seq = ?",
                (int(state), sentence, int(state), seq),
            )
            changed, octets = changed + 1, octets + checked(found[0], Whole)
    if changed:
        add(db, state, changed)
        _add_waiting(db, -changed, -octets)
    return changed


def arrived_after_all(db: sqlite3.Connection, seqs: Iterable[int]) -> None:
    """Batches that a bound dropped while they were on their way, and that the collector has: not lost."""
    for seq in seqs:
        query = "UPDATE batch SET state = ? WHERE seq = ? AND state = ?"
        found = db.execute(query, (int(State.ACKNOWLEDGED), seq, int(State.DROPPED))).rowcount
        if found:
            add(db, State.DROPPED, -1)
            add(db, State.ACKNOWLEDGED, 1)


def drop_oldest(db: sqlite3.Connection, max_octets: int) -> None:
    """Drop what came first while more than `max_octets` wait; what came last stays, however large."""
    over = totals(db).waiting_octets - max_octets
    if over <= 0:
        return
    chosen = []
    rows = db.execute(
        "SELECT seq, size FROM batch WHERE state = 0 AND seq < (SELECT max(seq) FROM batch) "
        "ORDER BY seq LIMIT ?",
        (AT_ONCE,),
    )
    for seq, size in rows:
        if over <= 0:
            break
        chosen.append(seq)
        over -= checked(size, Whole)
    settle(db, chosen, State.DROPPED)


def drop_older(db: sqlite3.Connection, before_ns: int) -> None:
    """Drop what was created before then."""
    rows = db.execute(
        "SELECT seq FROM batch WHERE state = 0 AND created_ns < ? ORDER BY created_ns LIMIT ?",
        (before_ns, AT_ONCE),
    )
    settle(db, [row[0] for row in rows.fetchall()], State.DROPPED)


def forget(db: sqlite3.Connection) -> None:
    """Bound the ledger; what waits is never forgotten."""
    last = db.execute("SELECT max(seq) FROM batch").fetchone()[0] or 0
    gone = db.execute(
        "DELETE FROM batch WHERE seq IN "
        "(SELECT seq FROM batch WHERE state <> 0 AND seq <= ? ORDER BY seq LIMIT ?)",
        (checked(last, Whole) - LEDGER_ROWS, AT_ONCE),
    ).rowcount
    if gone:
        db.execute("DELETE FROM boot WHERE NOT EXISTS (SELECT 1 FROM batch WHERE batch.boot = boot.boot)")


def forget_letters(db: sqlite3.Connection) -> None:
    """Bound the bodies of dead letters."""
    db.execute(
        "UPDATE batch SET body = NULL WHERE state = 3 AND body NOT NULL AND seq NOT IN "
        "(SELECT seq FROM batch WHERE state = 3 ORDER BY seq DESC LIMIT ?)",
        (DEAD_LETTERS,),
    )


def _add_waiting(db: sqlite3.Connection, batches: int, octets: int) -> None:
    db.execute(
        "UPDATE total SET batches = max(0, batches + CASE state WHEN ? THEN ? ELSE ? END) "
        "WHERE state IN (?, ?)",
        (_WAITING_NOW, batches, octets, _WAITING_NOW, _OCTETS_NOW),
    )
