"""The journal under faults: full disks, damage, kills; what was acknowledged is there, and it goes on."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from collector.health.metrics import Metrics
from collector.journal.journal import Journal
from collector.sinks.dead_letters import DeadLetters
from collector.sinks.pump import Pump
from collector.sinks.sink import Delivery
from linkgauge.aside import moved_aside
from linkgauge.errors import StoreError
from tests.collector.journals import KEEP_NS, append, connections, numbers, open_journal
from tests.collector.world import StillClock, body, health


def _fill(journal: Journal) -> int:
    """Append until the disk is full; returns how many were acknowledged."""
    for number in range(1, 1000):
        try:
            append(journal, number, os.urandom(30_000))
        except StoreError:
            return number - 1
    pytest.fail("the disk did not become full")


@pytest.mark.root
def test_a_really_full_disk(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        journal = open_journal(folder)
        kept = _fill(journal)
        assert kept > 3
        assert not append(journal, 1)  # what is there is known also now
        journal.close()
        subprocess.run(["mount", "-o", "remount,size=4m", str(folder)], check=True)
        journal = open_journal(folder)
        assert numbers(journal) == list(range(1, kept + 1))
        assert append(journal, kept + 1, os.urandom(30_000))
        journal.close()
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="name another data_dir"):
        Journal(tmp_path / "file" / "data" / "journal.sqlite", 1, 1)


def test_a_full_disk_is_a_sentence_and_what_was_there_stays(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    append(journal, 1)
    writer = connections(journal).writer
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count={pages + 4}")
    with pytest.raises(StoreError, match=r"journal\.sqlite: .*full.*make room on its disk"):
        append(journal, 2, b"x" * 100_000)
    assert numbers(journal) == [1]
    assert journal.octets == 4
    assert append(journal, 2, b"small")
    writer.execute("PRAGMA max_page_count=1000000")
    assert append(journal, 3, b"x" * 100_000)


def test_what_is_kept_free_is_asked_for_and_a_second_copy_is_known_all_the_same(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    append(journal, 1)
    journal.close()
    journal = Journal(tmp_path / "journal.sqlite", 10**9, KEEP_NS, keep_free_bytes=1 << 62)
    with pytest.raises(StoreError, match=r"journal\.sqlite: the disk has \d+ MB left.*make room"):
        append(journal, 2)
    assert not append(journal, 1)
    journal.register(["archive"])
    journal.advance("archive", 1)
    journal.trim()
    assert numbers(journal) == []


def test_a_failure_is_told_to_all_whose_rows_were_in_it(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    append(journal, 1)
    barrier = threading.Barrier(8)
    journal._file.keep_free_bytes = 1 << 62

    def add(number: int) -> str:
        barrier.wait(60)
        try:
            return str(append(journal, number))
        except StoreError as err:
            return str(err)

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(add, range(2, 10)))
    assert all("make room on its disk" in words for words in told)
    assert numbers(journal) == [1]
    journal._file.keep_free_bytes = 0
    assert append(journal, 2)


def _destroy(journal: Journal) -> None:
    """Make the file on disk no database, with nothing of it left in memory."""
    writer = connections(journal).writer
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    writer.execute("PRAGMA shrink_memory")
    journal.path.write_bytes(b"no database at all" * 1000)


@pytest.mark.parametrize("way", ["deleted", "overwritten"])
def test_damaged_in_mid_run_it_goes_on_under_its_name(
    tmp_path: Path, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    journal = open_journal(tmp_path)
    journal.register(["archive", "influxdb"])
    for number in range(1, 6):
        append(journal, number)
    journal.advance("archive", 5)
    journal.advance("influxdb", 2)
    identity = journal.identity
    journal.path.unlink() if way == "deleted" else _destroy(journal)
    assert append(journal, 6)
    assert journal.identity == identity
    assert journal.damaged == 1
    assert journal.drops == {"size": 0, "age": 0, "damage": 3}
    (entry,) = journal.read(5, 9, 999)  # what a pump asks that has taken all up to 5
    assert entry.number == 6
    assert entry.seq > 5
    assert journal.backlog("archive")[0] == journal.backlog("influxdb")[0] == 1
    assert 5 <= journal.cursor("archive") < entry.seq  # so what the archive has of before is not swept away
    assert len(caplog.records) == 1
    journal.close()
    journal = open_journal(tmp_path)
    assert (journal.identity, journal.drops["damage"]) == (identity, 3)
    assert [each.seq for each in journal.read(0, 9, 999)] == [entry.seq]


def test_a_pump_goes_on_with_a_new_file(tmp_path: Path) -> None:
    """Its place in the log is from the old one."""
    journal, taken = open_journal(tmp_path), list[int]()

    class Sink:
        name, tables = "sink", None

        def write(self, entries: Sequence[Delivery]) -> None:
            taken.extend(entry.number for entry in entries)

        def close(self) -> None: ...

    journal.register(["sink"])
    dead = DeadLetters(tmp_path / "dead.sqlite")
    pump = Pump(Sink(), journal, dead, StillClock(), Metrics(), trim=journal.trim)
    for number in range(1, 7):
        journal.append("j1", "b", number, 1, 1, body("j1", number, health("j1"), boot="b"))
        if number == 4:
            _destroy(journal)
        pump.step()
    for _ in range(5):
        pump.step()
    assert pump.trouble is None
    assert taken == [1, 2, 3, 5, 6] or taken == [1, 2, 3, 4, 5, 6]
    assert journal.damaged == 1
    assert journal.backlog("sink") == (0, None)
    assert journal.drops["damage"] == 6 - len(taken)
    dead.close()


def test_an_older_file_in_its_place_keeps_seqs_growing(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.register(["archive"])
    append(journal, 1)
    with sqlite3.connect(journal.path) as db:
        db.execute("VACUUM INTO ?", (str(tmp_path / "backup"),))
    db.close()
    for number in range(2, 9):
        append(journal, number)
    os.replace(tmp_path / "backup", journal.path)
    assert append(journal, 9)
    assert [entry.number for entry in journal.read(8, 9, 99)] == [9]


def test_damaged_at_start_it_gets_a_new_name_and_higher_seqs(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    append(journal, 1)
    identity = journal.identity
    journal.close()
    (tmp_path / "journal.sqlite").write_bytes(b"no database at all" * 100)
    journal = Journal(tmp_path / "journal.sqlite", 10**9, KEEP_NS)
    assert append(journal, 1)
    assert journal.identity != identity
    assert journal.read(0, 9, 99)[0].seq > 10**15
    assert len(moved_aside(journal.path)) == 1


CHILD = """
import sys, threading
from pathlib import Path
from collector.journal.journal import Journal
journal = Journal(Path(sys.argv[1]), 10**9, 10**9)
journal.register(["archive"])
def work(agent):
    number = int(sys.argv[2])
    while True:
        journal.append(agent, "boot", number, 0, 1, b"x" * 3000)
        print(f"{agent} {number}\\n", end="", flush=True)
        number += 1
