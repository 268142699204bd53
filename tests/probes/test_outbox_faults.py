"""The outbox under faults: full disks, damage, kills; what was stored is there, and it goes on."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkgauge.errors import StoreError
from linkgauge.sqlite_file import Work
from probes.upload.outbox import Counts, Outbox, State
from tests.probes.fake_clock import T0_NS, FakeClock
from tests.probes.outboxes import DAY_NS, oldest, outbox, put


def test_little_free_space_is_said_counted_and_made_good(tmp_path: Path) -> None:
    full = Outbox(tmp_path / "outbox.db", 10**6, DAY_NS, keep_free_bytes=2**62)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"outbox\.db: the disk has \d+ MB left.*make room"):
            put(full)
    assert full.counts() == Counts(unstored=2)
    full._file.keep_free_bytes = 0
    assert put(full) == 1
    assert full.counts().dropped == 2
    assert full.counts().unstored == 0


def test_an_unusable_path_is_told_and_the_counters_still_answer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    box = Outbox(tmp_path / "file" / "outbox.db", 10**6, DAY_NS)
    with pytest.raises(StoreError, match=r"outbox\.db: the outbox cannot be made"):
        put(box)
    with pytest.raises(StoreError):
        box.waiting(1)
    assert box.counts() == Counts(unstored=1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MB; what still has a file open there when the test ends is left to be unmounted later."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(disk)], check=False).returncode:
        pytest.skip("needs mount -t tmpfs")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(box: Outbox) -> int:
    """Put until it fails; returns how many were stored."""
    for stored in range(100):
        try:
            box.put("b1", lambda number: os.urandom(100_000), 7, T0_NS)
        except StoreError:
            return stored
    raise AssertionError("the disk never became full")


@pytest.mark.root
def test_what_is_kept_free_lets_a_full_outbox_drain(small_disk: Path) -> None:
    box = Outbox(small_disk / "outbox.db", 10**8, DAY_NS, keep_free_bytes=5 << 20, clock=FakeClock())
    stored = fill(box)
    assert stored > 3
    assert box.counts().unstored == 1
    while rows := box.waiting(5):
        box.done([row.seq for row in rows])
    assert put(box) == stored + 1
    assert (box.counts().dropped, box.counts().acknowledged) == (1, stored)


@pytest.mark.root
def test_a_disk_filled_by_others_loses_only_what_came_meanwhile(small_disk: Path) -> None:
    box = outbox(small_disk)
    put(box)
    other = small_disk / "other"
    with contextlib.suppress(OSError), other.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    assert fill(box) < 30
    other.unlink()
    while rows := box.waiting(5):
        box.done([row.seq for row in rows])
    put(box)
    counts = box.counts()
    assert (counts.dropped, counts.waiting, counts.produced) == (1, 1, counts.acknowledged + 1)


def test_a_damaged_file_is_moved_aside_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "outbox.db").write_bytes(b"no database at all" * 100)
    box = outbox(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert [put(box), put(box)] == [1, 2]
    assert [record.message for record in caplog.records if "is damaged" in record.message] == [
        f"{tmp_path}/outbox.db: the outbox is damaged (file is not a database); kept as "
        f"{tmp_path}/outbox.db.damaged-{T0_NS // 10**9}, a new one begins"
    ]
    assert (tmp_path / f"outbox.db.damaged-{T0_NS // 10**9}").read_bytes().startswith(b"no database")


def test_a_file_begun_anew_gives_no_number_twice(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for _ in range(30):
        put(box)
    assert box._file._opened is not None
    writer = box._file._opened.writer
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # all is in the file,
    writer.execute("PRAGMA shrink_memory")  # and nothing else in memory
    (tmp_path / "outbox.db").write_bytes(b"no database at all" * 1000)
    assert [put(box), put(box)] == [31, 32]
    assert len(list(tmp_path.glob("outbox.db.damaged-*"))) == 1


CHILD = """
import os, sys
from pathlib import Path
from probes.upload.outbox import Outbox
box = Outbox(Path(sys.argv[1]), 10**8, 10**18, keep_free_bytes=0)
boot = "b" + str(os.getpid())
while True:
    print("put", boot, box.put(boot, lambda number: b"%d" % number, 1, 10**18), flush=True)
    row = box.waiting(1)[0]
    if row.number % 3:
        box.done([row.seq])
    else:
        box.reject(row.seq, "no")
    print("done" if row.number % 3 else "rejected", row.boot, row.number, flush=True)
