"""The pump with the archive as its store: whatever is interrupted, each row is archived once."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.health.metrics import Metrics
from collector.journal.journal import Journal
from collector.sinks.archive import Archive
from collector.sinks.archive_reader import ArchiveReader
from collector.sinks.dead_letters import DeadLetters
from collector.sinks.pump import Pump
from collector.sinks.sink import Delivery
from tests.collector.journals import FROM_ONE
from tests.collector.world import StillClock, body, windows


def test_a_restart_between_delivery_and_cursor_doubles_nothing(tmp_path: Path) -> None:
    """The archive holds a file that the cursor does not know of; the next life writes those rows once."""

    def tags(link: str) -> dict[str, str]:
        return {"link": link, "network": "n"}

    root = tmp_path / "archive"
    journal = Journal(tmp_path / "journal.sqlite", 10**9, 10**9, FROM_ONE)
    journal.register(["archive"])
    for number in (1, 2, 3):
        journal.append("j1", "b", number, 1, 1, body("j1", number, windows(["a>b@n"]), boot="b"))
    first = Archive(root, journal.identity, 0, tags)
    frames = {"window": windows(["a>b@n"])}
    first.write([Delivery(seq, "j1", "b", seq, frames) for seq in (1, 2)])
    first.close()
    second = Archive(root, journal.identity, journal.cursor("archive"), tags)
    pump = Pump(second, journal, DeadLetters(tmp_path / "dead"), StillClock(), Metrics())
    pump.step()
    second.close()
    reader = ArchiveReader(root)
    assert sorted(key[2] for key in reader.keys("window")) == [1, 2, 3]
    reader.close()
    journal.close()


def _numbers(root: Path) -> list[int]:
    reader = ArchiveReader(root)
    found = sorted(key[2] for key in reader.keys("window"))
    reader.close()
    return found


@pytest.mark.parametrize("restart", [False, True])
def test_a_half_written_delivery_doubles_nothing_though_more_batches_come(
    tmp_path: Path, restart: bool
) -> None:
    """The second partition fails once, as on a full disk; the first stays until it is written again."""

    def tags(link: str) -> dict[str, str]:
        return {"link": link, "network": link.partition("@")[2]}

    root, links = tmp_path / "archive", ["a>b@n", "a>b@m"]
    journal = Journal(tmp_path / "journal.sqlite", 10**9, 10**9, FROM_ONE)
    journal.register(["archive"])
    archive = Archive(root, journal.identity, 0, tags)
    dead, clock, metrics = DeadLetters(tmp_path / "dead"), StillClock(), Metrics()
    pump = Pump(archive, journal, dead, clock, metrics)
    obstacle = root / "window" / "date=2027-01-15" / "network=m"
    obstacle.parent.mkdir(parents=True)
    obstacle.touch()
    journal.append("j1", "b", 1, 1, 1, body("j1", 1, windows(links), boot="b"))
    pump.step()
    assert pump.trouble is not None
    assert _numbers(root) == [1]
    journal.append("j1", "b", 2, 1, 1, body("j1", 2, windows(links), boot="b"))
    obstacle.unlink()
    if restart:
        archive.close()
        archive = Archive(root, journal.identity, journal.cursor("archive"), tags)
        assert _numbers(root) == []
        pump = Pump(archive, journal, dead, clock, metrics)
    for _ in range(3):
        pump.step()
    assert _numbers(root) == [1, 1, 2, 2]
    assert journal.cursor("archive") == 2
    archive.close()
    journal.close()
