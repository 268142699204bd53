"""A SQLite file of ours: what is promised holds, whatever is done to the file."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkgauge.aside import moved_aside
from linkgauge.errors import StoreError
from linkgauge.sqlite_file import Damage, SqliteFile, checked

SCHEMA = """
CREATE TABLE IF NOT EXISTS word(at INTEGER PRIMARY KEY AUTOINCREMENT, text BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_text ON word(text);
"""


def _file(folder: Path, keep_free_bytes: int = 0) -> SqliteFile:
    return SqliteFile(folder / "x.db", SCHEMA, "the book of words", keep_free_bytes=keep_free_bytes)


def _add(file: SqliteFile, text: bytes = b"word") -> int:
    def work(db: sqlite3.Connection) -> int:
        return int(db.execute("INSERT INTO word(text) VALUES(?)", (text,)).lastrowid or 0)

    return file.transact(work)


def _words(file: SqliteFile) -> list[bytes]:
    return file.read(lambda db: [row[0] for row in db.execute("SELECT text FROM word ORDER BY at")])


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteFile]:
    made = _file(tmp_path)
    yield made
    made.close()


def test_what_returned_is_there_after_reopening_and_a_failed_work_leaves_nothing(tmp_path: Path) -> None:
    first = _file(tmp_path)
    _add(first, b"a")

    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO word(text) VALUES('half')")
        raise KeyError("stop")

    with pytest.raises(KeyError):
        first.transact(half)
    _add(first, b"b")
    first.close()
    with pytest.raises(StoreError, match=r"x\.db: the book of words cannot be used \(it is closed\)"):
        _add(first)
    again = _file(tmp_path)
    assert _words(again) == [b"a", b"b"]
    again.close()


def test_a_read_does_not_wait_for_a_write(file: SqliteFile) -> None:
    _add(file)
    seen: list[int] = []

    def slow(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO word(text) VALUES('more')")
        reader = threading.Thread(target=lambda: seen.append(len(_words(file))))
        reader.start()
        reader.join(10)

    file.transact(slow)
    assert seen == [1]
    assert len(_words(file)) == 2


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        file = _file(tmp_path)
        _add(file)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        file.close()
        (tmp_path / "x.db").chmod(0o644)
        file = _file(tmp_path)
        _add(file)
        assert (tmp_path / "x.db").stat().st_mode & 0o777 == 0o600
        file.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("x.db", "x.db-wal", "x.db-shm"), 0o600)


def test_another_file_is_moved_aside_said_once_and_counted(
    file: SqliteFile, caplog: pytest.LogCaptureFixture
) -> None:
    file.path.write_bytes(b"no database" * 500)
    assert [_add(file), _add(file)] == [1, 2]
    (kept,) = moved_aside(file.path)
    assert kept.read_bytes() == b"no database" * 500
    assert [record.message for record in caplog.records] == [
        f"{file.path}: the book of words is damaged (file is not a database); "
        f"kept as {kept}, a new one begins"
    ]
    assert file.damaged == 1


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
def test_a_log_deleted_in_mid_run_loses_nothing(file: SqliteFile, ending: str) -> None:
    _add(file, b"a")
    os.unlink(f"{file.path}{ending}")
    _add(file, b"b")
    assert _words(file) == [b"a", b"b"]
    assert file.damaged == 0
    with sqlite3.connect(file.path) as other:
        assert other.execute("SELECT count(*) FROM word").fetchone() == (2,)
    other.close()


def test_a_file_deleted_in_mid_run_is_begun_anew(file: SqliteFile, caplog: pytest.LogCaptureFixture) -> None:
    _add(file, b"a")
    file.path.unlink()
    _add(file, b"b")
    assert _words(file) == [b"b"]
    assert file.damaged == 1
    assert ["deleted or replaced" in record.message for record in caplog.records] == [True]
    with sqlite3.connect(file.path) as other:
        assert other.execute("SELECT count(*) FROM word").fetchone() == (1,)
    other.close()


def test_a_file_replaced_in_mid_run_is_taken_as_it_is(file: SqliteFile, tmp_path: Path) -> None:
    _add(file, b"backup")
    with sqlite3.connect(file.path) as db:
        db.execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
    db.close()
    _add(file, b"later")
    os.replace(tmp_path / "backup.db", file.path)
    _add(file, b"new")
    assert _words(file) == [b"backup", b"new"]
    assert file.damaged == 1


def test_what_another_process_began_anew_stays(file: SqliteFile) -> None:
    """It found the damage first and has moved our file aside, with its log."""
    _add(file, b"old")
    for ending in ("", "-wal", "-shm"):
        os.rename(f"{file.path}{ending}", f"{file.path}.damaged-1{ending}")
    other = _file(file.path.parent)
    _add(other, b"its")
    _add(file, b"ours")
    assert _words(other) == _words(file) == [b"its", b"ours"]
    assert len(moved_aside(file.path)) == 1
    assert other.damaged == 0
    other.close()


def test_a_folder_deleted_in_mid_run_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    file = _file(folder)
    _add(file)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert _add(file) == 1
    file.close()


def test_a_log_cut_short_in_mid_run_is_damage(file: SqliteFile) -> None:
    for _ in range(50):
        _add(file, os.urandom(3000))
    os.truncate(f"{file.path}-wal", 50_000)
    _add(file, b"new")
    assert _words(file) == [b"new"]
    assert (file.damaged, len(moved_aside(file.path))) == (1, 1)


def test_a_log_that_another_process_began_again_is_none(file: SqliteFile) -> None:
    for _ in range(50):
        _add(file, os.urandom(3000))
    other = sqlite3.connect(file.path)
    assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    other.close()
    _add(file)
    assert len(_words(file)) == 51
    assert file.damaged == 0


def test_two_processes_that_write_open_and_close_find_no_damage(tmp_path: Path) -> None:
    """Another process opens the file again and again, and begins the log again, while this one writes."""
    file = _file(tmp_path)
    _add(file)
    other = subprocess.Popen([sys.executable, "-c", OTHER, str(tmp_path / "x.db"), SCHEMA])
    added = 1
    while other.poll() is None:
        _add(file, os.urandom(3000))
        added += 1
    assert other.returncode == 0
    assert len(_words(file)) == added + 24
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


def test_a_log_wrong_in_its_middle_is_found_at_open(tmp_path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path / "x.db")], check=False)
    assert child.returncode == -9
    log = tmp_path / "x.db-wal"
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 0xFF
    log.write_bytes(content)
    file = _file(tmp_path)
    _add(file, b"new")
    assert _words(file) == [b"new"]
    assert file.damaged == 1
    file.close()


CHILD = """
import os, signal, sys
from pathlib import Path
from linkgauge.sqlite_file import SqliteFile
schema = "CREATE TABLE IF NOT EXISTS word(at INTEGER PRIMARY KEY, text BLOB NOT NULL)"
file = SqliteFile(Path(sys.argv[1]), schema, "x")
for at in range(40):
    file.transact(lambda db: db.execute("INSERT INTO word(text) VALUES(?)", (os.urandom(2000),)))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_all_in_the_log_and_no_damage(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", CHILD, str(tmp_path / "x.db")], check=False)
    assert (tmp_path / "x.db-wal").stat().st_size > 80_000
    file = _file(tmp_path)
    assert len(_words(file)) == 40
    assert file.damaged == 0
    file.close()


def test_a_table_that_lost_a_column_is_damage(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as db:
        db.execute("CREATE TABLE word(at INTEGER PRIMARY KEY, test BLOB)")
    db.close()
    file = SqliteFile(tmp_path / "x.db", SCHEMA.splitlines()[1], "the book of words")
    assert _words(file) == []
    assert file.damaged == 1
    file.close()


@pytest.mark.parametrize("seed", range(40))
def test_octets_flipped_anywhere_never_stop_it(tmp_path: Path, seed: int) -> None:
    """Open or closed, in the file or its log: the next calls work, and raise at most StoreError."""
    chance = random.Random(seed)
    file = _file(tmp_path)
    for _ in range(60):
        _add(file, chance.randbytes(chance.choice((10, 300, 6000))))
    if chance.random() < 0.5:
        file.close()
    _harm(chance, tmp_path)
    if file._closed:
        file = _file(tmp_path)
    done = 0
    for _ in range(5):
        try:
            _words(file)
            file.transact(lambda db: db.execute("UPDATE word SET text = text || 'x' WHERE at % 7 = 3"))
            _add(file, b"new")
            done += 1
        except StoreError:
            continue
    assert done >= 3
    file.close()
    again = _file(tmp_path)
    assert again.damaged or b"new" in _words(again)
    again.close()


def _harm(chance: random.Random, folder: Path) -> None:
    """Flip octets of the file or its log, in one place or many, or cut it."""
    present = [path for path in (folder / "x.db", folder / "x.db-wal") if path.exists()]
    path = chance.choice([path for path in present if path.stat().st_size])
    with path.open("r+b") as raw:
        size = path.stat().st_size
        if chance.random() < 0.2:
            raw.truncate(chance.randrange(size))
            return
        for _ in range(chance.choice((1, 20, 400))):
            raw.seek(chance.randrange(size))
            raw.write(chance.randbytes(1))


def test_what_does_not_fit_is_damage_not_a_crash() -> None:
    assert checked((1, "a", b"b", None), tuple[int, str, bytes, int | None]) == (1, "a", b"b", None)
    with pytest.raises(Damage):
        checked(("1", "a"), tuple[int, str])


def test_a_read_only_file_a_full_one_and_a_lock_are_sentences(file: SqliteFile) -> None:
    _add(file, b"a")
    assert file._opened is not None
    file._opened.writer.execute("PRAGMA max_page_count = 8")
    with pytest.raises(StoreError, match=r"x\.db: the book of words cannot be used \(.*full\); make room"):
        _add(file, b"x" * 100_000)
    file._opened.writer.execute("PRAGMA max_page_count = 100000")
    file._opened.writer.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="let its owner write the file"):
        _add(file)
    assert _words(file) == [b"a"]
    assert _add(file) == 2  # it was opened again
    file._opened.writer.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(file.path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another process holds it"):
        _add(file)
    other.rollback()
    other.close()
    assert _add(file) == 3
    assert file.damaged == 0


def test_a_place_that_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be made .*; name another data_dir"):
        _add(_file(tmp_path / "file"))
    (tmp_path / "x.db").mkdir()
    with pytest.raises(StoreError, match="let its owner write"):
        _add(_file(tmp_path))


def test_what_is_kept_free_is_asked_for(tmp_path: Path) -> None:
    file = _file(tmp_path, keep_free_bytes=2**62)

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
        file = _file(disk)
        _add(file, b"a")
        file.close()
        file = _file(disk)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for _ in range(2):
            with pytest.raises(StoreError, match=r"x\.db: the book of words cannot be"):
                _add(file, b"b")
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        _add(file, b"b")
        with (disk / "other").open("wb", buffering=0) as other, contextlib.suppress(OSError):
            while True:
                other.write(bytes(4096))
        with pytest.raises(StoreError, match="make room on its disk"):
            _add_many(file)
        (disk / "other").unlink()
        _add(file, b"c")
        assert {b"a", b"b", b"c"} <= set(_words(file))
        assert file.damaged == 0
        file.close()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _add_many(file: SqliteFile) -> None:
    for _ in range(300):
        _add(file, os.urandom(3000))


def test_a_commit_is_synced_before_it_returns(file: SqliteFile) -> None:
    _add(file)
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
