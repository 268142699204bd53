"""The journal: every batch that was acknowledged, on disk, once, until all sinks have it.

SQLite in WAL mode with synchronous=FULL: a batch is acknowledged after its commit has reached the disk. Keys
(agent, boot, number) outlive the bodies, so a second copy is known long after the first was forwarded.
Bounded: above `max_bytes` the oldest bodies go first and are counted in `dropped`, which survives restarts.
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from collector.batch_log import Entry
from collector.event_line import event_line
from linkgauge.errors import StoreError

log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batch(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, agent TEXT NOT NULL, boot TEXT NOT NULL, number INTEGER NOT NULL,
  created_ns INTEGER NOT NULL, received_ns INTEGER NOT NULL, UNIQUE(agent, boot, number));
CREATE TABLE IF NOT EXISTS body(
  seq INTEGER PRIMARY KEY, received_ns INTEGER NOT NULL, octets INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS cursor(sink TEXT PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS fact(name TEXT PRIMARY KEY, value NOT NULL);
"""
_FORGET_KEYS = """
DELETE FROM batch WHERE seq IN (SELECT seq FROM batch ORDER BY seq LIMIT 1000)
  AND received_ns < (SELECT received_ns FROM batch ORDER BY seq DESC LIMIT 1) - ?
  AND seq NOT IN (SELECT seq FROM body)
"""  # looks at the oldest keys only, so its cost does not grow with the journal


