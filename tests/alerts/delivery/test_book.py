"""The book: all or nothing, order within an alert, its bound, and what it says when the disk is bad."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from alerts.delivery import rows as book_rows
from alerts.delivery.book import Book
from linkgauge.errors import StoreError
from tests.alerts.notices import body


def test_memory_and_notices_outlive_the_process(tmp_path: Path) -> None:
    first = Book(tmp_path / "alerts.db")
    assert first.memory() is None
    first.record(b"one", [("a", b"1")], ["hook"], 5)
    first.record(b"two", [], ["hook"], 6)
    first.close()
    again = Book(tmp_path / "alerts.db")
    assert again.memory() == b"two"
    assert [(head.alert, head.body) for head in again.waiting("hook", 10)] == [("a", b"1")]
    again.close()


def test_what_waits_of_each_receiver_and_what_became_of_it(tmp_path: Path) -> None:
    book = Book(tmp_path / "alerts.db")
    book.record(b"", [("a", b"1"), ("b", b"2"), ("a", b"3")], ["hook", "other"], 0)
    heads = book.waiting("hook", 10)
    assert [head.body for head in heads] == [b"1", b"2", b"3"]
    assert [head.body for head in book.waiting("hook", 1)] == [b"1"]
    book.delivered([heads[0].seq], 1)
    book.delivered([heads[0].seq], 2)
    book.given_up(heads[1].seq, 1)
    assert [head.body for head in book.waiting("hook", 10)] == [b"3"]
    others = [head.seq for head in book.waiting("other", 10)]
    book.delivered(others[:2], 3)
    book.passed_by(others[2:], 3)
    assert book.totals() == {"waiting": 1, "delivered": 3, "given_up": 1, "dropped": 0}
    none = {"waiting": 0, "delivered": 0, "digested": 0, "given_up": 0, "dropped": 0, "passed_by": 0}
    assert book.tally("hook") == {**none, "waiting": 1, "delivered": 1, "given_up": 1}
    assert book.tally("other") == {**none, "delivered": 2, "digested": 2, "passed_by": 1}
    assert book.tally("nobody") == none
    book.close()


def test_above_the_bound_the_oldest_go_first_and_are_counted(tmp_path: Path) -> None:
    book = Book(tmp_path / "alerts.db", max_waiting=3)
    for at in range(5):
        book.record(b"", [(f"a{at}", b"%d" % at)], ["hook"], at)
    assert [head.body for head in book.waiting("hook", 10)] == [b"2", b"3", b"4"]
    assert book.totals() == {"waiting": 3, "delivered": 0, "given_up": 0, "dropped": 2}
    book.close()


def test_tickets_push_no_page_out(tmp_path: Path) -> None:
    book = Book(tmp_path / "alerts.db", max_waiting=3)
    told = [("a", body(id="a")), *((f"t{at}", body(id=f"t{at}", severity="ticket")) for at in range(4))]
    book.record(b"", told, ["hook"], 0)
    assert [each.alert for each in book.waiting("hook", 9)] == ["a", "t2", "t3"]
    book.record(b"", [(f"p{at}", body(id=f"p{at}")) for at in range(3)], ["hook"], 0)
    assert [each.alert for each in book.waiting("hook", 9)] == ["p0", "p1", "p2"]
    assert book.totals()["dropped"] == 5


def test_what_is_done_is_kept_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_rows, "KEPT_DONE", 3)
    book = Book(tmp_path / "alerts.db")
    for at in range(6):
        book.record(b"", [("a", b"%d" % at)], ["hook"], at)
        book.delivered([book.waiting("hook", 1)[0].seq], at)
    with sqlite3.connect(tmp_path / "alerts.db") as db:
        kept = db.execute("SELECT body, outcome, done_ns FROM notice ORDER BY seq").fetchall()
    db.close()
    assert kept == [
        (b"3", "delivered", 3),
        (b"4", "delivered", 4),
        (b"5", "delivered", 5),
    ]
    assert book.totals()["delivered"] == 6
    book.close()


def test_nothing_of_a_record_stays_when_any_of_it_fails(tmp_path: Path) -> None:
    book = Book(tmp_path / "alerts.db")
    book.record(b"one", [], ["hook"], 0)
    assert book._file._opened is not None
    book._file._opened.writer.execute("PRAGMA max_page_count = 20")
    with pytest.raises(StoreError, match="make room on its disk"):
        book.record(b"two", [("a", b"1" * 100_000)], ["hook"], 1)
    assert book.memory() == b"one"
    assert book.totals()["waiting"] == 0
    book.close()


def test_a_damaged_file_is_moved_aside_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "alerts.db"
    path.write_bytes(b"no database" * 100)
    book = Book(path)
    assert book.memory() is None
    book.record(b"one", [("a", b"1")], ["hook"], 0)
    book.close()
    again = Book(path)
    assert again.memory() == b"one"
    again.close()
    aside = list(tmp_path.glob("alerts.db.damaged-*"))
    assert [each.read_bytes()[:11] for each in aside] == [b"no database"]
    assert [str(aside[0]) in line.getMessage() for line in caplog.records] == [True]


def test_a_file_damaged_in_its_middle_is_found_at_open(tmp_path: Path) -> None:
    path = tmp_path / "alerts.db"
    book = Book(path)
    book.record(b"one" * 10_000, [("a", b"1" * 1000)] * 20, ["hook"], 0)
    book.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    again = Book(path)
    assert again.memory() is None
    again.close()
    assert len(list(tmp_path.glob("alerts.db.damaged-*"))) == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        Book(tmp_path / "file" / "alerts.db")
    (tmp_path / "alerts.db").mkdir()
    with pytest.raises(StoreError, match="let its owner write"):
        Book(tmp_path / "alerts.db")


def test_after_close_it_says_so(tmp_path: Path) -> None:
    book = Book(tmp_path / "alerts.db")
    book.close()
    with pytest.raises(StoreError, match=r"alerts\.db"):
        book.waiting("hook", 1)


def test_all_its_files_are_for_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        book = Book(tmp_path / "book.db")
        book.record(b"one", [], [], 0)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        book.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("book.db", "book.db-wal", "book.db-shm"), 0o600)


def test_an_answer_to_a_notice_of_a_lost_file_settles_none_of_the_new_one(tmp_path: Path) -> None:
    book = Book(tmp_path / "book.db")
    book.record(b"one", [("a", b"1")], ["hook"], 5)
    (told,) = book.waiting("hook", 9)
    (tmp_path / "book.db").unlink()
    book.record(b"two", [("b", b"2")], ["hook"], 6)
    book.delivered([told.seq], 7)
    assert [head.body for head in book.waiting("hook", 9)] == [b"2"]
    assert book.totals()["delivered"] == 0
    book.close()
