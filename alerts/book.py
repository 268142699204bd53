"""The book: what the evaluation remembers and what receivers have yet to be told, in one SQLite file.

WAL mode with synchronous=FULL. The memory and the notices that come from the same window are written in one
transaction, so that after a crash either both are there or neither; a notice is marked only after its
receiver took it. A notice may therefore arrive twice and never goes missing, save by the bound: above
`max_waiting` undelivered notices of a receiver the oldest go first, counted in `dropped`.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from linkgauge.errors import StoreError

log = logging.getLogger(__name__)

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
        self._path, self._max_waiting = path, max_waiting
        self._lock = threading.RLock()
        with self._asking():
            self._db = _open(path)

    def record(
        self, snapshot: bytes, notices: Sequence[tuple[str, bytes]], receivers: Sequence[str], now_ns: int
    ) -> None:
        """Keep the memory, and each notice (alert, body) for each receiver, or nothing at all."""
        rows = [(receiver, alert, body, now_ns) for alert, body in notices for receiver in receivers]
        with self._changing():
            self._db.execute(
                "INSERT INTO memory VALUES(1, ?) ON CONFLICT DO UPDATE SET snapshot = excluded.snapshot",
                (snapshot,),
            )
            self._db.executemany(
                "INSERT INTO notice(receiver, alert, body, created_ns) VALUES(?,?,?,?)", rows
            )
            if rows:
                for receiver in receivers:
                    self._make_room(receiver, now_ns)
                self._forget_done()

    def memory(self) -> bytes | None:
        """The snapshot that was recorded last."""
        with self._asking():
            row = self._db.execute("SELECT snapshot FROM memory").fetchone()
        return bytes(row[0]) if row else None

    def heads(self, receiver: str, most: int) -> list[Notice]:
        """The oldest waiting notice of each alert, oldest first: order is kept within an alert."""
        with self._asking():
            rows = self._db.execute(
                "SELECT seq, alert, body FROM notice WHERE seq IN (SELECT min(seq) FROM notice"
                " WHERE receiver = ? AND outcome = 'waiting' GROUP BY alert) ORDER BY seq LIMIT ?",
                (receiver, most),
            ).fetchall()
        return [Notice(*row) for row in rows]

    def delivered(self, seq: int, now_ns: int) -> None:
        """The receiver took it."""
        self._done(seq, now_ns, DELIVERED)

    def given_up(self, seq: int, now_ns: int) -> None:
        """The receiver will never take it."""
        self._done(seq, now_ns, GIVEN_UP)

    def totals(self) -> dict[str, int]:
        """Notices by outcome since the book was made: waiting, delivered, given_up, dropped."""
        with self._asking():
            waiting = self._db.execute("SELECT count(*) FROM notice WHERE outcome = 'waiting'").fetchone()
            done = dict(self._db.execute("SELECT outcome, notices FROM total").fetchall())
        return {WAITING: waiting[0], **{name: done.get(name, 0) for name in (DELIVERED, GIVEN_UP, DROPPED)}}

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _done(self, seq: int, now_ns: int, outcome: str) -> None:
        with self._changing():
            changed = self._db.execute(
                "UPDATE notice SET outcome = ?, done_ns = ? WHERE seq = ? AND outcome = 'waiting'",
                (outcome, now_ns, seq),
            )
            self._count(outcome, changed.rowcount)

    def _make_room(self, receiver: str, now_ns: int) -> None:
        dropped = self._db.execute(
            "UPDATE notice SET outcome = 'dropped', done_ns = ? WHERE seq IN (SELECT seq FROM notice"
            " WHERE receiver = ? AND outcome = 'waiting' ORDER BY seq DESC LIMIT -1 OFFSET ?)",
            (now_ns, receiver, self._max_waiting),
        )
        self._count(DROPPED, dropped.rowcount)

    def _forget_done(self) -> None:
        self._db.execute(
            "DELETE FROM notice WHERE outcome <> 'waiting' AND seq <= (SELECT max(seq) FROM notice) - ?",
            (KEPT_DONE,),
        )

    def _count(self, outcome: str, notices: int) -> None:
        self._db.execute(
            "INSERT INTO total VALUES(?, ?) ON CONFLICT DO UPDATE SET notices = notices + excluded.notices",
            (outcome, notices),
        )

    @contextmanager
    def _asking(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as err:
                raise _store_error(self._path, str(err)) from None
            except OSError as err:
                raise StoreError(
                    f"{self._path}: cannot be made ({err.strerror}); name another data_dir"
                ) from None

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One transaction; nothing of it stays when anything in it fails."""
        with self._asking():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _make_private(path: Path) -> None:
    """Make the file, for owner and group only, before SQLite does: -wal and -shm get the file's mode."""
    with suppress(OSError):  # SQLite says why the file cannot be used
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640))
        path.chmod(0o640)


def _open(path: Path) -> sqlite3.Connection:
    """Open or make the file; a damaged one is moved aside, said once, and a new one begun."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    try:
        return _prepared(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as err:
        aside = f"{path}.damaged-{int(time.time())}"
        log.error(
            "%s: the book of alerts is damaged (%s); it is now %s, and a new one is begun:"
            " alerts that fire are told once more",
            path, err, aside,
        )  # fmt: skip
    for end in ("", "-wal", "-shm"):
        part = Path(f"{path}{end}")
        if part.exists():
            part.rename(f"{aside}{end}")
    return _prepared(path)


def _prepared(path: Path) -> sqlite3.Connection:
    _make_private(path)
    db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def _store_error(path: Path, words: str) -> StoreError:
    mend = "look at the disk and the file's owner"
    if "full" in words:
        mend = "make room on its disk"
    elif "readonly" in words or "unable to open" in words:
        mend = "let its owner write the file and its folder"
    elif "malformed" in words or "not a database" in words:
        mend = "restart, and it is moved aside; alerts that fire are then told once more"
    return StoreError(f"{path}: the book of alerts cannot be used ({words}); {mend}")
