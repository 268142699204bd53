"""The outbox: numbers, order, bounds, faults of the disk, and a kill in mid-run."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkgauge.errors import StoreError
from probes.outbox import Counts, Outbox, State
from tests.probes.fake_clock import T0_NS, FakeClock

DAY_NS = 86_400 * 10**9


def outbox(path: Path, max_bytes: int = 10**6, clock: FakeClock | None = None) -> Outbox:
    return Outbox(path / "outbox.db", max_bytes, DAY_NS, keep_free_bytes=0, clock=clock or FakeClock())


def put(box: Outbox, boot: str = "b1", size: int = 10, created_ns: int = T0_NS) -> int:
    return box.put(boot, lambda number: bytes([number % 256]) * size, 7, created_ns)


def states(box: Outbox) -> list[tuple[int, State]]:
    return [(number, state) for _, number, _, state in box.ledger()]


def test_numbers_count_from_one_in_each_boot_and_survive_a_restart(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    assert [put(box), put(box), put(box, "b2")] == [1, 2, 1]
    box.close()
    assert put(outbox(tmp_path)) == 3


def test_oldest_stays_until_done_and_the_ledger_keeps_its_fate(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    put(box)
    put(box)
    first = box.oldest()
    assert first is not None
    assert first == box.oldest()
    assert (first.boot, first.number, first.created_ns, first.body) == ("b1", 1, T0_NS, b"\1" * 10)
    box.done("b1", 1)
    box.done("b1", 1)  # an acknowledgement that comes twice counts once
    assert box.ledger() == [("b1", 1, 7, State.ACKNOWLEDGED), ("b1", 2, 7, State.WAITING)]
    assert box.counts() == Counts(1, 10, T0_NS, produced=2, acknowledged=1)


def test_a_rejected_batch_is_kept_with_the_servers_words(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    put(box)
    box.reject("b1", 1, "starts in the future")
    assert box.oldest() is None
    ((row, words),) = box.dead_letters()
    assert (row.number, row.body, words) == (1, b"\1" * 10, "starts in the future")
    assert box.counts() == Counts(produced=1, rejected=1)


def test_dead_letters_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.outbox.DEAD_LETTERS", 2)
    box = outbox(tmp_path)
    for _ in range(4):
        box.reject("b1", put(box), "no")
    assert [row.number for row, _ in box.dead_letters()] == [3, 4]
    assert box.counts().rejected == 4


def test_the_ledger_is_bounded_and_never_forgets_what_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probes.outbox.LEDGER_ROWS", 3)
    box = outbox(tmp_path)
    put(box)
    for _ in range(6):
        box.done("b1", put(box))
    put(box)
    assert [number for number, _ in states(box)] == [1, 6, 7, 8]
    assert box.counts().acknowledged == 6


def test_over_size_the_oldest_are_dropped_and_counted(tmp_path: Path) -> None:
    box = outbox(tmp_path, max_bytes=30)
    for _ in range(5):
        put(box)
    assert states(box) == [(1, State.DROPPED), (2, State.DROPPED), *((n, State.WAITING) for n in (3, 4, 5))]
    box.close()
    assert outbox(tmp_path).counts() == Counts(3, 30, T0_NS, produced=5, dropped=2)


def test_too_old_batches_are_dropped(tmp_path: Path) -> None:
    clock = FakeClock()
    box = outbox(tmp_path, clock=clock)
    put(box)
    clock.advance(2 * DAY_NS)
    put(box, created_ns=clock.now().wall_ns)
    assert states(box) == [(1, State.DROPPED), (2, State.WAITING)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.lists(st.sampled_from(["put", "done", "reject", "reopen"]), max_size=25))
def test_any_order_of_calls_equals_a_list(tmp_path: Path, steps: list[str]) -> None:
    (tmp_path / "outbox.db").unlink(missing_ok=True)
    box, waiting, twin = outbox(tmp_path), list[int](), dict[int, State]()
    for step in steps:
        if step == "put":
            waiting.append(put(box))
            twin[waiting[-1]] = State.WAITING
        elif step == "reopen":
            box.close()
            box = outbox(tmp_path)
        elif waiting:
            row = box.oldest()
            assert row is not None
            assert row.number == waiting.pop(0)
            twin[row.number] = State.ACKNOWLEDGED if step == "done" else State.REJECTED
            box.done("b1", row.number) if step == "done" else box.reject("b1", row.number, "no")
    assert dict(states(box)) == twin
    counts = box.counts()
    assert counts.produced == len(twin) == counts.waiting + counts.acknowledged + counts.rejected
    box.close()


def test_a_failing_encoder_takes_no_number(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    with pytest.raises(ZeroDivisionError):
        box.put("b1", lambda number: b"x" * (1 // 0), 1, T0_NS)
    assert put(box) == 1


def test_little_free_space_is_said_counted_and_made_good(tmp_path: Path) -> None:
    full = Outbox(tmp_path / "outbox.db", 10**6, DAY_NS, keep_free_bytes=2**62)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"outbox\.db: the disk has \d+ MB left.*make room"):
            put(full)
    assert full.counts() == Counts(unstored=2)
    full._keep_free_bytes = 0
    assert put(full) == 1
    assert full.counts().dropped == 2
    assert full.counts().unstored == 0


def test_an_unusable_path_is_told_and_the_counters_still_answer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    box = Outbox(tmp_path / "file" / "outbox.db", 10**6, DAY_NS)
    with pytest.raises(StoreError, match=r"outbox\.db: the outbox cannot be used"):
        put(box)
    with pytest.raises(StoreError):
        box.oldest()
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
            put(box, size=100_000)
        except StoreError:
            return stored
    raise AssertionError("the disk never became full")


@pytest.mark.root
def test_what_is_kept_free_lets_a_full_outbox_drain(small_disk: Path) -> None:
    box = Outbox(small_disk / "outbox.db", 10**8, DAY_NS, keep_free_bytes=5 << 20, clock=FakeClock())
    stored = fill(box)
    assert stored > 3
    assert box.counts().unstored == 1
    while (row := box.oldest()) is not None:
        box.done(row.boot, row.number)
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
    while (row := box.oldest()) is not None:
        box.done(row.boot, row.number)
    put(box)
    counts = box.counts()
    assert (counts.dropped, counts.waiting, counts.produced) == (1, 1, counts.acknowledged + 1)


def test_a_damaged_file_is_moved_aside_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "outbox.db").write_bytes(b"no database at all" * 100)
    box = outbox(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert [put(box), put(box)] == [1, 2]
    assert [record.message for record in caplog.records if "is damaged" in record.message] == [
        f"{tmp_path}/outbox.db: is damaged (file is not a database); kept as "
        f"{tmp_path}/outbox.db.damaged-{T0_NS // 10**9}, a new outbox begins"
    ]
    assert (tmp_path / f"outbox.db.damaged-{T0_NS // 10**9}").read_bytes().startswith(b"no database")


def test_a_file_begun_anew_gives_no_number_twice(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for _ in range(300):
        put(box, size=500)
    box.close()
    content = bytearray((tmp_path / "outbox.db").read_bytes())
    content[4096 : 40 * 4096] = b"\xa5" * (39 * 4096)
    (tmp_path / "outbox.db").write_bytes(content)
    assert put(box) == 301
    assert len(list(tmp_path.glob("outbox.db.damaged-*"))) == 1


def test_threads_share_it(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    threads = [threading.Thread(target=lambda: [put(box) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [number for number, _ in states(box)] == list(range(1, 81))


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    put(box)
    assert (tmp_path / "outbox.db").stat().st_mode & 0o077 == 0


CHILD = """
import sys
from pathlib import Path
from probes.outbox import Outbox
box = Outbox(Path(sys.argv[1]), 10**8, 10**18, keep_free_bytes=0)
while True:
    print("put", box.put("b1", lambda number: b"%d" % number, 1, 10**18), flush=True)
    if (row := box.oldest()) is not None and row.number % 3:
        box.done(row.boot, row.number)
        print("done", row.number, flush=True)
    elif row is not None:
        box.reject(row.boot, row.number, "no")
        print("rejected", row.number, flush=True)
"""


def test_a_kill_loses_and_doubles_nothing(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    told: list[tuple[str, int]] = []
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for _, line in zip(range(60), child.stdout, strict=False):
            told.append((line.split()[0], int(line.split()[1])))
        child.kill()
        told += [(line.split()[0], int(line.split()[1])) for line in child.stdout if line.endswith("\n")]
        child.stdout.close()
        child.wait()
    ledger = dict(states(outbox(tmp_path)))
    numbers = [number for word, number in told if word == "put"]
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) <= set(ledger)
    assert sorted(ledger) == list(range(1, max(ledger) + 1))
    assert len(ledger) - len(numbers) <= 3  # stored, but killed before it could say so
    for word, number in told:
        if word != "put":
            assert ledger[number] is (State.ACKNOWLEDGED if word == "done" else State.REJECTED)
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
