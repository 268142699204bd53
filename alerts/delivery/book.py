"""The book: what the evaluation remembers and what receivers have yet to be told, in one SQLite file.

The memory and the notices that come from the same window are written in one transaction, so that after a
crash either both are there or neither (linkgauge.sqlite_file says what that promises); a notice is marked
only after its receiver took it. A notice may therefore arrive twice and never goes missing, save by the
bound: above `max_waiting` undelivered notices of a receiver some are dropped (alerts.delivery.room says
which), named in the log and counted in `dropped`; and by damage: the file is moved aside, and who writes the
new one sees by `damaged` that nothing waits or stands in it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from alerts.delivery import rows as table
from alerts.delivery.room import Dropped
from alerts.delivery.rows import OUTCOMES as OUTCOMES
from alerts.delivery.rows import Notice as Notice
from alerts.delivery.rows import Stands as Stands
from alerts.delivery.rows import Whole
from linkgauge.sqlite_file import SqliteFile, checked

log = logging.getLogger(__name__)


class Book:
    """See above. One value may be used by many threads. Methods raise StoreError naming the file."""

    def __init__(self, path: Path, max_waiting: int = 10_000) -> None:
        self._max_waiting = max_waiting
        self._file = SqliteFile(
            path, table.SCHEMA, "the book of alerts", begin=lambda db: self._file.number_anew(db, "notice")
        )
        self._file.transact(lambda db: None)

    @property
    def damaged(self) -> int:
        """Times the file was found damaged or gone, and a new one begun in which nothing waits or stands."""
        return self._file.damaged

    def record(
        self,
        snapshot: bytes,
        notices: Sequence[tuple[str, bytes]],
        receivers: Sequence[str],
        now_ns: int,
        firing: Collection[str] | None = None,
        stands: Sequence[Stands] = (),
        wanted_by: Callable[[bytes], Collection[str]] | None = None,
        forgetful: Collection[str] = (),
    ) -> None:
        """Keep the memory, and each notice (alert, body) for each receiver, or nothing at all.

        firing: ids of what fires; nobody is told again that another does, None: as before. stands: what
        receivers are told again from now on, save what they refused for good. wanted_by: the receivers that
        want a notice, by its body; for the others it is only counted. None: all want all. forgetful: those
        that are told again and again; so they hear of what fires though its notice had to be dropped.
        """
        rows = [
            (receiver, alert, body, now_ns)
            for alert, body in notices
            for receiver in (receivers if wanted_by is None else wanted_by(body))
        ]
        unwanted = dict.fromkeys(receivers, len(notices))
        for receiver, *_ in rows:
            unwanted[receiver] -= 1

        def write(db: sqlite3.Connection) -> dict[str, Dropped]:
            db.execute("INSERT OR REPLACE INTO memory VALUES(1, ?)", (snapshot,))
            db.executemany("INSERT INTO notice(receiver, alert, body, created_ns) VALUES(?,?,?,?)", rows)
            for receiver, passed_by in unwanted.items():
                table.counted(db, receiver, table.PASSED_BY, passed_by)
            gone = table.make_room(db, receivers, self._max_waiting, now_ns, forgetful) if rows else {}
            db.execute("DELETE FROM standing WHERE until_ns < ?", (now_ns,))
            if firing is not None:
                table.only_firing(db, firing)
            table.stand_unless_refused(db, stands)
            return gone

        for receiver, some in self._file.transact(write).items():
            log.error(
                "receiver %s: more than %d notices wait for it; dropped: %s",
                receiver, self._max_waiting, some.sentence(),
            )  # fmt: skip

    def only_firing(self, firing: Collection[str]) -> None:
        """Tell nobody again that any but these fires."""
        self._file.transact(lambda db: table.only_firing(db, firing))

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
            return [Notice(*checked(row, tuple[Whole, str, bytes])) for row in rows]

        return self._file.read(look)

    def delivered(self, seqs: Sequence[int], now_ns: int, stands: Sequence[Stands] = ()) -> None:
        """The receiver took them, several as one digest; `stands`: what it has to be told again."""

        def write(db: sqlite3.Connection) -> None:
            for seq in seqs:
                receiver = table.done(db, seq, now_ns, table.DELIVERED)
                if receiver is not None and len(seqs) > 1:
                    table.tally(db, receiver, table.DIGESTED, 1)
            for each in stands:
                table.stand(db, each)

        self._file.transact(write)

    def given_up(self, seq: int, now_ns: int) -> None:
        """The receiver will never take it; what it took of the same alert before does not stand any more."""

        def write(db: sqlite3.Connection) -> None:
            table.done(db, seq, now_ns, table.GIVEN_UP)
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
                table.done(db, seq, now_ns, table.PASSED_BY)

        self._file.transact(write)

    def standing(self, receiver: str, now_ns: int) -> list[bytes]:
        """Bodies that the receiver is told again: what fires, and what ended a little while ago."""

        def look(db: sqlite3.Connection) -> list[bytes]:
            rows = db.execute(
                "SELECT body FROM standing WHERE receiver = ? AND (until_ns IS NULL OR until_ns >= ?)"
                " ORDER BY alert",
                (receiver, now_ns),
            )
            return [checked(row[0], bytes) for row in rows]

        return self._file.read(look)  # also on a disk that cannot be written, lest all that fires seems over

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
                table.done(db, seq, now_ns, table.DROPPED)
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
            done = dict(checked(rows, list[tuple[str, Whole]]))
            names = (table.DELIVERED, table.DIGESTED, table.GIVEN_UP, table.DROPPED, table.PASSED_BY)
            return {table.WAITING: waiting, **{name: done.get(name, 0) for name in names}}

        return self._file.read(look)

    def totals(self) -> dict[str, int]:
        """Notices by outcome since the book was made: waiting, delivered, given_up, dropped."""
        return self._file.read(table.totals)

    def close(self) -> None:
        self._file.close()
