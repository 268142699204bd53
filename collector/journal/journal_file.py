"""The journal's tables, and the statements that change them; each is for one transaction.

`entry` has the batches that some sink may still want; their seqs have no gaps and only the oldest are
deleted, so what waits is counted from two numbers. `span` has the keys ever seen: numbers `first` to `last`
of a boot of an agent, and when the last of them came. `cursor` is how far each sink has come. `fact` has
single values.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from collector.journal.batch_log import Entry
from linkgauge.sqlite_file import Damage, checked

SCHEMA = """
CREATE TABLE IF NOT EXISTS entry(
  seq INTEGER PRIMARY KEY, agent TEXT NOT NULL, boot TEXT NOT NULL, number INTEGER NOT NULL,
  created_ns INTEGER NOT NULL, received_ns INTEGER NOT NULL, via TEXT NOT NULL, octets INTEGER NOT NULL,
  data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS span(
  agent TEXT NOT NULL, boot TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  seen_ns INTEGER NOT NULL, PRIMARY KEY(agent, boot, first)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cursor(sink TEXT PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS fact(name TEXT PRIMARY KEY, value NOT NULL);
"""
_OF_BEFORE = """
INSERT INTO entry SELECT body.seq, agent, boot, number, created_ns, batch.received_ns, '', octets, data
  FROM body JOIN batch USING(seq) ORDER BY body.seq;
INSERT INTO span SELECT agent, boot, min(number), max(number), max(received_ns) FROM
  (SELECT *, number - row_number() OVER (PARTITION BY agent, boot ORDER BY number) AS island FROM batch)
  GROUP BY agent, boot, island;
INSERT OR REPLACE INTO fact SELECT 'last', coalesce(max(seq), 0) FROM
  (SELECT seq FROM batch UNION ALL SELECT seq FROM cursor);
INSERT OR REPLACE INTO fact SELECT 'received_ns', coalesce(max(received_ns), 0) FROM batch;
UPDATE fact SET name = 'dropped_size' WHERE name = 'dropped';
DROP TABLE body;
DROP TABLE batch;
"""
SIZE, AGE, DAMAGE = "size", "age", "damage"
REASONS = (SIZE, AGE, DAMAGE)
AT_ONCE, OCTETS_AT_ONCE = 500, 4 << 20
"""Rows and octets that one transaction forgets, as a rule: a batch that comes never waits for thousands."""

Whole = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a file, in case it is lost in mid-run. first, last: seqs of its bodies."""

    identity: str
    first: int = 1
    last: int = 0
    cursors: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)

    def wanted(self, sinks: Sequence[str]) -> int:
        """Batches that one of `sinks` had not taken."""
        had = min((self.cursors.get(sink, 0) for sink in sinks), default=0)
        return max(0, self.last - max(had, self.first - 1))


def convert(db: sqlite3.Connection) -> None:
    """Bring the tables of versions before 0.4 into these."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'body'").fetchone():
        for statement in _OF_BEFORE.split(";"):
            db.execute(statement)


def begin(db: sqlite3.Connection, known: Known, sinks: Sequence[str], first_seq: int) -> Known:
    """Prepare a file; a new one gets what is `known`. first_seq: a new file's seqs begin there or later."""
    convert(db)
    if fact(db, "last") is None:
        last = max(known.last, first_seq - 1)
        put_fact(db, "last", last)
        for sink in known.cursors:
            move_cursor(db, sink, last)
        for reason in REASONS:
            lost = known.wanted(sinks) if reason == DAMAGE else 0
            put_fact(db, f"dropped_{reason}", known.dropped.get(reason, 0) + lost)
    if number(db, "last") < known.last:  # somebody put an older file in its place
        put_fact(db, "last", known.last)
    db.execute("INSERT OR IGNORE INTO fact VALUES('identity', ?), ('received_ns', 0)", (known.identity,))
    octets = db.execute("SELECT CAST(total(octets) AS INTEGER) FROM entry").fetchone()[0]
    put_fact(db, "octets", checked(octets, Whole))
    return known_of(db)


def renew(db: sqlite3.Connection, identity: str, first_seq: int) -> None:
    """Give the file another identity, and its batches seqs of which none was given under the former one."""
    last = number(db, "last")
    span = last - known_of(db).first + 1
    shift = max(first_seq - last, span)
    db.execute("UPDATE entry SET seq = seq + ?", (shift,))
    db.execute("UPDATE cursor SET seq = seq + ?", (shift,))
    put_fact(db, "last", last + shift)
    db.execute("UPDATE fact SET value = ? WHERE name = 'identity'", (identity,))


def known_of(db: sqlite3.Connection) -> Known:
    """What a file that takes this one's place must know."""
    last = number(db, "last")
    first = db.execute("SELECT min(seq) FROM entry").fetchone()[0]
    cursors = db.execute("SELECT sink, seq FROM cursor").fetchall()
    return Known(
        checked(fact(db, "identity"), str),
        last + 1 if first is None else checked(first, Whole),
        last,
        dict(checked(cursors, list[tuple[str, Whole]])),
        dropped(db),
    )


def fact(db: sqlite3.Connection, name: str) -> object:
    found = db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
    return found[0] if found else None


def number(db: sqlite3.Connection, name: str) -> int:
    """A fact that counts; 0 when it is missing."""
    found = fact(db, name)
    return 0 if found is None else checked(found, Whole)


def put_fact(db: sqlite3.Connection, name: str, value: int) -> None:
    db.execute("INSERT OR REPLACE INTO fact VALUES(?, ?)", (name, value))


def dropped(db: sqlite3.Connection) -> dict[str, int]:
    """Batches that some sink never got, by reason."""
    return {reason: number(db, f"dropped_{reason}") for reason in REASONS}


def note_key(db: sqlite3.Connection, agent: str, boot: str, at: int, seen_ns: int) -> bool:
    """Note that number `at` was seen; False when it was before."""
    near = checked(
        db.execute(
            "SELECT first, last FROM span WHERE agent = ? AND boot = ? AND first <= ?"
            " ORDER BY first DESC LIMIT 2",
            (agent, boot, at + 1),
        ).fetchall(),
        list[tuple[Whole, Whole]],
    )
    after = near.pop(0) if near and near[0][0] == at + 1 else None
    before = near[0] if near else None
    if before is not None and at <= before[1]:
        return False
    first = before[0] if before is not None and before[1] == at - 1 else at
    if after is not None:
        db.execute("DELETE FROM span WHERE agent = ? AND boot = ? AND first = ?", (agent, boot, after[0]))
    db.execute(
        "INSERT OR REPLACE INTO span VALUES(?, ?, ?, ?, ?)",
        (agent, boot, first, after[1] if after is not None else at, seen_ns),
    )
    return True


def insert(db: sqlite3.Connection, seq: int, entry: Entry) -> None:
    values = (
        seq, entry.agent, entry.boot, entry.number, entry.created_ns, entry.received_ns, entry.via,
        len(entry.body), entry.body,
    )  # fmt: skip
    try:
        db.execute("INSERT INTO entry VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    except sqlite3.IntegrityError as err:
        raise Damage(str(err)) from None  # no seq is given twice


def read(db: sqlite3.Connection, after_seq: int, max_batches: int, max_octets: int) -> list[Entry]:
    rows = db.execute(
        "SELECT seq, agent, boot, number, created_ns, received_ns, data, via FROM entry"
        " WHERE seq > ? ORDER BY seq LIMIT ?",
        (after_seq, max_batches),
    )
    entries: list[Entry] = []
    for row in rows:
        entry = Entry(*checked(row, tuple[Whole, str, str, Whole, Whole, Whole, bytes, str]))
        max_octets -= len(entry.body)
        if entries and max_octets < 0:
            break
        entries.append(entry)
    return entries


def move_cursor(db: sqlite3.Connection, sink: str, seq: int) -> None:
    db.execute(
        "INSERT INTO cursor VALUES(?, ?) ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)", (sink, seq)
    )


def keep_cursors(db: sqlite3.Connection, sinks: Sequence[str]) -> None:
    """Have a cursor for each of `sinks` and for no other."""
    for (sink,) in db.execute("SELECT sink FROM cursor").fetchall():
        if sink not in sinks:
            db.execute("DELETE FROM cursor WHERE sink = ?", (sink,))
    for sink in sinks:
        move_cursor(db, sink, 0)


def cursor(db: sqlite3.Connection, sink: str) -> int:
    found = db.execute("SELECT seq FROM cursor WHERE sink = ?", (sink,)).fetchone()
    return checked(found[0], Whole) if found else 0


def taken(db: sqlite3.Connection, sinks: Sequence[str]) -> int:
    """The seq up to which every one of `sinks` has everything; 0 without any."""
    return min((cursor(db, sink) for sink in sinks), default=0)


def backlog(db: sqlite3.Connection, sink: str) -> tuple[int, int | None]:
    """Batches that the sink has not taken, and when the first of them came."""
    found = db.execute(
        "SELECT seq, received_ns FROM entry WHERE seq > ? ORDER BY seq LIMIT 1", (cursor(db, sink),)
    ).fetchone()
    if found is None:
        return 0, None
    seq, received_ns = checked(found, tuple[Whole, Whole])
    return max(1, number(db, "last") - seq + 1), received_ns


def forget(
    db: sqlite3.Connection, upto: int, sinks: Sequence[str], reason: str, octets: int = OCTETS_AT_ONCE
) -> int:
    """Delete bodies up to seq `upto`, the oldest first, until `octets` are free, or some rows are gone.

    Those that one of `sinks` wants count as dropped. Returns how many rows went.
    """
    query = "SELECT seq, octets FROM entry WHERE seq <= ? ORDER BY seq LIMIT ?"
    gone, last, freed = 0, 0, 0
    had, lost = taken(db, sinks), 0
    for row in db.execute(query, (upto, AT_ONCE)).fetchall():
        last, size = checked(row, tuple[Whole, Whole])
        gone, freed, lost = gone + 1, freed + size, lost + (last > had)
        if freed >= octets:
            break
    if gone:
        db.execute("DELETE FROM entry WHERE seq <= ?", (last,))
        put_fact(db, "octets", max(0, number(db, "octets") - freed))
    if lost:
        put_fact(db, f"dropped_{reason}", number(db, f"dropped_{reason}") + lost)
    return gone


def oldest_until(db: sqlite3.Connection, spare: int) -> int:
    """The seq up to which the oldest bodies must go to free `spare` octets; never the newest."""
    upto = 0
    rows = db.execute("SELECT seq, octets FROM entry ORDER BY seq LIMIT ?", (AT_ONCE,)).fetchall()
    last = number(db, "last")
    for seq, octets in checked(rows, list[tuple[Whole, Whole]]):
        if spare <= 0 or seq >= last:
            break
        upto, spare = seq, spare - octets
    return upto


def older_until(db: sqlite3.Connection, before_ns: int) -> int:
    """The seq up to which the oldest bodies came before then."""
    upto = 0
    rows = db.execute("SELECT seq, received_ns FROM entry ORDER BY seq LIMIT ?", (AT_ONCE,))
    for row in rows:
        seq, received_ns = checked(row, tuple[Whole, Whole])
        if received_ns >= before_ns:
            break
        upto = seq
    return upto


def forget_keys(db: sqlite3.Connection, after: Key, before_ns: int) -> Key:
    """Forget spans that ended before then, looking at some after the key; returns where to go on."""
    rows = checked(
        db.execute(
            "SELECT agent, boot, first, seen_ns FROM span WHERE (agent, boot, first) > (?, ?, ?)"
            " ORDER BY agent, boot, first LIMIT ?",
            (*after, AT_ONCE),
        ).fetchall(),
        list[tuple[str, str, Whole, Whole]],
    )
    for agent, boot, first, seen_ns in rows:
        if seen_ns < before_ns:
            db.execute("DELETE FROM span WHERE agent = ? AND boot = ? AND first = ?", (agent, boot, first))
    return rows[-1][:3] if len(rows) == AT_ONCE else ("", "", 0)
