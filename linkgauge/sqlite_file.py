"""One SQLite file of ours: durable, private, looked after. Outbox, journal and book are kept in such files.

What is promised, for what `transact` was told to do, once it has returned:

- A process that is killed at any instruction, or that crashes: all of it is there, and nothing of what had
  not returned is there by half (write-ahead log; a commit is one piece).
- Power loss: the same, as far as fsync keeps its word: the log is synced before `transact` returns
  (synchronous=FULL), and the folder when the file is made. A disk that says "written" too early can lose the
  newest commits; never the order of them, and never a half of one.
- A full or read-only disk, a lock held by another process: StoreError, nothing of it is kept, what was there
  stays.
- Damage: found at open (every page is looked through, the log's commits are counted) and in mid-run (SQLite
  finds a page or the log wrong; the file was deleted or replaced). The damaged file is moved aside and kept,
  said once, counted in `damaged`, and a new one begun, on which the work is done again. What was in the old
  one is not in the new one.

Not promised: damage that leaves a page well formed is not seen here (bodies carry a checksum of their own,
linkgauge.packing); commits at the end of a log that somebody cuts off while no process has the file open are
gone unsaid, for that looks like a crash in mid-commit.

Files are made with mode 0600. Reads run beside a write and never hold it up. Several processes may use a
file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from linkgauge.aside import move_aside
from linkgauge.clock import NS_PER_US, Clock, SystemClock
from linkgauge.errors import StoreError
from linkgauge.opened_file import BUSY_S, ENDINGS, OpenedFile, code_of, place_of
from linkgauge.opened_file import Damage as Damage

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_CUT_SHORT = sqlite3.SQLITE_IOERR_SHORT_READ
_HARMLESS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
"""The connection goes on as before."""
_ELSEWHERE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM)
"""The disk's faults: the file is opened again, but need not be looked through again."""
_MENDS = {
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_READONLY: "let its owner write the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "let its owner write the file and its folder",
    sqlite3.SQLITE_PERM: "let its owner write the file and its folder",
    sqlite3.SQLITE_BUSY: "another process holds it; end that one",
    sqlite3.SQLITE_IOERR: "look at its disk",
}
_FAULTS = (sqlite3.Error, MemoryError, UnicodeDecodeError)
"""Damage shows itself as these: also a length that no memory holds, and words of SQLite that are no text."""
_log = logging.getLogger(__name__)
T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


def checked(row: object, kind: type[T]) -> T:
    """A row (or value) of the file as `kind`; what does not fit was not written by us: raises Damage."""
    try:
        return msgspec.convert(row, kind)
    except msgspec.ValidationError as err:
        raise Damage(str(err)) from None