class Journal:
    """See above. One value may be used by many threads. Methods raise StoreError naming the file.

    max_bytes: bodies kept at most. keep_ns: how long keys are kept, counted back from the newest batch.
    """

    def __init__(self, path: Path, max_bytes: int, keep_ns: int) -> None:
        self._path, self._max_bytes, self._keep_ns = path, max_bytes, keep_ns
        self._lock = threading.RLock()
        self._sinks: tuple[str, ...] = ()
        self._bytes = self._pending = 0  # size of all bodies, and what the open transaction adds to it
        self._db = _open(path)
        with self._changing():
            self._db.execute(
                "INSERT INTO fact VALUES('identity', ?) ON CONFLICT DO NOTHING", (secrets.token_hex(6),)
            )
            self._db.execute("INSERT INTO fact VALUES('dropped', 0) ON CONFLICT DO NOTHING")
        self.identity = str(self._one("SELECT value FROM fact WHERE name = 'identity'"))
        self._bytes = int(self._one("SELECT coalesce(sum(octets), 0) FROM body"))

    def append(
        self, agent: str, boot: str, number: int, created_ns: int, received_ns: int, body: bytes
    ) -> bool:
        """Keep a batch; True after the commit, False when its key was already there."""
        with self._changing():
            added = self._db.execute(
                "INSERT INTO batch(agent, boot, number, created_ns, received_ns) VALUES(?,?,?,?,?)"
                " ON CONFLICT DO NOTHING",
                (agent, boot, number, created_ns, received_ns),
            )
            if not added.rowcount:
                return False
            self._db.execute(
                "INSERT INTO body VALUES(?,?,?,?)", (added.lastrowid, received_ns, len(body), body)
            )
            self._pending = len(body) - self._make_room(len(body))
        return True

    def read(self, after_seq: int, max_batches: int, max_bytes: int) -> list[Entry]:
        """Batches after `after_seq` in order; at least one when there is one, else within both bounds."""
        entries: list[Entry] = []
        with self._asking():
            rows = self._db.execute(
                "SELECT batch.seq, agent, boot, number, created_ns, batch.received_ns, data"
                " FROM body JOIN batch USING(seq) WHERE body.seq > ? ORDER BY body.seq LIMIT ?",
                (after_seq, max_batches),
            )
            for row in rows:
                max_bytes -= len(row[-1])
                if entries and max_bytes < 0:
                    break
                entries.append(Entry(*row))
        return entries

    def register(self, sinks: Sequence[str]) -> None:
        """Name the sinks whose cursors hold bodies back; a name that is new begins with the oldest body."""
        with self._changing():
            for sink in sinks:
                self._db.execute("INSERT INTO cursor VALUES(?, 0) ON CONFLICT DO NOTHING", (sink,))
        self._sinks = tuple(sinks)

    def cursor(self, sink: str) -> int:
        """The seq of the last batch that the sink has taken, 0 when none."""
        return int(self._one("SELECT coalesce(max(seq), 0) FROM cursor WHERE sink = ?", sink))

    def advance(self, sink: str, seq: int) -> None:
        """The sink has taken everything up to `seq`; never goes back."""
        with self._changing():
            self._db.execute(
                "INSERT INTO cursor VALUES(?, ?) ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)",
                (sink, seq),
            )

    def trim(self) -> None:
        """Delete bodies that all registered sinks have, and keys that are older than keep_ns."""
        with self._changing():
            self._pending = -self._forget_taken()
            self._db.execute(_FORGET_KEYS, (self._keep_ns,))

    def backlog(self, sink: str) -> tuple[int, int | None]:
        """Batches that the sink has not taken, and when the oldest of them came, Unix ns."""
        with self._asking():
            row = self._db.execute(
                "SELECT count(*), min(received_ns) FROM body"
                " WHERE seq > coalesce((SELECT seq FROM cursor WHERE sink = ?), 0)",
                (sink,),
            ).fetchone()
        return row[0], row[1]

    @property
    def dropped(self) -> int:
        """Batches lost to the bound since the journal was made: some sink never got them."""
        return int(self._one("SELECT value FROM fact WHERE name = 'dropped'"))

    @property
    def octets(self) -> int:
        """Size of all bodies."""
        return self._bytes

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _make_room(self, coming: int) -> int:
        """Free octets for a body: first what everybody has, then the oldest, counted; never the newest."""
        if self._bytes + coming <= self._max_bytes:
            return 0
        freed = self._forget_taken()
        lost = 0
        while self._bytes + coming - freed > self._max_bytes:
            oldest = self._db.execute(
                "SELECT seq, octets FROM body WHERE seq < (SELECT max(seq) FROM body) ORDER BY seq LIMIT 1"
            ).fetchone()
            if oldest is None:
                break
            self._db.execute("DELETE FROM body WHERE seq = ?", (oldest[0],))
            freed += oldest[1]
            lost += 1
        self._db.execute("UPDATE fact SET value = value + ? WHERE name = 'dropped'", (lost,))
        return freed

    def _forget_taken(self) -> int:
        if not self._sinks:
            return 0
        marks = ",".join("?" * len(self._sinks))
        upto = self._db.execute(
            f"SELECT min(seq) FROM cursor WHERE sink IN ({marks})",
            self._sinks,
        ).fetchone()[0]
        freed = self._db.execute("SELECT coalesce(sum(octets), 0) FROM body WHERE seq <= ?", (upto,))
        octets = int(freed.fetchone()[0])
        self._db.execute("DELETE FROM body WHERE seq <= ?", (upto,))
        return octets

    def _one(self, query: str, *values: object) -> int | str:
        with self._asking():
            found: int | str = self._db.execute(query, values).fetchone()[0]
        return found

    @contextmanager
    def _asking(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as err:
                raise _store_error(self._path, err) from None

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One transaction; nothing of it stays when anything in it fails."""
        with self._asking():
            self._pending = 0
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
                self._bytes += self._pending
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _open(path: Path) -> sqlite3.Connection:
    """Open or make the file; a damaged one is moved aside, said once, and a new one begun."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    except OSError as err:
        raise StoreError(f"{path.parent}: cannot be made ({err.strerror}); name another data_dir") from None
    try:
        return _prepared(path)
    except sqlite3.OperationalError as err:
        raise _store_error(path, err) from None
    except sqlite3.DatabaseError as err:
        aside = f"{path}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        log.error(
            event_line("journal_damaged", file=path, error=err, moved_to=aside, now="a new one is begun")
        )
    for end in ("", "-wal", "-shm"):
        part = Path(f"{path}{end}")
        if part.exists():
            part.rename(f"{aside}{end}")
    try:
        return _prepared(path)
    except sqlite3.Error as err:
        raise _store_error(path, err) from None


def _make_private(path: Path) -> None:
    """Make the file, for owner and group only, before SQLite does: -wal and -shm get the file's mode."""
    with suppress(OSError):  # SQLite says why the file cannot be used
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640))
        path.chmod(0o640)


def _prepared(path: Path) -> sqlite3.Connection:
    _make_private(path)
    db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA journal_size_limit=67108864")
        verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def _store_error(path: Path, err: sqlite3.Error) -> StoreError:
    words = str(err)
    mend = "look at the disk and the file's owner"
    if "full" in words:
        mend = "make room on its disk"
    elif "readonly" in words:
        mend = "let its owner write it"
    elif "malformed" in words or "not a database" in words:
        mend = "restart, and it is moved aside"
    return StoreError(f"{path}: the journal cannot be used ({words}); {mend}")
