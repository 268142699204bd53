"""A SQLite file of ours that is harmed: moved aside when it is damaged, never else, and a new one goes on."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkgauge.aside import moved_aside
from linkgauge.errors import StoreError
from linkgauge.sqlite_file import Damage, SqliteFile, checked
from tests.linkgauge.sqlite_files import SCHEMA, add, open_file, words


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteFile]:
    made = open_file(tmp_path)
    yield made
    made.close()


def test_another_file_is_moved_aside_said_once_and_counted(
    file: SqliteFile, caplog: pytest.LogCaptureFixture
) -> None:
    file.path.write_bytes(b"no database" * 500)
    assert [add(file), add(file)] == [1, 2]
    (kept,) = moved_aside(file.path)
    assert kept.read_bytes() == b"no database" * 500
    assert [record.message for record in caplog.records] == [
        f"{file.path}: the book of words is damaged (file is not a database); "
        f"kept as {kept}, a new one begins"
    ]
    assert file.damaged == 1


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
def test_a_log_deleted_in_mid_run_loses_nothing(file: SqliteFile, ending: str) -> None:
    add(file, b"a")
    os.unlink(f"{file.path}{ending}")
    add(file, b"b")
    assert words(file) == [b"a", b"b"]
    assert file.damaged == 0
    with sqlite3.connect(file.path) as other:
        assert other.execute("SELECT count(*) FROM word").fetchone() == (2,)
    other.close()


def test_a_file_deleted_in_mid_run_is_begun_anew(file: SqliteFile, caplog: pytest.LogCaptureFixture) -> None:
    add(file, b"a")
    file.path.unlink()
    add(file, b"b")
    assert words(file) == [b"b"]
    assert file.damaged == 1
    assert ["deleted or replaced" in record.message for record in caplog.records] == [True]
    with sqlite3.connect(file.path) as other:
        assert other.execute("SELECT count(*) FROM word").fetchone() == (1,)
    other.close()


def test_a_file_replaced_in_mid_run_is_taken_as_it_is(file: SqliteFile, tmp_path: Path) -> None:
    add(file, b"backup")
    with sqlite3.connect(file.path) as db:
        db.execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
    db.close()
    add(file, b"later")
    os.replace(tmp_path / "backup.db", file.path)
    add(file, b"new")
    assert words(file) == [b"backup", b"new"]
    assert file.damaged == 1


def test_what_another_process_began_anew_stays(file: SqliteFile) -> None:
    """It found the damage first and has moved our file aside, with its log."""
    add(file, b"old")
    for ending in ("", "-wal", "-shm"):
        os.rename(f"{file.path}{ending}", f"{file.path}.damaged-1{ending}")
    other = open_file(file.path.parent)
    add(other, b"its")
    add(file, b"ours")
    assert words(other) == words(file) == [b"its", b"ours"]
    assert len(moved_aside(file.path)) == 1
    assert other.damaged == 0
    other.close()


def test_a_folder_deleted_in_mid_run_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    file = open_file(folder)
    add(file)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert add(file) == 1
    file.close()


def test_a_log_cut_short_in_mid_run_is_damage(file: SqliteFile) -> None:
    for _ in range(50):
        add(file, os.urandom(3000))
    os.truncate(f"{file.path}-wal", 50_000)
    add(file, b"new")
    assert words(file) == [b"new"]
    assert (file.damaged, len(moved_aside(file.path))) == (1, 1)


def test_a_log_that_another_process_began_again_is_none(file: SqliteFile) -> None:
    for _ in range(50):
        add(file, os.urandom(3000))
    other = sqlite3.connect(file.path)
    assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    other.close()
    add(file)
    assert len(words(file)) == 51
    assert file.damaged == 0


def test_a_log_wrong_in_its_middle_is_found_at_open(tmp_path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path / "x.db")], check=False)
    assert child.returncode == -9
    log = tmp_path / "x.db-wal"
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 0xFF
    log.write_bytes(content)
    file = open_file(tmp_path)
    add(file, b"new")
    assert words(file) == [b"new"]
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
    file = open_file(tmp_path)
    assert len(words(file)) == 40
    assert file.damaged == 0
    file.close()


def test_a_table_that_lost_a_column_is_damage(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as db:
        db.execute("CREATE TABLE word(at INTEGER PRIMARY KEY, test BLOB)")
    db.close()
    file = SqliteFile(tmp_path / "x.db", SCHEMA.splitlines()[1], "the book of words")
    assert words(file) == []
    assert file.damaged == 1
    file.close()


@pytest.mark.parametrize("seed", range(25))
def test_octets_flipped_anywhere_never_stop_it(tmp_path: Path, seed: int) -> None:
    """Open or closed, in the file or its log: the next calls work, and raise at most StoreError."""
    chance = random.Random(seed)
    file = open_file(tmp_path)
    for _ in range(60):
        add(file, chance.randbytes(chance.choice((10, 300, 6000))))
    if chance.random() < 0.5:
        file.close()
    _harm(chance, tmp_path)
    if file._closed:
        file = open_file(tmp_path)
    done = 0
    for _ in range(5):
        try:
            words(file)
            file.transact(lambda db: db.execute("UPDATE word SET text = text || 'x' WHERE at % 7 = 3"))
            add(file, b"new")
            done += 1
        except StoreError:
            continue
    assert done >= 3
    file.close()
    again = open_file(tmp_path)
    assert again.damaged or b"new" in words(again)
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
