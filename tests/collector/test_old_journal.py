"""A journal that came back from a backup: the archive keeps what is newer, and goes on beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from collector.archive.verify import verify
from collector.journal.batch_log import Entry
from collector.sinks.archive_reader import ArchiveReader
from linkgauge.clock import window_start
from tests.collector.journals import append, numbers, open_journal
from tests.collector.running import LINKS, Running, now_ns, report
from tests.collector.world import WINDOW_NS


def _life(folder: Path, first: int, last: int, before_ns: int) -> str:
    """One life of a collector, in which it takes these batches; returns its journal's name."""
    with Running(folder) as running:
        for number in range(first, last + 1):
            assert running.post(report(number, before_ns - (100 - number) * WINDOW_NS)).status_code == 200
        return running.collector.journal.identity


def _archived(folder: Path) -> int:
    reader = ArchiveReader(folder / "data" / "archive")
    keys = {key for key in reader.keys("window") if key[0] == "j1"}
    reader.close()
    return len(keys)


@pytest.mark.parametrize("lives", [1, 2], ids=["a delivery older", "many older"])
def test_a_restored_journal_takes_nothing_out_of_the_archive(tmp_path: Path, lives: int) -> None:
    data, start_ns = tmp_path / "data", window_start(now_ns(), WINDOW_NS)
    first = _life(tmp_path, 1, 2, start_ns)
    shutil.copy(data / "journal.sqlite", tmp_path / "backup")
    for life in range(lives):
        assert _life(tmp_path, 3 + life, 3 + life, start_ns) == first
    for path in data.glob("journal.sqlite*"):
        path.unlink()
    shutil.copy(tmp_path / "backup", data / "journal.sqlite")
    again = _life(tmp_path, 9, 10, start_ns)
    assert again != first
    assert _archived(tmp_path) == (4 + lives) * len(LINKS)
    assert verify(data / "archive").faults == ()
    assert _life(tmp_path, 11, 11, start_ns) == again
    assert _archived(tmp_path) == (5 + lives) * len(LINKS)


def test_under_another_name_what_waits_still_waits(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.register(["archive", "influxdb"])
    for number in range(1, 6):
        append(journal, number)
    seqs = [entry.seq for entry in journal.read(0, 9, 999)]
    journal.advance("archive", seqs[2])
    before, last = journal.identity, journal.last
    journal.renew()

    def left(sink: str) -> list[Entry]:
        return journal.read(journal.cursor(sink), 9, 999)

    assert journal.identity != before
    assert numbers(journal) == [1, 2, 3, 4, 5]
    assert [entry.number for entry in left("archive")] == [4, 5]
    assert [journal.backlog(sink)[0] for sink in ("archive", "influxdb")] == [2, 5]
    assert left("influxdb")[0].seq > last
    assert not append(journal, 5)
    assert append(journal, 6)
    assert [entry.number for entry in left("archive")] == [4, 5, 6]
    journal.close()
    assert open_journal(tmp_path).identity == journal.identity
