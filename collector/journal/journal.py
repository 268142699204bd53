"""The journal: every batch that was acknowledged, on disk, once, until all sinks have it.

A batch is acknowledged after its commit has reached the disk (linkgauge.sqlite_file says what that promises);
batches that come at once share a commit. Keys (agent, boot, number) outlive the bodies, so a second copy is
known long after the first was forwarded. Bounded by octets and by age: the oldest bodies go first, counted by
reason in `drops`, which survives restarts.

Seqs of a new file begin at the wall clock's microseconds: the archive's and the roll-ups' files outlive a
journal, and tell by seqs what was written last.

A file that is damaged in mid-run is moved aside. The new one goes on with the same identity and with seqs
above all that were given, so (identity, seq) stays a name and a sink that waits for what comes after its last
gets it; what sinks had not taken counts as dropped. One found damaged at start, or gone, is begun anew with a
new identity. In both cases keys begin anew: a second copy of an old batch is then taken for a first.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from collector.journal import journal_file as tables
from collector.journal.batch_log import Entry, again_for
from collector.journal.joint_commit import JointCommit
from linkgauge.clock import NS_PER_US, Clock, SystemClock
from linkgauge.sqlite_file import SqliteFile

PAUSE_S = 0.001
"""Between the transactions of a trim: batches that come go first."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Brought:
    """A batch on its way into the journal; again: whether its key may have been there."""

    entry: Entry
    again: bool


