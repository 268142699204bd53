"""A crash or a full disk between any two steps of writing, putting together and removing: nothing is lost,
nothing counts twice, and the manifest says what is there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.archive.rules import Rules
from collector.archive.upkeep import Upkeep
from collector.archive.verify import verify
from collector.sinks.archive import Archive
from collector.sinks.archive_reader import ArchiveReader
from linkgauge.errors import SinkHeld
from tests.collector.archive.crash import Crash, Stops, stopped
from tests.collector.archive.world import SOON, clock, delivery, holdings, starts, tags

LAST = 4


class _Life:
    """What delivers to the archive, with the journal's cursor that outlives it."""

    def __init__(self, root: Path) -> None:
        self.root, self.cursor = root, 0

    def run(self) -> None:
        """One process: deliver what the cursor has not passed, then put files together."""
        archive = Archive(self.root, "abc", self.cursor, tags, clock=clock())
        with contextlib.closing(archive):
            while self.cursor < LAST:
                archive.write([delivery(self.cursor + 1)])
                self.cursor += 1
        files = holdings(self.root, self.cursor)
        try:
            upkeep = Upkeep(files, SOON, clock())
            upkeep.round()
            if upkeep.trouble is not None:
                raise OSError(upkeep.trouble)
        finally:
            files.close()

    def seen(self) -> tuple[list[int], int]:
        """Starts of the rows that count, and how many rows there are with all copies."""
        with contextlib.closing(ArchiveReader(self.root)) as reader:
            starts = reader.windows(None, 0, 2**62).count("start_ns").tolist()
            return starts, len(reader.keys("window"))


def _every_step(
    root: Path, crash: bool, exchange: bool = True, first: int = 1, stride: int = 1
) -> Iterator[tuple[_Life, Stops]]:
    """A life that ends at the first step, one that ends `stride` steps later, and so on until one lives."""
    for at in range(first, 1000, stride):
        life = _Life(root / str(at))
        with stopped(at, crash, exchange) as stops, contextlib.suppress(Crash, SinkHeld, OSError):
            life.run()
        if not stops.struck:
            assert at > 40
            return
        yield life, stops
    raise AssertionError("there is no end to it")


@pytest.mark.parametrize(("exchange", "first"), [(True, 1), (False, 30)], ids=["exchange", "no exchange"])
def test_a_crash_at_any_step_is_mended_by_the_next_start(tmp_path: Path, exchange: bool, first: int) -> None:
    for life, _ in _every_step(tmp_path, crash=True, exchange=exchange, first=first):
        if life.root.exists() and life.cursor:
            acknowledged = set(starts(range(1, life.cursor + 1)))
            found, stored = life.seen()
            assert acknowledged <= set(found), life.root
            assert stored == len(found) or not exchange, life.root
        life.run()
        assert life.seen() == (starts(range(1, LAST + 1)), 2 * LAST), life.root
        assert verify(life.root).faults == (), life.root


def test_a_full_disk_at_any_step_holds_the_archive_and_loses_nothing(tmp_path: Path) -> None:
    for life, _ in _every_step(tmp_path, crash=False, stride=2):
        life.run()
        assert life.seen() == (starts(range(1, LAST + 1)), 2 * LAST), life.root
        assert verify(life.root).faults == (), life.root


def test_a_full_disk_at_any_step_of_a_living_archive(tmp_path: Path) -> None:
    """The same archive goes on after the error, as the pump lets it."""
    for at in range(1, 200):
        root = tmp_path / str(at)
        Archive(root, "abc", 0, tags, clock=clock()).close()
        archive = Archive(root, "abc", 0, tags, clock=clock())
        with stopped(at, crash=False) as stops:
            for seq in (1, 2):
                while True:
                    with contextlib.suppress(SinkHeld):
                        archive.write([delivery(seq)])
                        break
        archive.close()
        assert verify(root).faults == (), at
        if not stops.struck:
            return
    raise AssertionError("there is no end to it")


def test_a_crash_at_any_step_of_removing_old_days(tmp_path: Path) -> None:
    rules, struck = Rules(compact_after_s=1e6, keep_days=2), True
    at = 0
    while struck:
        at += 1
        root = tmp_path / str(at)
        archive = Archive(root, "abc", 0, tags, clock=clock())
        for seq in (1, 2, 8640 * 4):
            archive.write([delivery(seq)])
        archive.close()
        files = holdings(root, 8640 * 4)
        with stopped(at, crash=True) as stops, contextlib.suppress(Crash):
            Upkeep(files, rules, clock(80)).round()
        files.close()
        struck = stops.struck
        files = holdings(root, 8640 * 4)
        Upkeep(files, rules, clock(80)).round()
        files.close()
        assert verify(root).faults == (), at
        reader = ArchiveReader(root)
        assert reader.windows(None, 0, 2**62).count("start_ns").tolist() == starts([8640 * 4])
        reader.close()
    assert at > 3
