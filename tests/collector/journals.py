"""Journals for tests, short to write."""

from __future__ import annotations

from pathlib import Path

from collector.journal import Journal
from linkgauge.opened_file import OpenedFile

KEEP_NS = 1000


def open_journal(folder: Path, max_bytes: int = 10**9) -> Journal:
    return Journal(folder / "journal.sqlite", max_bytes, KEEP_NS)


def append(journal: Journal, number: int, body: bytes = b"body", received_ns: int = 1) -> bool:
    return journal.append("j1", "boot", number, 0, received_ns, body)


def numbers(journal: Journal, after: int = 0) -> list[int]:
    return [entry.number for entry in journal.read(after, 1000, 10**9)]


def connections(journal: Journal) -> OpenedFile:
    opened = journal._file._opened
    assert opened is not None
    return opened
