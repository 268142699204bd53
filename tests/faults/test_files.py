"""Disk full and damaged pages under each file of the pipeline: said, counted, and it goes on.

The disk is a small tmpfs of the test's own.
"""

from __future__ import annotations

import os
import random
import secrets
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector.journal.journal import Journal
from collector.sinks.archive_reader import ArchiveReader
from console.demo.kept import ledger
from linkgauge.errors import StoreError
from probes.upload.outbox import Outbox
from tests.collector.world import NOW_NS, WINDOW_NS
from tests.faults.scene import NODES, Scene, all_kept
from tests.faults.stores import Stores, once
from tests.influxd import Influxd

DISK_MB = 8
RESERVE = 2 << 20
"""What outbox and journal leave free of it."""
BODY = secrets.token_bytes(100_000)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of DISK_MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "lgfaults", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _fill(folder: Path) -> Path:
    """Leave nothing of the disk; returns the file that holds it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65_536))
        except OSError:
            pass
    return ballast


def _until_refused(work: Callable[[int], object]) -> tuple[int, str]:
    """How often it went well, and the sentence of the first refusal."""
    for at in range(1_000):
        try:
            work(at)
        except StoreError as err:
            return at, str(err)
    raise AssertionError("a disk of some MB took everything")


@pytest.mark.root
def test_a_full_disk_under_the_outbox(disk: Path) -> None:
    outbox = Outbox(disk / "outbox.sqlite", 1 << 40, 1 << 62, keep_free_bytes=RESERVE)
    kept, sentence = _until_refused(lambda _: outbox.put("b", lambda number: BODY, 1, 1))
    assert kept > 10
    assert str(disk / "outbox.sqlite") in sentence
    ballast = _fill(disk)
    for _ in range(5):
        with pytest.raises(StoreError):
            outbox.put("b", lambda number: BODY, 1, 1)
    counts = outbox.counts()
    assert (counts.waiting, counts.unstored) == (kept, 6)
    ballast.unlink()
    outbox.done([row.seq for row in outbox.waiting(20)])
    assert outbox.put("b", lambda number: BODY, 1, 1) == kept + 1
    counts = outbox.counts()
    assert (counts.waiting, counts.dropped, counts.unstored) == (kept - 20 + 1, 6, 0)
    assert [row.number for row in outbox.waiting(1_000)] == [*range(21, kept + 2)]
    outbox.close()


@pytest.mark.root
def test_a_full_disk_under_the_journal(disk: Path) -> None:
    journal = Journal(disk / "journal.sqlite", 1 << 40, 1 << 62, keep_free_bytes=RESERVE)
    journal.register(["archive"])
    kept, sentence = _until_refused(lambda at: journal.append("j1", "b", at + 1, 1, 1, BODY))
    assert kept > 10
    assert str(disk / "journal.sqlite") in sentence
    ballast = _fill(disk)
    with pytest.raises(StoreError):
        journal.append("j1", "b", kept + 1, 1, 1, BODY)
    assert [entry.number for entry in journal.read(0, 1_000, 1 << 40)] == [*range(1, kept + 1)]
    ballast.unlink()
    journal.advance("archive", journal.read(0, 20, 1 << 40)[-1].seq)
    journal.trim()
    assert journal.append("j1", "b", kept + 1, 1, 1, BODY)
    assert not journal.append("j1", "b", kept, 1, 1, BODY)
    assert journal.dropped == 0
    journal.close()


@pytest.mark.root
@pytest.mark.influx
def test_a_full_disk_under_archive_and_dead_letters(disk: Path, tmp_path: Path, influxd: Influxd) -> None:
    stores = Stores(tmp_path / "journal", influxd.url, f"faults{secrets.token_hex(4)}", disk)
    for at in range(10):
        stores.feed(NOW_NS - (at + 1) * WINDOW_NS)
    ballast = _fill(disk)
    assert [stores.archive.step(flush=True) > 0 for _ in range(3)] == [True] * 3
    assert stores.archive.trouble is not None
    assert str(disk) in stores.archive.trouble
    stores.settle(stores.influx)
    ballast.unlink()
    stores.settle(stores.archive)
    assert stores.archive.trouble is None
    once(stores.archived(), stores.produced)
    once(stores.points(influxd), stores.produced)
    stores.close()


@pytest.mark.influx
def test_a_damaged_journal_is_moved_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Pages are overwritten while the collector is away; all of it was in the stores by then.

    A new journal does not know what the old one had: batches whose acknowledgement was on its way come again,
    and lie in the archive twice then, in files of the old journal and of the new. By the reader's rule they
    count once. A machine that is quick has none.
    """
    with Scene(tmp_path) as scene:
        scene.start_all()
        scene.wait(lambda: scene.accepted("c1") > 20, "some batches")
        for node in NODES:
            scene.kill(node)
        before = {node: set(ledger(path)) for node, path in scene.outboxes().items()}
        scene.drain()
        scene.kill("c1")
        _overwrite(tmp_path / "c1" / "data" / "journal.sqlite")
        scene.start("c1")
        for node in NODES:
            scene.start(node)
        scene.wait_for("c1")
        scene.wait(lambda: scene.accepted("c1") > 20, "more batches")
        assert scene.status("c1")["journal"]["damaged"] == 1
        [kept] = scene.finish(compact=True)
    assert list((tmp_path / "c1" / "data").glob("journal.sqlite.damaged-*"))
    assert "damaged" in scene.log("c1")
    reader = ArchiveReader(scene.archive("c1"))
    rows = Counter(reader.keys("window"))
    counting = reader.windows(None, 0, 2**62).rows
    reader.close()
    copies = [row for row, times in rows.items() if times == 2]
    print(kept, len(copies))
    assert max(rows.values()) <= 2
    assert all((boot, number) in before[node] for node, boot, number, *_ in copies)
    all_kept([replace(kept, duplicates=kept.duplicates - 2 * len(copies))])  # as rows and as windows
    assert counting == kept.windows_produced


def _overwrite(path: Path) -> None:
    """Noise over a few pages of the file, its first one too."""
    chance = random.Random(7)
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        for page in (0, *(chance.randrange(size // 4096) for _ in range(5))):
            file.seek(page * 4096 + 100)
            file.write(chance.randbytes(2_000))
    for ending in ("-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)
