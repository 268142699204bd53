"""The outbox: numbers, order, bounds, faults of the disk, and a kill in mid-run."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkgauge.clock import NS_PER_S
from linkgauge.packing import ZSTD, pack
from probes.upload.outbox import Counts, Outbox, State
from tests.probes.fake_clock import T0_NS, FakeClock
from tests.probes.outboxes import DAY_NS, oldest, outbox, put, states, unpacked


def test_numbers_count_from_one_in_each_boot_and_survive_a_restart(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    assert [put(box), put(box), put(box, "b2")] == [1, 2, 1]
    box.close()
    assert put(outbox(tmp_path)) == 3


def test_oldest_stays_until_done_and_the_ledger_keeps_its_fate(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    put(box)
    put(box)
    first, second = box.waiting(5)
    assert first == oldest(box)
    assert (first.boot, first.number, first.created_ns, first.rows) == ("b1", 1, T0_NS, 7)
    assert unpacked(first) == b"\1" * 10
    box.done([first.seq])
    box.done([first.seq, 77])  # an acknowledgement that comes twice counts once
    assert box.ledger() == [("b1", 1, 7, State.ACKNOWLEDGED), ("b1", 2, 7, State.WAITING)]
    assert box.counts() == Counts(1, len(second.body), T0_NS, produced=2, acknowledged=1)


def test_a_rejected_batch_is_kept_with_the_servers_words(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    put(box)
    box.reject(oldest(box).seq, "starts in the future")
    assert box.waiting(1) == []
    ((row, words),) = box.dead_letters()
    assert (row.number, unpacked(row), words) == (1, b"\1" * 10, "starts in the future")
    assert box.counts() == Counts(produced=1, rejected=1)


def test_dead_letters_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.upload.outbox_file.DEAD_LETTERS", 2)
    box = outbox(tmp_path)
    for _ in range(4):
        put(box)
        box.reject(oldest(box).seq, "no")
    assert [row.number for row, _ in box.dead_letters()] == [3, 4]
    assert box.counts().rejected == 4


def test_the_ledger_is_bounded_and_never_forgets_what_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probes.upload.outbox_file.LEDGER_ROWS", 3)
    box = outbox(tmp_path)
    put(box)
    for _ in range(6):
        put(box)
        box.done([box.waiting(2)[1].seq])
    put(box)
    assert [number for number, _ in states(box)] == [1, 6, 7, 8]
    assert box.counts().acknowledged == 6


def test_over_size_the_oldest_are_dropped_and_counted(tmp_path: Path) -> None:
    octets = len(pack(b"\1" * 10))
    box = outbox(tmp_path, max_bytes=3 * octets)
    for _ in range(5):
        put(box)
    assert states(box) == [(1, State.DROPPED), (2, State.DROPPED), *((n, State.WAITING) for n in (3, 4, 5))]
    box.close()
    assert outbox(tmp_path).counts() == Counts(3, 3 * octets, T0_NS, produced=5, dropped=2)


def test_what_was_dropped_on_its_way_and_arrived_is_not_lost(tmp_path: Path) -> None:
    box = outbox(tmp_path, max_bytes=50)
    put(box)
    sent = oldest(box)
    for _ in range(5):
        put(box)
    dropped = box.counts().dropped
    assert dropped > 1
    box.done([sent.seq])
    box.done([sent.seq])
    counts = box.counts()
    assert (counts.dropped, counts.acknowledged, counts.produced) == (dropped - 1, 1, 6)
    assert states(box)[0] == (1, State.ACKNOWLEDGED)


def test_too_old_batches_are_dropped(tmp_path: Path) -> None:
    clock = FakeClock()
    box = outbox(tmp_path, clock=clock)
    put(box)
    clock.advance(2 * DAY_NS)
    put(box, created_ns=clock.now().wall_ns)
    assert states(box) == [(1, State.DROPPED), (2, State.WAITING)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=25)
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
            row = oldest(box)
            assert row.number == waiting.pop(0)
            twin[row.number] = State.ACKNOWLEDGED if step == "done" else State.REJECTED
            box.done([row.seq]) if step == "done" else box.reject(row.seq, "no")
    assert dict(states(box)) == twin
    counts = box.counts()
    assert counts.produced == len(twin) == counts.waiting + counts.acknowledged + counts.rejected
    box.close()


def test_a_failing_encoder_takes_no_number(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    with pytest.raises(ZeroDivisionError):
        box.put("b1", lambda number: b"x" * (1 // 0), 1, T0_NS)
    assert put(box) == 1


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


def test_rows_are_chosen_by_time_and_by_what_is_in_hand(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for age_s in (5, 30, 20, 10, 1):  # the clock was set back after the first
        put(box, created_ns=T0_NS - age_s * NS_PER_S)

    def numbers(**how: Any) -> list[int]:
        return [row.number for row in box.waiting(9, **how)]

    assert numbers() == [2, 3, 4, 1, 5]
    assert numbers(from_ns=T0_NS - 10 * NS_PER_S) == [4, 1, 5]
    assert numbers(before_ns=T0_NS - 10 * NS_PER_S) == [2, 3]
    assert numbers(from_ns=T0_NS - 20 * NS_PER_S, before_ns=T0_NS - 5 * NS_PER_S) == [3, 4]
    in_hand = {row.seq for row in box.waiting(2)}
    assert [row.number for row in box.waiting(2, skip=in_hand)] == [4, 1]


def test_many_are_done_at_once(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for _ in range(10):
        put(box)
    box.done(row.seq for row in box.waiting(8))
    assert [row.number for row in box.waiting(9)] == [9, 10]
    assert box.counts().acknowledged == 8


def test_age_is_bounded_also_when_nothing_is_put(tmp_path: Path) -> None:
    clock = FakeClock()
    box = outbox(tmp_path, clock=clock)
    put(box)
    put(box, created_ns=T0_NS + 10)
    clock.advance(DAY_NS + 5)
    assert [row.number for row in box.waiting(5)] == [2]
    assert box.counts().dropped == 1
    clock.advance(DAY_NS)
    assert box.waiting(5) == []
    assert (box.counts().dropped, box.counts().waiting_octets) == (2, 0)


OLD = """
CREATE TABLE batch (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, boot TEXT NOT NULL, number INTEGER NOT NULL,
    created_ns INTEGER NOT NULL, rows INTEGER NOT NULL, state INTEGER NOT NULL, size INTEGER NOT NULL,
    sentence TEXT, body BLOB, UNIQUE (boot, number));
