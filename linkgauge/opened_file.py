"""A SQLite file of ours while it is open: a connection that writes, one that reads, and where they lie."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from linkgauge.wal import commits_after

ENDINGS = ("", "-wal", "-shm")
"""Of the parts of a file: itself, its log, and the log's index."""
BUSY_S = 5.0
"""How long another process is waited for."""
_LOG_BYTES = 64 * 1024 * 1024
"""Size to which the log is cut when it begins again."""


class Damage(sqlite3.DatabaseError):
    """What the file holds was not written by us, or not as it is."""


def code_of(err: BaseException) -> int:
    """SQLite's extended result code, 0 for what is Python's own."""
    return int(getattr(err, "sqlite_errorcode", 0) or 0)


class OpenedFile:
    """The file at `path`, made when it is missing, with all of `schema` in it, readable by its owner only.

    look_through: read every page. Raises sqlite3.Error, Damage among them, and OSError where the file or its
    folder cannot be made.
    """

    def __init__(self, path: Path, schema: str, look_through: bool) -> None:
        self._path = path
        _make_private(path)
        self.writer = _connect(path)
        try:
            self._prepare(schema, look_through)
            self.reader = _connect(path)
            try:
                self.reader.execute("PRAGMA query_only = ON")
            except sqlite3.Error:
                self.reader.close()
                raise
        except BaseException:
            self.writer.close()
            raise
        self._places: tuple[tuple[int, int] | None, ...] = ()
        self._log_octets = 0

    def settle(self) -> None:
        """All parts of the file are there now: remember where."""
        self._places = tuple(place_of(part) for part in self._parts)
        self.note_size()

    def note_size(self) -> None:
        """Remember how long the log is."""
        self._log_octets = _size(self._parts[1])

    def in_place(self) -> bool:
        """Whether all parts are where they were, and the log is not cut short."""
        if tuple(place_of(part) for part in self._parts) != self._places:
            return False
        if _size(self._parts[1]) < self._log_octets:
            with contextlib.suppress(sqlite3.Error):  # held by another process, which then began it again
                if not self.save_log():
                    return False
            self.note_size()
        return True

    def is_itself(self) -> bool:
        """Whether the file itself is where it was, whatever became of the log."""
        return place_of(self._parts[0]) == self._places[0]

    def log_left(self) -> tuple[str, ...]:
        """Endings of the parts of our log that still lie beside where the file was."""
        log = zip(ENDINGS[1:], self._parts[1:], self._places[1:], strict=True)
        return tuple(ending for ending, part, ours in log if ours is not None and place_of(part) == ours)

    def save_log(self) -> bool:
        """Bring what the log has into the file; False when it cannot be read. Raises when others hold it."""
        try:
            busy = self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as err:
            if code_of(err) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            return False
        if busy:
            held = sqlite3.OperationalError("the log is in use")
            held.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise held
        self.note_size()
        return True

    def unused(self) -> int:
        """Octets in the file that hold nothing."""
        query = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size"
        return int(self.writer.execute(query).fetchone()[0])

    def close(self) -> None:
        for db in (self.reader, self.writer):
            with contextlib.suppress(sqlite3.Error):
                db.close()

    @property
    def _parts(self) -> tuple[Path, ...]:
        return tuple(Path(f"{self._path}{ending}") for ending in ENDINGS)

    def _frames(self) -> int:
        """Frames of the log that SQLite takes for good; -1 when another process keeps it from saying."""
        return int(self.writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])

    def _prepare(self, schema: str, look_through: bool) -> None:
        db = self.writer
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # takes up the log
        if look_through:
            frames = self._frames()
            # the same number before and after: no other process has written meanwhile
            if frames >= 0 and commits_after(self._parts[1], frames) > 1 and frames == self._frames():
                raise Damage("its log is wrong in its middle")
            fault = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if fault != "ok":
                raise Damage(str(fault).replace("\n", " ")[:200])
        db.executescript(f"BEGIN IMMEDIATE;{schema};COMMIT")
        missing = _columns(schema) - _columns_of(db)
        if missing:
            raise Damage(f"it has no column {'.'.join(sorted(missing)[0])}")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)


def _columns(schema: str) -> set[tuple[str, str]]:
    model = sqlite3.connect(":memory:")
    try:
        model.executescript(schema)
        return _columns_of(model)
    finally:
        model.close()


def _columns_of(db: sqlite3.Connection) -> set[tuple[str, str]]:
    query = (
        "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c "
        "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'"
    )
    return {(str(table), str(column)) for table, column in db.execute(query)}


def place_of(path: Path) -> tuple[int, int] | None:
    """Which file lies there; None when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return os.stat(path).st_size
    return 0


def _make_private(path: Path) -> None:
    """Make the file before SQLite does, for its owner only: -wal and -shm get the file's mode."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        for part in (Path(f"{path}{ending}") for ending in ENDINGS):
            with contextlib.suppress(OSError):  # SQLite says why the file cannot be used
                if part.is_file():
                    part.chmod(0o600)
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
