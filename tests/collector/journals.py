"""Journals for tests, short to write."""

from __future__ import annotations

from pathlib import Path

from collector.journal.journal import Journal
from linkgauge.clock import NS_PER_US
from linkgauge.opened_file import OpenedFile
from tests.collector.world import StillClock

KEEP_NS = 1000
FROM_ONE = StillClock(NS_PER_US)
"""Of a journal that is made by this clock the first seq is 1."""


def open_journal(folder: Path, max_bytes: int = 10**9) -> Journal:
    return Journal(folder / "journal.sqlite", max_bytes, KEEP_NS, FROM_ONE)


def append(journal: Journal, number: int, body: bytes = b"body", received_ns: int = 1) -> bool:
    return journal.append("j1", "boot", number, 0, received_ns, body)


def numbers(journal: Journal, after: int = 0) -> list[int]:
    return [entry.number for entry in journal.read(after, 1000, 10**9)]


def connections(journal: Journal) -> OpenedFile:
    opened = journal._file._opened
    assert opened is not None
    return opened
