"""The suite of a log of batches, over the journal and the fake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.journal.batch_log import BatchLog
from collector.journal.journal import Journal
from tests.collector.log_conformance import LogConformance, Opened
from tests.collector.memory_log import MemoryLog


class TestJournal(LogConformance):
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[Opened]:
        journals: list[Journal] = []

        def again() -> BatchLog:
            for each in journals:
                each.close()
            journals.append(Journal(tmp_path / "journal.sqlite", 10**9, 10**15))
            return journals[-1]

        yield again
        journals[-1].close()


class TestMemoryLog(LogConformance):
    @pytest.fixture
    def opened(self) -> Opened:
        log = MemoryLog()
        return lambda: log
