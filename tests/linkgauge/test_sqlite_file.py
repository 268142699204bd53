"""A SQLite file of ours: what is promised holds, whatever is done to the file."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkgauge.aside import moved_aside
from linkgauge.errors import StoreError
from linkgauge.sqlite_file import SqliteFile
from tests.linkgauge.sqlite_files import SCHEMA, add, open_file, words


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteFile]:
    made = open_file(tmp_path)
    yield made
    made.close()


def test_what_returned_is_there_after_reopening_and_a_failed_work_leaves_nothing(tmp_path: Path) -> None:
    first = open_file(tmp_path)
    add(first, b"a")

    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO word(text) VALUES('half')")
        raise KeyError("stop")

    with pytest.raises(KeyError):
        first.transact(half)
    add(first, b"b")
    first.close()
    with pytest.raises(StoreError, match=r"x\.db: the book of words cannot be used \(it is closed\)"):
        add(first)
    again = open_file(tmp_path)
    assert words(again) == [b"a", b"b"]
    again.close()


def test_a_read_does_not_wait_for_a_write(file: SqliteFile) -> None:
    add(file)
    seen: list[int] = []

    def slow(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO word(text) VALUES('more')")
        reader = threading.Thread(target=lambda: seen.append(len(words(file))))
        reader.start()
        reader.join(60)

    file.transact(slow)
    assert seen == [1]
    assert len(words(file)) == 2


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        file = open_file(tmp_path)
        add(file)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        file.close()
        (tmp_path / "x.db").chmod(0o644)
        file = open_file(tmp_path)
        add(file)
        assert (tmp_path / "x.db").stat().st_mode & 0o777 == 0o600
        file.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("x.db", "x.db-wal", "x.db-shm"), 0o600)


def test_two_processes_that_write_open_and_close_find_no_damage(tmp_path: Path) -> None:
    """Another process opens the file again and again, and begins the log again, while this one writes."""
    file = open_file(tmp_path)
    add(file)
    other = subprocess.Popen([sys.executable, "-c", OTHER, str(tmp_path / "x.db"), SCHEMA])
    added = 1
    while other.poll() is None:
        add(file, os.urandom(3000))
        added += 1
        with contextlib.suppress(subprocess.TimeoutExpired):
            other.wait(0.01)  # a writer without a pause would keep the other from its turn
    assert other.returncode == 0
    assert len(words(file)) == added + 24
    assert file.damaged == 0
    assert moved_aside(file.path) == []
    file.close()


OTHER = """
import contextlib, sqlite3, sys
from pathlib import Path
from linkgauge.sqlite_file import SqliteFile
for at in range(24):
    file = SqliteFile(Path(sys.argv[1]), sys.argv[2], "x")
    file.transact(lambda db: db.execute("INSERT INTO word(text) VALUES('other')"))
    file.transact(lambda db: None)
    with contextlib.suppress(sqlite3.Error):
        file._opened.save_log() if at % 3 == 0 else None
    file.transact(lambda db: None)
    assert file.damaged == 0
    file.close()
"""


def test_a_read_only_file_a_full_one_and_a_lock_are_sentences(file: SqliteFile) -> None:
    add(file, b"a")
    assert file._opened is not None
    file._opened.writer.execute("PRAGMA max_page_count = 8")
    with pytest.raises(StoreError, match=r"x\.db: the book of words cannot be used \(.*full\); make room"):
        add(file, b"x" * 100_000)
    file._opened.writer.execute("PRAGMA max_page_count = 100000")
    file._opened.writer.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="let its owner write the file"):
        add(file)
    assert words(file) == [b"a"]
    assert add(file) == 2  # it was opened again
    file._opened.writer.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(file.path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another process holds it"):
        add(file)
    other.rollback()
    other.close()
    assert add(file) == 3
    assert file.damaged == 0


def test_a_place_that_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be made .*; name another data_dir"):
        add(open_file(tmp_path / "file"))
    (tmp_path / "x.db").mkdir()
    with pytest.raises(StoreError, match="let its owner write"):
        add(open_file(tmp_path))


def test_what_is_kept_free_is_asked_for(tmp_path: Path) -> None:
    file = open_file(tmp_path, keep_free_bytes=2**62)

    def add(db: sqlite3.Connection) -> None:
        file.check_space(10)

    with pytest.raises(StoreError, match=r"x\.db: the disk has \d+ MB left, \d+ MB are kept free; make room"):
        file.transact(add)
    file.keep_free_bytes = 0
    file.transact(add)
    file.close()


@pytest.mark.root
def test_a_disk_that_becomes_read_only_and_then_full_stops_nothing_for_good(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], check=False).returncode:
        pytest.skip("needs mount -t tmpfs")
    try:
        file = open_file(disk)
        add(file, b"a")
        file.close()
        file = open_file(disk)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for _ in range(2):
            with pytest.raises(StoreError, match=r"x\.db: the book of words cannot be"):
                add(file, b"b")
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        add(file, b"b")
        with (disk / "other").open("wb", buffering=0) as other, contextlib.suppress(OSError):
            while True:
                other.write(bytes(4096))
        with pytest.raises(StoreError, match="make room on its disk"):
            _add_many(file)
        (disk / "other").unlink()
        add(file, b"c")
        assert {b"a", b"b", b"c"} <= set(words(file))
        assert file.damaged == 0
        file.close()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _add_many(file: SqliteFile) -> None:
    for _ in range(300):
        add(file, os.urandom(3000))


def test_a_commit_is_synced_before_it_returns(file: SqliteFile) -> None:
    add(file)
    assert file._opened is not None
    writer = file._opened.writer
    modes = [writer.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert modes == ["wal", 2]


LIMITED = """
import os, resource, sys
from pathlib import Path
from linkgauge.errors import StoreError
from linkgauge.sqlite_file import SqliteFile
file = SqliteFile(Path(sys.argv[1]), sys.argv[2], "x")
add = lambda: file.transact(lambda db: db.execute("INSERT INTO word(text) VALUES(?)", (os.urandom(3000),)))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
stored = refused = 0
for _ in range(100):
    try:
        add()
        stored += 1
    except StoreError as err:
        refused += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
add()
rows = file.read(lambda db: db.execute("SELECT count(*) FROM word").fetchone()[0])
print(stored > 5, refused > 5, rows == stored + 1, file.damaged)
"""


def test_a_bound_on_the_files_size_is_a_full_disk(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", LIMITED, str(tmp_path / "x.db"), SCHEMA]
    result = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert result.stdout == "True True True 0\n"
