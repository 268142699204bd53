"""Files of words for tests of what all files of ours must do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from linkgauge.sqlite_file import SqliteFile

SCHEMA = """
CREATE TABLE IF NOT EXISTS word(at INTEGER PRIMARY KEY AUTOINCREMENT, text BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_text ON word(text);
"""


def open_file(folder: Path, keep_free_bytes: int = 0) -> SqliteFile:
    return SqliteFile(folder / "x.db", SCHEMA, "the book of words", keep_free_bytes=keep_free_bytes)


def add(file: SqliteFile, text: bytes = b"word") -> int:
    def work(db: sqlite3.Connection) -> int:
        return int(db.execute("INSERT INTO word(text) VALUES(?)", (text,)).lastrowid or 0)

    return file.transact(work)


def words(file: SqliteFile) -> list[bytes]:
    return file.read(lambda db: [row[0] for row in db.execute("SELECT text FROM word ORDER BY at")])
