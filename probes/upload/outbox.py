"""What waits for the collector: batches in one SQLite file, deleted only after the acknowledgement.

A batch gets its number and is stored in one transaction, on disk when `put` returns (linkgauge.sqlite_file
says what that promises). Every batch keeps one row, the ledger, without its body once it is acknowledged: it
says what became of each number, so that the stores can be compared with what was produced. Bounded by octets
and by age: the oldest waiting batches are dropped, counted. Bodies are packed (linkgauge.packing). A full or
read-only disk raises StoreError and is counted; a damaged file is moved aside and a new one begun: what
waited in it counts as dropped when that was known, and no number is given twice. No seq either, while the
process lives: an answer to a batch of the lost file settles no batch of the new one.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from linkgauge.clock import Clock, SystemClock
from linkgauge.errors import StoreError
from linkgauge.packing import ZSTD, pack
from linkgauge.sqlite_file import SqliteFile, checked
from probes.upload import outbox_file as tables
from probes.upload.outbox_file import State as State
from probes.upload.outbox_file import Totals, Whole

KEEP_FREE_BYTES = 16 * 1024 * 1024
_COLUMNS = "seq, boot, number, created_ns, body, rows"


@dataclass(frozen=True, slots=True)
class Row:
    """A batch; body: packed; rows: of all its tables."""

    seq: int
    boot: str
    number: int
    created_ns: int
    body: bytes
    rows: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What waits now (oldest_ns: when the oldest was created), and totals since the file was begun.

    unstored: batches lost because they could not be written, and so have no number; they move to `dropped`
    when the file can be written again. damaged: times a file was found damaged since this process began.
    """

    waiting: int = 0
    waiting_octets: int = 0
    oldest_ns: int | None = None
    produced: int = 0
    acknowledged: int = 0
    dropped: int = 0
    rejected: int = 0
    unstored: int = 0
    damaged: int = 0


