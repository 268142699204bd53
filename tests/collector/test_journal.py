"""The journal: nothing acknowledged is lost, nothing is kept twice, and it stays within its bounds."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from collector.journal import Journal
from linkgauge.errors import StoreError
from tests.collector.world import until

KEEP_NS = 1000


def _journal(folder: Path, max_bytes: int = 10**9) -> Journal:
    return Journal(folder / "journal.sqlite", max_bytes, KEEP_NS)


def _append(journal: Journal, number: int, body: bytes = b"body", received_ns: int = 1) -> bool:
    return journal.append("j1", "boot", number, 0, received_ns, body)


def _numbers(journal: Journal, after: int = 0) -> list[int]:
    return [entry.number for entry in journal.read(after, 1000, 10**9)]


def test_a_second_copy_is_known_also_after_reopening(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    assert _append(journal, 1)
    assert not _append(journal, 1)
    identity = journal.identity
    journal.close()
    journal = _journal(tmp_path)
    assert not _append(journal, 1, b"other")
    assert journal.append("j1", "boot2", 1, 0, 1, b"x")
    assert journal.append("j2", "boot", 1, 0, 1, b"x")
    assert journal.identity == identity
    assert [entry.body for entry in journal.read(0, 9, 99)] == [b"body", b"x", b"x"]


def test_reading_is_in_order_and_bounded(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    for number in range(1, 6):
        _append(journal, number, b"x" * 100)
    assert [entry.number for entry in journal.read(0, 2, 10**6)] == [1, 2]
    assert [entry.number for entry in journal.read(2, 9, 250)] == [3, 4]
    assert [entry.number for entry in journal.read(0, 9, 1)] == [1]
    assert journal.read(5, 9, 99) == []


def test_bodies_go_when_every_sink_has_them_and_keys_stay(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    journal.register(["archive", "influxdb"])
    for number in (1, 2, 3):
        _append(journal, number)
    journal.advance("archive", 3)
    journal.advance("influxdb", 1)
    journal.trim()
    assert _numbers(journal) == [2, 3]
    assert journal.backlog("influxdb") == (2, 1)
    assert journal.backlog("archive") == (0, None)
    assert not _append(journal, 1)
    assert journal.octets == 8


def test_old_keys_go_at_last(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    journal.register(["archive"])
    _append(journal, 1, received_ns=1)
    _append(journal, 2, received_ns=KEEP_NS + 5)
    journal.advance("archive", 2)
    journal.trim()
    assert not _append(journal, 2)
    assert _append(journal, 1)


def test_a_cursor_never_goes_back_and_survives(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    journal.register(["archive"])
    journal.advance("archive", 7)
    journal.advance("archive", 3)
    journal.close()
    journal = _journal(tmp_path)
    journal.register(["archive", "influxdb"])
    assert (journal.cursor("archive"), journal.cursor("influxdb"), journal.cursor("none")) == (7, 0, 0)


def test_above_its_bound_the_oldest_go_counted_and_the_writer_goes_on(tmp_path: Path) -> None:
    journal = _journal(tmp_path, max_bytes=1000)
    journal.register(["archive"])
    for number in range(1, 21):
        assert _append(journal, number, b"x" * 100)
    assert _numbers(journal) == list(range(11, 21))
    assert (journal.dropped, journal.octets) == (10, 1000)
    assert not _append(journal, 1)
    assert _append(journal, 21, b"x" * 5000)
    assert _numbers(journal) == [21]
    journal.close()
    journal = _journal(tmp_path, max_bytes=1000)
    assert (journal.dropped, journal.octets) == (20, 5000)


def test_what_all_have_goes_before_anything_is_lost(tmp_path: Path) -> None:
    journal = _journal(tmp_path, max_bytes=1000)
    journal.register(["archive"])
    for number in range(1, 11):
        _append(journal, number, b"x" * 100)
    journal.advance("archive", 5)
    _append(journal, 11, b"x" * 400)
    assert journal.dropped == 0
    assert _numbers(journal) == [6, 7, 8, 9, 10, 11]


def test_many_threads_append_at_once(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda at: _append(journal, at // 2 + 1), range(200)))
    assert sum(added) == 100
    assert sorted(_numbers(journal)) == list(range(1, 101))
    assert journal.octets == 400


def test_a_damaged_file_is_moved_aside_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = _journal(tmp_path)
    _append(journal, 1)
    identity = journal.identity
    journal.close()
    (tmp_path / "journal.sqlite").write_bytes(b"no database at all" * 100)
    journal = _journal(tmp_path)
    assert _append(journal, 1)
    assert journal.identity != identity
    assert len(list(tmp_path.glob("journal.sqlite.damaged-*"))) == 1
    assert sum("journal_damaged" in record.getMessage() for record in caplog.records) == 1


def test_a_file_damaged_in_its_middle_is_found_at_open(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    for number in range(1, 200):
        _append(journal, number, os.urandom(500))
    journal.close()
    path = tmp_path / "journal.sqlite"
    data = bytearray(path.read_bytes())
    data[8192:40_000] = bytes(31_808)
    path.write_bytes(data)
    assert _numbers(_journal(tmp_path)) == []
    assert list(tmp_path.glob("journal.sqlite.damaged-*"))


def _limit_pages(journal: Journal) -> None:
    """Make SQLite find its disk full."""
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count={pages + 4}")


def test_a_full_disk_is_a_sentence_and_what_was_there_stays(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    _append(journal, 1)
    _limit_pages(journal)
    with pytest.raises(StoreError, match=r"journal\.sqlite: .*full.*make room on its disk"):
        _append(journal, 2, b"x" * 100_000)
    assert _numbers(journal) == [1]
    assert journal.octets == 4
    assert _append(journal, 2, b"small")
    journal._db.execute("PRAGMA max_page_count=1000000")
    assert _append(journal, 3, b"x" * 100_000)


def _fill(journal: Journal) -> int:
    """Append until the disk is full; returns how many were acknowledged."""
    for number in range(1, 1000):
        try:
            _append(journal, number, os.urandom(30_000))
        except StoreError:
            return number - 1
    pytest.fail("the disk did not become full")


@pytest.mark.root
def test_a_really_full_disk(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        journal = _journal(folder)
        kept = _fill(journal)
        assert kept > 3
        journal.close()
        subprocess.run(["mount", "-o", "remount,size=4m", str(folder)], check=True)
        journal = _journal(folder)
        assert _numbers(journal) == list(range(1, kept + 1))
        assert _append(journal, kept + 1, os.urandom(30_000))
        journal.close()
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_read_only_file_is_a_sentence(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    journal._db.execute("PRAGMA query_only=ON")
    with pytest.raises(StoreError, match="let its owner write it"):
        _append(journal, 1)


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="name another data_dir"):
        Journal(tmp_path / "file" / "data" / "journal.sqlite", 1, 1)


_CHILD = """
import sys
from pathlib import Path
from collector.journal import Journal
journal = Journal(Path(sys.argv[1]), 10**9, 10**9)
number = int(sys.argv[2])
while True:
    journal.append("j1", "boot", number, 0, 1, b"x" * 3000)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


def test_kill_in_mid_run_loses_and_doubles_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    told = 0
    for _ in range(3):
        output = tmp_path / "told"
        with output.open("wb") as file:
            child = subprocess.Popen([sys.executable, "-c", _CHILD, str(path), str(told + 1)], stdout=file)
            until(lambda output=output: output.stat().st_size > 200)  # type: ignore[misc]  # mypy: lambda default
            child.send_signal(signal.SIGKILL)
            child.wait()
        told = max(int(line) for line in output.read_text().splitlines(keepends=True) if line.endswith("\n"))
        journal = Journal(path, 10**9, 10**9)
        numbers = _numbers(journal)
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) in (told, told + 1)
        assert journal.octets == 3000 * len(numbers)
        journal.close()
        told = len(numbers)
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_all_its_files_are_for_owner_and_group_only(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        journal = Journal(tmp_path / "j.db", 10**9, 10**9)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        journal.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("j.db", "j.db-wal", "j.db-shm"), 0o640)
