"""The journal: nothing acknowledged is lost, nothing is kept twice, and it stays within its bounds."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from collector.journal.batch_log import Entry
from collector.journal.journal import Journal
from linkgauge.clock import NS_PER_S
from tests.collector.journals import KEEP_NS, append, connections, numbers, open_journal
from tests.collector.world import StillClock, until


def test_above_its_bound_the_oldest_go_counted_and_the_writer_goes_on(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, max_bytes=1000)
    journal.register(["archive"])
    for number in range(1, 21):
        assert append(journal, number, b"x" * 100)
    assert numbers(journal) == list(range(11, 21))
    assert (journal.dropped, journal.octets) == (10, 1000)
    assert not append(journal, 1)
    assert append(journal, 21, b"x" * 5000)
    assert numbers(journal) == [21]
    journal.close()
    journal = open_journal(tmp_path, max_bytes=1000)
    assert (journal.drops, journal.octets) == ({"size": 20, "age": 0, "damage": 0}, 5000)


def test_what_all_have_goes_before_anything_is_lost(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, max_bytes=1000)
    journal.register(["archive"])
    for number in range(1, 11):
        append(journal, number, b"x" * 100)
    journal.advance("archive", 5)
    append(journal, 11, b"x" * 400)
    assert journal.dropped == 0
    assert numbers(journal) == [6, 7, 8, 9, 10, 11]


def test_seqs_of_a_new_journal_are_above_those_of_one_before(tmp_path: Path) -> None:
    """What the archive and the roll-ups have of the one before would otherwise count as written last."""
    before, clock = 0, StillClock()
    for folder in ("first", "second"):
        journal = Journal(tmp_path / folder / "journal.sqlite", 10**9, KEEP_NS, clock)
        assert append(journal, 1)
        (entry,) = journal.read(before, 9, 99)
        before = entry.seq + 250_000  # what it comes to in a day
        clock.wall_ns += NS_PER_S


def test_old_keys_go_at_last(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.register(["archive"])
    journal.append("j1", "boot1", 1, 0, 1, b"x")
    journal.append("j1", "boot2", 1, 0, KEEP_NS + 5, b"x")
    journal.trim()
    assert not journal.append("j1", "boot2", 1, 0, KEEP_NS + 5, b"x")
    assert journal.append("j1", "boot1", 1, 0, KEEP_NS + 5, b"x")


def test_bodies_that_wait_too_long_go_counted(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite", 10**9, 10**9, body_ns=100)
    journal.register(["archive", "influxdb"])
    for number, at_ns in ((1, 10), (2, 20), (3, 30), (4, 125)):
        append(journal, number, received_ns=at_ns)
    assert numbers(journal) == [3, 4]
    assert journal.drops == {"size": 0, "age": 2, "damage": 0}
    journal.advance("archive", 4)
    append(journal, 5, received_ns=140)
    assert numbers(journal) == [4, 5]
    assert journal.drops["age"] == 3
    assert not append(journal, 1)


def test_callers_at_once_share_a_commit(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    commits: list[int] = []
    plain = journal._file.transact
    entered, go_on = threading.Event(), threading.Event()

    def slow(work: Any) -> Any:
        commits.append(1)
        entered.set()
        assert go_on.wait(60)
        return plain(work)

    journal._file.transact = slow  # type: ignore[method-assign]  # to hold the first one in its commit
    with ThreadPoolExecutor(30) as pool:
        first = pool.submit(append, journal, 1)
        assert entered.wait(60)
        others = [pool.submit(append, journal, number // 2 + 2) for number in range(20)]
        until(lambda: len(journal._joint._line) == 20)
        go_on.set()
        assert first.result()
        assert sum(other.result() for other in others) == 10
    assert len(commits) == 2
    assert sorted(numbers(journal)) == list(range(1, 12))


OLD = """
CREATE TABLE batch(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, agent TEXT NOT NULL, boot TEXT NOT NULL, number INTEGER NOT NULL,
  created_ns INTEGER NOT NULL, received_ns INTEGER NOT NULL, UNIQUE(agent, boot, number));
CREATE TABLE body(
  seq INTEGER PRIMARY KEY, received_ns INTEGER NOT NULL, octets INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE cursor(sink TEXT PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE fact(name TEXT PRIMARY KEY, value NOT NULL);
INSERT INTO fact VALUES('identity', 'abcdef'), ('dropped', 4);
INSERT INTO batch(seq, agent, boot, number, created_ns, received_ns) VALUES
  (1, 'j1', 'b', 1, 5, 10), (2, 'j2', 'b', 1, 5, 11), (4, 'j1', 'b', 2, 6, 12), (5, 'j1', 'b', 4, 7, 13);
INSERT INTO body VALUES (4, 12, 3, x'616263'), (5, 13, 2, x'6465');
INSERT INTO cursor VALUES('archive', 4);
"""


def test_a_file_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        db.executescript(OLD)
    db.close()
    journal = Journal(tmp_path / "journal.sqlite", 10**9, 10**9)
    assert (journal.identity, journal.drops["size"], journal.octets) == ("abcdef", 4, 5)
    assert journal.read(0, 9, 99) == [
        Entry(4, "j1", "b", 2, 6, 12, b"abc"),
        Entry(5, "j1", "b", 4, 7, 13, b"de"),
    ]
    journal.register(["archive"])
    assert journal.backlog("archive") == (1, 13)
    seen = [not journal.append("j1", "b", number, 8, 14, b"f") for number in (1, 2, 3, 4, 5)]
    assert seen == [True, True, False, True, False]
    assert not journal.append("j2", "b", 1, 8, 14, b"f")
    assert [entry.seq for entry in journal.read(5, 9, 99)] == [6, 7]


def test_counting_and_trimming_look_at_little_of_a_long_backlog(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.register(["archive", "influxdb"])
    append(journal, 1)
    journal.close()
    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
            " INSERT INTO entry SELECT i, 'j1', 'boot', i, 0, i, '', 4, 'body' FROM n"
        )
        db.execute("UPDATE fact SET value = 100000 WHERE name = 'last'")
        db.execute("UPDATE span SET last = 100000")
    db.close()
    journal = open_journal(tmp_path)
    journal.register(["archive", "influxdb"])
    journal.advance("archive", 99_000)
    assert journal.backlog("archive") == (1000, 99_001)
    assert journal.backlog("influxdb") == (100_000, 1)
    assert _steps(journal, lambda: journal.backlog("influxdb")) <= 200
    assert _steps(journal, journal.trim) <= 3000
    assert _steps(journal, lambda: append(journal, 100_001, received_ns=5)) <= 3000
    assert journal.octets == 4 * 100_001


def _steps(journal: Journal, call: Callable[[], object]) -> int:
    """Instructions of SQLite's machine that the call takes, to the next hundred."""
    seen = 0

    def count() -> int:
        nonlocal seen
        seen += 100
        return 0

    for db in (connections(journal).writer, connections(journal).reader):
        db.set_progress_handler(count, 100)
    call()
    for db in (connections(journal).writer, connections(journal).reader):
        db.set_progress_handler(None, 0)
    return seen