class SqliteFile:
    """The file at `path`, opened when first used; `what` names it in sentences ("the outbox").

    schema: statements that may be run on a file that has it all. keep_free_bytes: see check_space. begin:
    called in a transaction after each opening, to prepare the file and to learn what it holds. For many
    threads. Work may be done a second time, on a new file. Methods raise StoreError naming file and mend.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        what: str,
        clock: Clock | None = None,
        keep_free_bytes: int = 0,
        begin: Callable[[sqlite3.Connection], None] = lambda db: None,
    ) -> None:
        self.path, self.keep_free_bytes = path, keep_free_bytes
        self.damaged = 0
        """Times the file was found damaged or gone, and a new one begun."""
        self._schema, self._what, self._begin = schema, what, begin
        self._clock = clock or SystemClock()
        self._writing, self._reading = threading.RLock(), threading.Lock()
        self._opened: OpenedFile | None = None
        self._sound = False  # looked through since this process began, and no doubt since
        self._closed = False
        self._place: tuple[int, int] | None = None  # which file lay there when we opened it

    def transact(self, work: Work[T]) -> T:
        """Do `work` in one transaction, on disk when this returns; nothing of it stays when it raises."""
        with self._writing:
            return self._use("BEGIN IMMEDIATE", work)

    def read(self, work: Work[T]) -> T:
        """Do `work`, which only reads, on what is committed; a write that runs is not waited for."""
        with self._reading:
            if self._opened is not None:
                with contextlib.suppress(*_FAULTS):
                    return _within(self._opened.reader, "BEGIN", work)
        with self._writing:
            return self._use("BEGIN", work)

    def check_space(self, need_octets: int) -> None:
        """Raise StoreError when less than need_octets + keep_free_bytes are free in the file and on its disk.

        For use in work.
        """
        with self._writing:
            try:
                disk = os.statvfs(self.path.parent)
            except OSError as err:
                raise StoreError(f"{self.path}: its disk cannot be asked ({err.strerror}); mend it") from None
            free = disk.f_bavail * disk.f_frsize + (self._opened.unused() if self._opened else 0)
        if free < need_octets + self.keep_free_bytes:
            raise StoreError(
                f"{self.path}: the disk has {free >> 20} MB left, {self.keep_free_bytes >> 20} MB are kept "
                "free; make room on its disk"
            )

    def number_anew(self, db: sqlite3.Connection, table: str) -> None:
        """For `begin`: a file that takes the place of a lost one numbers `table` above all that was given, so
        what is said of a row of the lost one is not taken for one of the new."""
        known = db.execute("SELECT 1 FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
        if self.damaged and not known:
            last = self._clock.now().wall_ns // NS_PER_US
            db.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, last))

    def close(self) -> None:
        """Close the file for good."""
        with self._writing:
            self._closed = True
            self._release()

    def _use(self, begin: str, work: Work[T]) -> T:
        try:
            return self._attempt(begin, work)
        except _FAULTS as err:
            self._settle(err)
        try:
            return self._attempt(begin, work)
        except _FAULTS as err:
            raise self._unusable(err) from None

    def _attempt(self, begin: str, work: Work[T]) -> T:
        if self._closed:
            raise StoreError(f"{self.path}: {self._what} cannot be used (it is closed)")
        if self._opened is not None and not self._opened.in_place():
            self._lost_place(self._opened)
        if self._opened is None:
            self._open()
        assert self._opened is not None
        try:
            return _within(self._opened.writer, begin, work)
        finally:
            self._opened.note_size()

    def _open(self) -> None:
        self._place = place_of(self.path)
        try:
            opened = OpenedFile(self.path, self._schema, look_through=not self._sound)
        except OSError as err:
            raise StoreError(
                f"{self.path}: {self._what} cannot be made ({err.strerror}); name another data_dir"
            ) from None
        try:
            _within(opened.writer, "BEGIN IMMEDIATE", self._begin)
            opened.settle()
        except BaseException:
            opened.close()
            raise
        self._sound, self._place = True, place_of(self.path)
        with self._reading:
            self._opened = opened

    def _lost_place(self, opened: OpenedFile) -> None:
        """Another file, or none, is where ours was; or only its log is gone, which we may still have."""
        itself = opened.is_itself()
        if itself and opened.save_log():
            _log.warning("%s: its log was deleted while in use; nothing of it is lost", self.path)
            self._release()
            return
        if itself:
            raise Damage("its log was cut short")
        self._release()
        left = opened.log_left()
        kept = self._rename(left) if left else None
        self.damaged += 1
        _log.error(
            "%s: %s was deleted or replaced while in use%s; a new one begins unless another lies there",
            self.path, self._what, f", its log is kept as {kept}" if kept else "",
        )  # fmt: skip
        self._sound = False

    def _settle(self, err: Exception) -> None:
        """Begin a new file when this one is damaged; else raise."""
        if not _is_damage(err):
            raise self._unusable(err) from None
        self._release()
        self._sound = False
        if place_of(self.path) != self._place:
            return  # another process has moved it already
        kept = self._rename(ENDINGS)
        self.damaged += 1
        _log.error("%s: %s is damaged (%s); kept as %s, a new one begins", self.path, self._what, err, kept)

    def _rename(self, endings: tuple[str, ...]) -> Path:
        try:
            return move_aside(self.path, self._clock.now().wall_ns, endings)
        except OSError as failed:
            raise StoreError(
                f"{self.path}: is damaged and cannot be moved aside ({failed.strerror}); move it"
            ) from None

    def _unusable(self, err: Exception) -> StoreError:
        code = code_of(err) & 0xFF
        if code not in _HARMLESS:
            self._release()
            self._sound = self._sound and code in _ELSEWHERE
        mend = _MENDS.get(code, "look at its disk and its owner")
        return StoreError(f"{self.path}: {self._what} cannot be used ({err or 'out of memory'}); {mend}")

    def _release(self) -> None:
        with self._reading:
            opened, self._opened = self._opened, None
            if opened is not None:
                opened.close()


def look_into(path: Path, what: str, work: Work[T]) -> T:
    """Read a file that another process may have open, changing nothing in it. Raises StoreError."""
    if path.is_dir():
        raise StoreError(f"{path}: is a folder; name the file in it that is {what}, *.sqlite")
    if not path.is_file():
        raise StoreError(f"{path}: there is no such file; name another, or the settings that lead to it")
    try:
        db = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_S, isolation_level=None
        )
        with contextlib.closing(db):
            return _within(db, "BEGIN", work)
    except _FAULTS as err:
        mend = "its owner and root may read it; a file of an earlier version is brought up to date by a start"
        raise StoreError(f"{path}: {what} cannot be read ({err or 'out of memory'}); {mend}") from None


def _is_damage(err: Exception) -> bool:
    if isinstance(err, Damage | UnicodeDecodeError) or code_of(err) == _CUT_SHORT:
        return True
    return code_of(err) & 0xFF in _DAMAGED or "decode to UTF-8" in str(err)


def _within(db: sqlite3.Connection, begin: str, work: Work[T]) -> T:
    db.execute(begin)
    try:
        done = work(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return done