class Outbox:
    """The outbox file at `path`; safe to use from several threads; opened when first needed.

    max_bytes: bodies that may wait. max_age_ns: how old a waiting batch may be. keep_free_bytes: nothing is
    written when the disk has less than this left. Methods raise StoreError.
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
        self._max_bytes, self._max_age_ns = max_bytes, max_age_ns
        self._clock = clock or SystemClock()
        self._file = SqliteFile(path, tables.SCHEMA, "the outbox", self._clock, keep_free_bytes, self._begin)
        self._putting = threading.Lock()
        self._unstored = self._seen_damaged = self._last_seq = 0
        self._numbered: dict[str, int] = {}
        self._totals: Totals | None = None
        self._known: tuple[Totals, int | None] = (Totals(), None)

    def put(self, boot: str, encode: Callable[[int], bytes], rows: int, created_ns: int) -> int:
        """Number and store a batch; returns the number, from 1 in each boot, when it is on disk.

        encode: called with the number, gives the body. Raises StoreError; the batch is then lost and counted.
        """
        with self._putting:
            try:
                number = self._number(boot) + 1
                body = pack(encode(number))
                self._change(lambda db: self._insert(db, boot, number, created_ns, rows, body))
            except StoreError:
                self._unstored += 1
                raise
            self._unstored, self._numbered = 0, {boot: number}
            return number

    def waiting(
        self,
        limit: int,
        from_ns: int | None = None,
        before_ns: int | None = None,
        skip: Collection[int] = frozenset(),
    ) -> list[Row]:
        """At most `limit` batches that wait, those created first before others; they stay.

        from_ns, before_ns: created since the one and before the other. skip: seqs that are not wanted.
        """
        self._expire()
        query = (
            "SELECT seq FROM batch WHERE state = 0 AND created_ns >= ? AND created_ns < ? "
            "ORDER BY created_ns, seq"
        )
        span = (from_ns or 0, 1 << 62 if before_ns is None else before_ns)

        def look(db: sqlite3.Connection) -> list[Row]:
            chosen: list[int] = []
            for (seq,) in db.execute(query, span):
                if len(chosen) >= limit:
                    break
                if seq not in skip:
                    chosen.append(seq)
            return [_row(db.execute(f"SELECT {_COLUMNS} FROM batch WHERE seq = ?", (seq,))) for seq in chosen]

        return self._file.read(look)

    def done(self, seqs: Iterable[int]) -> None:
        """The collector has them: delete their bodies, in one transaction.

        One that a bound dropped while it was on its way counts as acknowledged after all.
        """
        chosen = tuple(seqs)

        def settle(db: sqlite3.Connection) -> None:
            tables.settle(db, chosen, State.ACKNOWLEDGED)
            tables.arrived_after_all(db, chosen)

        self._change(settle)

    def reject(self, seq: int, sentence: str) -> None:
        """The collector will never take it: keep it as a dead letter with its words."""

        def bury(db: sqlite3.Connection) -> None:
            tables.settle(db, (seq,), State.REJECTED, sentence)
            tables.forget_letters(db)

        self._change(bury)

    def dead_letters(self) -> list[tuple[Row, str]]:
        """Rejected batches that are still kept, oldest first, with the collector's words."""
        query = f"SELECT {_COLUMNS}, sentence FROM batch WHERE state = 3 AND body NOT NULL ORDER BY seq"

        def look(db: sqlite3.Connection) -> list[tuple[Row, str]]:
            return [(_made(row[:-1]), checked(row[-1] or "", str)) for row in db.execute(query)]

        return self._file.read(look)

    def ledger(self) -> list[tuple[str, int, int, State]]:
        """(boot, number, rows, state) of every batch still in the ledger, oldest first."""
        query = "SELECT boot, number, rows, state FROM batch ORDER BY seq"

        def look(db: sqlite3.Connection) -> list[tuple[str, int, int, State]]:
            return [checked(row, tuple[str, int, int, State]) for row in db.execute(query)]

        return self._file.read(look)

    def counts(self) -> Counts:
        """Counters; the last known ones while the file cannot be read, which put and done tell."""
        with contextlib.suppress(StoreError):
            self._known = self._file.read(lambda db: (tables.totals(db), tables.oldest_ns(db)))
        known, oldest_ns = self._known
        return Counts(
            known.waiting, known.waiting_octets, oldest_ns, known.produced, known.acknowledged,
            known.dropped, known.rejected, self._unstored, self._file.damaged,
        )  # fmt: skip

    def close(self) -> None:
        """Close the file for good."""
        self._file.close()

    def _begin(self, db: sqlite3.Connection) -> None:
        carried = self._totals if self._file.damaged > self._seen_damaged else None
        self._seen_damaged = self._file.damaged
        self._last_seq = tables.begin(db, carried, self._last_seq)
        self._totals = tables.totals(db)

    def _number(self, boot: str) -> int:
        """The last number given in `boot`: a file begun anew knows nothing of it, and of a commit whose sync
        failed the file may know more than we: that batch is stored after all."""
        known = self._numbered.get(boot)
        found = self._file.read(lambda db: tables.last_number(db, boot))
        if known is None or found <= known:
            return known or found
        self._unstored = max(0, self._unstored - (found - known))
        return found

    def _insert(
        self, db: sqlite3.Connection, boot: str, number: int, created_ns: int, rows: int, body: bytes
    ) -> None:
        self._file.check_space(len(body))
        tables.drop_older(db, self._horizon_ns)
        self._last_seq = tables.insert(db, boot, number, created_ns, rows, body)
        tables.add(db, State.DROPPED, self._unstored)
        tables.drop_oldest(db, self._max_bytes)
        tables.forget(db)

    @property
    def _horizon_ns(self) -> int:
        return self._clock.now().wall_ns - self._max_age_ns

    def _expire(self) -> None:
        """Hold the bound on age also when nothing is put."""
        oldest_ns = self._file.read(tables.oldest_ns)
        if oldest_ns is not None and oldest_ns < self._horizon_ns:
            self._change(lambda db: tables.drop_older(db, self._horizon_ns))

    def _change(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Do `work`, and remember the totals, in case this file is lost."""

        def both(db: sqlite3.Connection) -> Totals:
            work(db)
            return tables.totals(db)

        self._totals = self._file.transact(both)


def _row(found: sqlite3.Cursor) -> Row:
    return _made(found.fetchone())


def _made(values: object) -> Row:
    seq, boot, number, created_ns, body, rows = checked(values, tuple[Whole, str, Whole, Whole, bytes, Whole])
    # versions before 0.4 kept bodies as they are
    return Row(seq, boot, number, created_ns, body if body.startswith(ZSTD) else pack(body), rows)