CREATE INDEX waiting ON batch (seq) WHERE state = 0;
CREATE INDEX dead ON batch (seq) WHERE state = 3;
CREATE TABLE boot (boot TEXT PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE total (state INTEGER PRIMARY KEY, batches INTEGER NOT NULL);
INSERT INTO total VALUES (0, 3), (1, 1), (2, 0), (3, 0);
INSERT INTO boot VALUES ('b0', 3);
INSERT INTO batch VALUES (1, 'b0', 1, 5, 1, 1, 4, NULL, NULL);
INSERT INTO batch VALUES (2, 'b0', 2, 6, 1, 0, 4, NULL, x'86616263');
INSERT INTO batch VALUES (3, 'b0', 3, 7, 1, 0, 4, NULL, x'86646566');
"""


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "outbox.db") as db:
        db.executescript(OLD)
    db.close()
    box = Outbox(tmp_path / "outbox.db", 10**6, 1 << 61, keep_free_bytes=0, clock=FakeClock())
    assert put(box) == 1
    assert box.counts() == Counts(3, 8 + len(oldest_of_now(box)), 6, produced=4, acknowledged=1)
    assert [(row.boot, row.number, unpacked(row)) for row in box.waiting(2)] == [
        ("b0", 2, b"\x86abc"),
        ("b0", 3, b"\x86def"),
    ]
    assert all(row.body.startswith(ZSTD) for row in box.waiting(3))


def oldest_of_now(box: Outbox) -> bytes:
    return box.waiting(9, from_ns=T0_NS)[0].body


def test_a_put_stays_cheap_behind_a_long_backlog(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "outbox.db", 10**9, 1 << 61, keep_free_bytes=0, clock=FakeClock())
    put(box)
    box.close()
    _fill_up(tmp_path / "outbox.db", 60_000)
    box = Outbox(tmp_path / "outbox.db", 10**9, 1 << 61, keep_free_bytes=0, clock=FakeClock())
    assert box.counts().waiting == 60_001
    steps = _steps(box, lambda: put(box))
    assert put(box, "b2") == 1
    assert steps < 2000  # of SQLite's machine; a look at all that waits takes 60 000 and more
    assert _steps(box, lambda: box.waiting(4)) < 2000
    assert _steps(box, box.counts) < 2000


def _fill_up(path: Path, rows: int) -> None:
    with sqlite3.connect(path) as db:
        db.executemany(
            "INSERT INTO batch (boot, number, created_ns, rows, state, size, body) "
            "VALUES ('b0', ?, ?, 1, 0, 9, ?)",
            ((number, T0_NS + number, pack(b"x")) for number in range(1, rows + 1)),
        )
    db.close()


def _steps(box: Outbox, call: Callable[[], object]) -> int:
    """Instructions of SQLite's machine that the call takes, to the next hundred."""
    seen = 0

    def count() -> int:
        nonlocal seen
        seen += 100
        return 0

    opened = box._file._opened
    assert opened is not None
    for db in (opened.writer, opened.reader):
        db.set_progress_handler(count, 100)
    call()
    for db in (opened.writer, opened.reader):
        db.set_progress_handler(None, 0)
    return seen