class Journal:
    """See above. One value may be used by many threads. Methods raise StoreError naming the file.

    max_bytes: bodies kept at most. keep_ns: how long keys are kept; body_ns: how long bodies may wait for a
    sink; both counted back from the batch that came last. keep_free_bytes: nothing is taken when the disk has
    less.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        keep_ns: int,
        clock: Clock | None = None,
        body_ns: int = 1 << 62,
        keep_free_bytes: int = 0,
    ) -> None:
        self._max_bytes, self._keep_ns, self._body_ns = max_bytes, keep_ns, body_ns
        self._clock = clock or SystemClock()
        self._sinks: tuple[str, ...] = ()
        self._known = tables.Known(secrets.token_hex(6))
        self._next_key: tables.Key = ("", "", 0)
        self._file = SqliteFile(path, tables.SCHEMA, "the journal", clock, keep_free_bytes, self._begin)
        self._joint = JointCommit(self._commit)
        self._file.transact(lambda db: None)

    @property
    def path(self) -> Path:
        return self._file.path

    @property
    def identity(self) -> str:
        """A word that names this journal."""
        return self._known.identity

    @property
    def last(self) -> int:
        """The seq that was given last."""
        return self._known.last

    def renew(self) -> None:
        """Take another identity and new seqs: this file is an older copy, what is named by the former ones
        is elsewhere already."""
        first_seq = self._clock.now().wall_ns // NS_PER_US
        self._change(lambda db: tables.renew(db, secrets.token_hex(6), first_seq))

    def append(
        self,
        agent: str,
        boot: str,
        number: int,
        created_ns: int,
        received_ns: int,
        body: bytes,
        via: str = "",
    ) -> bool:
        """Keep a batch; True after the commit, False when its key was already there."""
        entry = Entry(0, agent, boot, number, created_ns, received_ns, body, via)
        return self._joint.add(_Brought(entry, again=False))

    def requeue(self, agent: str, boot: str, number: int, body: bytes, sink: str) -> None:
        """A dead letter of `sink` comes again under a new seq; every sink sees whose it was."""
        now_ns = self._clock.now().wall_ns
        self._joint.add(
            _Brought(Entry(0, agent, boot, number, now_ns, now_ns, body, again_for(sink)), again=True)
        )

    def read(self, after_seq: int, max_batches: int, max_octets: int) -> list[Entry]:
        """Batches after `after_seq` in order; at least one when there is one, else within both bounds."""
        return self._file.read(lambda db: tables.read(db, after_seq, max_batches, max_octets))

    def register(self, sinks: Sequence[str]) -> None:
        """Name all sinks whose cursors hold bodies back: a new one begins with the oldest, others end."""
        self._sinks = tuple(sinks)
        self._change(lambda db: tables.keep_cursors(db, self._sinks))

    def cursor(self, sink: str) -> int:
        """The seq of the last batch that the sink has taken, 0 when none."""
        return self._file.read(lambda db: tables.cursor(db, sink))

    def advance(self, sink: str, seq: int) -> None:
        """The sink has taken everything up to `seq`; never goes back."""
        self._change(lambda db: tables.move_cursor(db, sink, seq))

    def trim(self) -> None:
        """Forget bodies that all registered sinks have or that are too old, and keys older than keep_ns."""
        while self._change(self._forget_some):
            time.sleep(PAUSE_S)

    def backlog(self, sink: str) -> tuple[int, int | None]:
        """Batches that the sink has not taken, and when the oldest of them came, Unix ns."""
        return self._file.read(lambda db: tables.backlog(db, sink))

    @property
    def drops(self) -> dict[str, int]:
        """Batches that some sink never got, since the journal was made: by size, age, damage."""
        return self._file.read(tables.dropped)

    @property
    def dropped(self) -> int:
        """All of `drops`."""
        return sum(self.drops.values())

    @property
    def damaged(self) -> int:
        """Times the file was found damaged since the process began."""
        return self._file.damaged

    @property
    def octets(self) -> int:
        """Size of all bodies."""
        return self._file.read(lambda db: tables.number(db, "octets"))

    def close(self) -> None:
        """Close the file for good."""
        self._file.close()

    def _begin(self, db: sqlite3.Connection) -> None:
        first_seq = self._clock.now().wall_ns // NS_PER_US
        self._known = tables.begin(db, self._known, self._sinks, first_seq)

    def _commit(self, brought: Sequence[_Brought]) -> list[bool]:
        return self._change(lambda db: self._take(db, brought))

    def _take(self, db: sqlite3.Connection, brought: Sequence[_Brought]) -> list[bool]:
        fresh = []
        for each in brought:
            entry = each.entry
            added = tables.note_key(db, entry.agent, entry.boot, entry.number, entry.received_ns)
            fresh.append(added or each.again)
        chosen = [each.entry for each, is_fresh in zip(brought, fresh, strict=True) if is_fresh]
        if not chosen:
            return fresh
        octets = sum(len(entry.body) for entry in chosen)
        self._file.check_space(octets)
        last = tables.number(db, "last")
        for seq, entry in enumerate(chosen, last + 1):
            tables.insert(db, seq, entry)
        tables.put_fact(db, "last", last + len(chosen))
        tables.put_fact(db, "octets", tables.number(db, "octets") + octets)
        tables.put_fact(db, "received_ns", chosen[-1].received_ns)
        self._make_room(db)
        return fresh

    def _make_room(self, db: sqlite3.Connection) -> None:
        """Hold the bounds: first what everybody has goes, then the oldest; never the newest."""
        self._forget_old(db)
        over = tables.number(db, "octets") - self._max_bytes
        if over > 0:
            most = max(over, tables.OCTETS_AT_ONCE)
            tables.forget(db, tables.taken(db, self._sinks), self._sinks, tables.SIZE, most)
            over = tables.number(db, "octets") - self._max_bytes
        if over > 0:
            tables.forget(db, tables.oldest_until(db, over), self._sinks, tables.SIZE, over)

    def _forget_some(self, db: sqlite3.Connection) -> bool:
        """Whether there may be more to forget."""
        gone = tables.forget(db, tables.taken(db, self._sinks), self._sinks, tables.SIZE)
        gone += self._forget_old(db)
        before_ns = tables.number(db, "received_ns") - self._keep_ns
        self._next_key = tables.forget_keys(db, self._next_key, before_ns)
        return gone > 0

    def _forget_old(self, db: sqlite3.Connection) -> int:
        before_ns = tables.number(db, "received_ns") - self._body_ns
        return tables.forget(db, tables.older_until(db, before_ns), self._sinks, tables.AGE)

    def _change(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work`, and remember what a new file must know, in case this one is lost."""

        def both(db: sqlite3.Connection) -> tuple[T, tables.Known]:
            return work(db), tables.known_of(db)

        done, self._known = self._file.transact(both)
        return done
