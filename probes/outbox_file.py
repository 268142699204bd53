"""The outbox's SQLite file: its tables, and how it is opened.

`batch` is the ledger: one row for each number given, with a body while it waits or is a dead letter.
`boot` has the last number given in each boot, `total` the batches that ever came to each state.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batch (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, boot TEXT NOT NULL, number INTEGER NOT NULL,
    created_ns INTEGER NOT NULL, rows INTEGER NOT NULL, state INTEGER NOT NULL, size INTEGER NOT NULL,
    sentence TEXT, body BLOB, UNIQUE (boot, number));
CREATE INDEX IF NOT EXISTS waiting ON batch (seq) WHERE state = 0;
CREATE INDEX IF NOT EXISTS dead ON batch (seq) WHERE state = 3;
CREATE TABLE IF NOT EXISTS boot (boot TEXT PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS total (state INTEGER PRIMARY KEY, batches INTEGER NOT NULL);
INSERT OR IGNORE INTO total VALUES (0, 0), (1, 0), (2, 0), (3, 0);
"""


def open_file(path: Path) -> sqlite3.Connection:
    """Open or begin the file, readable by its owner only; raises sqlite3.DatabaseError, also when damaged."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as err:
        raise sqlite3.OperationalError(str(err)) from None
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        fault = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if fault != "ok":
            damage = sqlite3.DatabaseError(fault)
            damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damage
        db.executescript(_SCHEMA)
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db
