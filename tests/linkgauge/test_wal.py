"""The headers of SQLite's log: commits are counted in real ones, and nothing strange stops the count."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from linkgauge.wal import commits_after


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The log of 10 commits, two frames each at first."""
    db = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE word(text)")
    for _ in range(9):
        db.execute("INSERT INTO word VALUES('word')")
    kept = tmp_path / "kept-wal"
    shutil.copy(tmp_path / "x.db-wal", kept)
    db.close()
    return kept


def test_commits_are_counted_behind_a_frame(log: Path) -> None:
    frames = (log.stat().st_size - 32) // (24 + 4096)
    assert commits_after(log, 0) == 10
    assert commits_after(log, frames - 1) == 1
    assert commits_after(log, frames) == commits_after(log, frames + 100) == 0


def test_frames_of_an_earlier_log_do_not_count(log: Path) -> None:
    content = bytearray(log.read_bytes())
    content[16:24] = os.urandom(8)  # a log that was begun again has other salts
    log.write_bytes(content)
    assert commits_after(log, 0) == 0


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 5000, b"\x37\x7f\x06\x82" + bytes(9000)])
def test_what_is_no_log_has_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "wal").write_bytes(content)
    assert commits_after(tmp_path / "wal", 0) == 0
    assert commits_after(tmp_path / "none", 0) == 0


def test_cut_anywhere(log: Path) -> None:
    content = log.read_bytes()
    for size in range(0, len(content), 611):
        log.write_bytes(content[:size])
        assert 0 <= commits_after(log, 0) <= 10
