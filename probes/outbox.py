"""What waits for the collector: batches in one SQLite file, deleted only after the acknowledgement.

A batch gets its number and is stored in one transaction, on disk when `put` returns. Every batch keeps one
row, the ledger, without its body once it is acknowledged: it says what became of each number, so that the
stores can be compared with what was produced. When full, the oldest waiting batches are dropped, counted.
A full or read-only disk raises StoreError and is counted; a damaged file is moved aside and a new one begun.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import TypeVar

from linkgauge.clock import Clock, SystemClock
from linkgauge.errors import StoreError
from linkgauge.aside import move_aside
from probes.outbox_file import open_file

LEDGER_ROWS = 100_000
"""Ledger rows kept besides those that wait: a batch each 10 s is 11 days."""
DEAD_LETTERS = 100
"""Rejected batches whose bodies are kept."""
KEEP_FREE_BYTES = 16 * 1024 * 1024
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_log = logging.getLogger(__name__)
T = TypeVar("T")


class State(IntEnum):
    """What became of a batch. WAITING's total counts all that were ever put."""

    WAITING = 0
    ACKNOWLEDGED = 1
    DROPPED = 2
    REJECTED = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A batch."""

    boot: str
    number: int
    created_ns: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Counts:
    """What waits now (oldest_ns: when the oldest was created), and totals since the file was begun.

    unstored: batches lost because they could not be written, and so have no number; they move to `dropped`
    when the file can be written again.
    """

    waiting: int = 0
    waiting_bytes: int = 0
    oldest_ns: int | None = None
    produced: int = 0
    acknowledged: int = 0
    dropped: int = 0
    rejected: int = 0
    unstored: int = 0


class Outbox:
    """The outbox file at `path`; safe to use from several threads; opened when first needed.

    max_bytes: bodies that may wait. max_age_ns: how old a waiting batch may be. keep_free_bytes: nothing is
    written when the disk has less than this left.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        max_age_ns: int,
        keep_free_bytes: int = KEEP_FREE_BYTES,
        clock: Clock | None = None,
    ) -> None:
        self.path = path
        self._max_bytes, self._max_age_ns, self._keep_free_bytes = max_bytes, max_age_ns, keep_free_bytes
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._open: sqlite3.Connection | None = None
        self._unstored = 0
        self._numbered: dict[str, int] = {}
        self._known = Counts()

    def put(self, boot: str, encode: Callable[[int], bytes], rows: int, created_ns: int) -> int:
        """Number and store a batch; returns the number, from 1 in each boot, when it is on disk.

        encode: called with the number, gives the body. Raises StoreError; the batch is then lost and counted.
        """
        with self._lock:
            try:
                number = self._transact(lambda db: self._insert(db, boot, encode, rows, created_ns))
            except StoreError:
                self._unstored += 1
                raise
            self._unstored, self._numbered = 0, {boot: number}
            return number

    def oldest(self) -> Row | None:
        """The batch that waits longest; it stays. Raises StoreError."""
        query = "SELECT boot, number, created_ns, body FROM batch WHERE state = 0 ORDER BY seq LIMIT 1"
        found = self._transact(lambda db: db.execute(query).fetchone())
        return Row(*found) if found else None

    def done(self, boot: str, number: int) -> None:
        """The collector has it: delete the body. Raises StoreError."""
        self._transact(lambda db: _settle(db, boot, number, State.ACKNOWLEDGED, None))

    def reject(self, boot: str, number: int, sentence: str) -> None:
        """The collector will never take it: keep it as a dead letter with its words. Raises StoreError."""

        def bury(db: sqlite3.Connection) -> None:
            _settle(db, boot, number, State.REJECTED, sentence)
            db.execute(
                "UPDATE batch SET body = NULL WHERE state = 3 AND body NOT NULL AND seq NOT IN "
                "(SELECT seq FROM batch WHERE state = 3 ORDER BY seq DESC LIMIT ?)",
                (DEAD_LETTERS,),
            )

        self._transact(bury)

    def dead_letters(self) -> list[tuple[Row, str]]:
        """Rejected batches that are still kept, oldest first, with the collector's words."""
        query = (
            "SELECT boot, number, created_ns, body, sentence FROM batch "
            "WHERE state = 3 AND body NOT NULL ORDER BY seq"
        )
        return [(Row(*row[:4]), row[4]) for row in self._transact(lambda db: db.execute(query).fetchall())]

    def ledger(self) -> list[tuple[str, int, int, State]]:
        """(boot, number, rows, state) of every batch still in the ledger, oldest first; raises StoreError."""
        query = "SELECT boot, number, rows, state FROM batch ORDER BY seq"
        rows = self._transact(lambda db: db.execute(query).fetchall())
        return [(boot, number, count, State(state)) for boot, number, count, state in rows]

    def counts(self) -> Counts:
        """Counters; the last known ones while the file cannot be read, which put and done tell."""
        with self._lock:
            with contextlib.suppress(StoreError):
                self._known = self._transact(_counts)
            return replace(self._known, unstored=self._unstored)

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None

    def _insert(
        self, db: sqlite3.Connection, boot: str, encode: Callable[[int], bytes], rows: int, created_ns: int
    ) -> int:
        found = db.execute("SELECT number FROM boot WHERE boot = ?", (boot,)).fetchone()
        # a file begun anew in mid-run must not give a number twice: the collector would take it for a copy
        number = max(found[0] if found else 0, self._numbered.get(boot, 0)) + 1
        body = encode(number)
        self._check_space(db, len(body))
        db.execute("INSERT OR REPLACE INTO boot VALUES (?, ?)", (boot, number))
        db.execute(
            "INSERT INTO batch (boot, number, created_ns, rows, state, size, body) "
            "VALUES (?, ?, ?, ?, 0, ?, ?)",
            (boot, number, created_ns, rows, len(body), body),
        )
        _add(db, State.WAITING, 1)
        _add(db, State.DROPPED, self._unstored)
        self._trim(db)
        return number

    def _check_space(self, db: sqlite3.Connection, need: int) -> None:
        try:
            disk = os.statvfs(self.path.parent)
        except OSError as err:
            raise sqlite3.OperationalError(str(err)) from None
        inside = db.execute("SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size")
        free = disk.f_bavail * disk.f_frsize + int(inside.fetchone()[0])
        if free < need + self._keep_free_bytes:
            raise StoreError(
                f"{self.path}: the disk has {free >> 20} MB left, {self._keep_free_bytes >> 20} MB are kept "
                "free; make room, batches are lost until then"
            )

    def _trim(self, db: sqlite3.Connection) -> None:
        now_ns = self._clock.now().wall_ns
        waiting = db.execute(
            "SELECT seq, size, created_ns FROM batch WHERE state = 0 ORDER BY seq"
        ).fetchall()
        total, dropped = sum(size for _, size, _ in waiting), []
        for seq, size, created_ns in waiting[:-1]:  # what came last stays, however large
            if total <= self._max_bytes and created_ns >= now_ns - self._max_age_ns:
                break
            dropped.append((int(State.DROPPED), seq))
            total -= size
        db.executemany("UPDATE batch SET state = ?, body = NULL WHERE seq = ?", dropped)
        _add(db, State.DROPPED, len(dropped))
        last = db.execute("SELECT max(seq) FROM batch").fetchone()[0]
        db.execute("DELETE FROM batch WHERE state != 0 AND seq <= ?", (last - LEDGER_ROWS,))
        db.execute("DELETE FROM boot WHERE NOT EXISTS (SELECT 1 FROM batch WHERE batch.boot = boot.boot)")

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one transaction; a damaged file is moved aside and replaced."""
        with self._lock:
            try:
                return self._attempt(work)
            except sqlite3.DatabaseError as err:
                if (getattr(err, "sqlite_errorcode", 0) & 0xFF) not in _DAMAGED:
                    raise self._unusable(err) from None
                self._move_aside(err)
            try:
                return self._attempt(work)
            except sqlite3.DatabaseError as err:
                raise self._unusable(err) from None

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._open is None:
            self._open = open_file(self.path)
        with self._open:
            self._open.execute("BEGIN IMMEDIATE")
            return work(self._open)

    def _unusable(self, err: sqlite3.DatabaseError) -> StoreError:
        self.close()
        return StoreError(
            f"{self.path}: the outbox cannot be used ({err}); make room or mend its folder's permissions, "
            "batches are lost until then"
        )

    def _move_aside(self, err: sqlite3.DatabaseError) -> None:
        self.close()
        try:
            kept = move_aside(self.path, self._clock.now().wall_ns, ("", "-wal", "-shm"))
        except OSError as failed:
            raise StoreError(
                f"{self.path}: is damaged and cannot be moved aside ({failed}); move it"
            ) from None
        _log.warning("%s: is damaged (%s); kept as %s, a new outbox begins", self.path, err, kept)


def _settle(db: sqlite3.Connection, boot: str, number: int, state: State, sentence: str | None) -> None:
    changed = db.execute(
        "UPDATE batch SET state = ?, sentence = ?, body = CASE ? WHEN 3 THEN body END "
        "WHERE boot = ? AND number = ? AND state = 0",
        (int(state), sentence, int(state), boot, number),
    ).rowcount
    _add(db, state, changed)


def _add(db: sqlite3.Connection, state: State, batches: int) -> None:
    db.execute("UPDATE total SET batches = batches + ? WHERE state = ?", (batches, int(state)))


def _counts(db: sqlite3.Connection) -> Counts:
    waiting = db.execute(
        "SELECT count(*), total(size), min(created_ns) FROM batch WHERE state = 0"
    ).fetchone()
    totals = [row[0] for row in db.execute("SELECT batches FROM total ORDER BY state")]
    return Counts(waiting[0], int(waiting[1]), waiting[2], *totals)