for agent in ("j1", "j2", "j3"):
    threading.Thread(target=work, args=(agent,)).start()
"""


def test_a_kill_at_any_instant_loses_and_doubles_nothing(tmp_path: Path) -> None:
    path, chance, told = tmp_path / "journal.sqlite", random.Random(11), set[tuple[str, int]]()
    rounds, begin = 20, 1
    for _ in range(rounds):
        arguments = [sys.executable, "-c", CHILD, str(path), str(begin)]
        child = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(chance.randrange(1, 8))]
        killer = threading.Timer(chance.uniform(0, 0.01), child.kill)
        killer.start()
        lines += [line for line in child.stdout if line.endswith("\n")]
        child.stdout.close()
        child.wait()
        killer.join()
        told |= {(line.split()[0], int(line.split()[1])) for line in lines}
        begin = max(number for _, number in told) + 10
    journal = Journal(path, 10**9, 10**9)
    entries = journal.read(0, 10**6, 10**12)
    keys = [(entry.agent, entry.number) for entry in entries]
    assert len(set(keys)) == len(keys)
    assert told <= set(keys)
    assert len(set(keys) - told) <= 3 * rounds  # on disk, but killed before it could say so
    assert [entry.seq for entry in entries] == list(range(entries[0].seq, entries[0].seq + len(entries)))
    assert journal.octets == 3000 * len(entries)
    assert not journal.append("j1", "boot", 1, 0, 1, b"")
    assert journal.damaged == 0
    journal.close()


@pytest.mark.parametrize("seed", range(15))
def test_flipped_octets_never_stop_it(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    journal = open_journal(tmp_path)
    journal.register(["archive"])
    for number in range(1, 40):
        append(journal, number, chance.randbytes(chance.choice((20, 3000))))
    if chance.random() < 0.7:
        journal.close()
    part = Path(f"{journal.path}-wal")
    part = part if part.exists() and chance.random() < 0.5 else journal.path
    content = bytearray(part.read_bytes())
    for _ in range(chance.choice((1, 30, 300))):
        content[chance.randrange(len(content))] = chance.randrange(256)
    part.write_bytes(content)
    if journal._file._closed:
        journal = open_journal(tmp_path)
    done = 0
    for number in range(100, 106):
        with contextlib.suppress(StoreError):
            assert journal.append("j2", "boot", number, 0, 1, b"body")
            journal.register(["archive"])
            entries = journal.read(journal.cursor("archive"), 3, 10**6)
            journal.advance("archive", entries[-1].seq)
            assert journal.backlog("archive")[0] >= 0
            journal.trim()
            assert journal.octets >= 0
            done += 1
    assert done >= 4
    journal.close()