"""


def test_a_kill_at_any_instant_loses_and_doubles_nothing(tmp_path: Path) -> None:
    path, chance = tmp_path / "outbox.db", random.Random(8)
    told: list[list[str]] = []
    rounds = 20
    for _ in range(rounds):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        told += [child.stdout.readline().split() for _ in range(chance.randrange(1, 8))]
        killer = threading.Timer(chance.uniform(0, 0.01), child.kill)
        killer.start()
        told += [line.split() for line in child.stdout if line.endswith("\n")]
        child.stdout.close()
        child.wait()
        killer.join()
    box = outbox(tmp_path)
    ledger = {(boot, number): state for boot, number, _, state in box.ledger()}
    assert len(ledger) == len(box.ledger())
    put_told = [(boot, int(number)) for word, boot, number in told if word == "put"]
    assert len(set(put_told)) == len(put_told) > rounds
    assert set(put_told) <= set(ledger)
    assert len(ledger) - len(put_told) <= rounds  # stored, but killed before it could say so
    for boot in {boot for boot, _ in ledger}:
        numbers = [number for its, number in ledger if its == boot]
        assert numbers == list(range(1, len(numbers) + 1))
    for word, boot, number in told:
        if word != "put":
            fate = State.ACKNOWLEDGED if word == "done" else State.REJECTED
            assert ledger[boot, int(number)] is fate
    counts = box.counts()
    assert counts.produced == len(ledger) == counts.waiting + counts.acknowledged + counts.rejected
    assert counts.damaged == 0
    box.close()


def test_what_waited_in_a_file_that_is_lost_counts_as_dropped(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for _ in range(5):
        put(box)
    box.done([oldest(box).seq])
    (tmp_path / "outbox.db").unlink()
    assert put(box) == 6
    counts = box.counts()
    assert (counts.produced, counts.acknowledged, counts.dropped, counts.waiting) == (6, 1, 4, 1)
    assert counts.damaged == 1


@pytest.mark.parametrize("known_by", ["putting", "opening"])
def test_an_answer_to_a_batch_of_a_lost_file_settles_none_of_the_new_one(
    tmp_path: Path, known_by: str
) -> None:
    box = outbox(tmp_path)
    put(box)
    if known_by == "opening":
        box.close()
        box = outbox(tmp_path)
    on_its_way = oldest(box)
    (tmp_path / "outbox.db").unlink()
    put(box, boot="b2")
    box.done([on_its_way.seq])
    assert [row.boot for row in box.waiting(9)] == ["b2"]
    assert box.counts().acknowledged == 0


def test_a_commit_that_failed_and_stands_all_the_same_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = outbox(tmp_path)
    put(box)
    transact = box._file.transact

    def unsynced(work: Work[object]) -> None:  # as where fsync fails for a moment
        transact(work)
        box._file._release()
        raise StoreError("disk I/O error")

    for _ in range(2):
        monkeypatch.setattr(box._file, "transact", unsynced)
        with pytest.raises(StoreError):
            put(box)
        monkeypatch.undo()
    assert put(box) == 4
    counts = box.counts()
    assert (counts.produced, counts.waiting, counts.dropped, counts.damaged) == (4, 4, 0, 0)


@pytest.mark.parametrize("seed", range(15))
def test_flipped_octets_never_stop_it(tmp_path: Path, seed: int) -> None:
    chance, path = random.Random(seed), tmp_path / "outbox.db"
    box = outbox(tmp_path)
    for _ in range(30):
        box.put("b1", lambda number: chance.randbytes(chance.choice((20, 3000))), 7, T0_NS)
    if chance.random() < 0.7:
        box.close()
        box = outbox(tmp_path)
    part = Path(f"{path}-wal") if Path(f"{path}-wal").exists() and chance.random() < 0.5 else path
    content = bytearray(part.read_bytes())
    for _ in range(chance.choice((1, 30, 300))):
        content[chance.randrange(len(content))] = chance.randrange(256)
    part.write_bytes(content)
    done = 0
    for _ in range(6):
        with contextlib.suppress(StoreError):
            number = put(box, boot="b2")
            rows = box.waiting(3)
            box.done([row.seq for row in rows])
            box.reject(box.waiting(9)[-1].seq, "no") if box.waiting(9) else None
            box.counts(), box.dead_letters(), box.ledger()
            done += 1
    assert done >= 4
    assert number >= done
    box.close()
