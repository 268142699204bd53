"""What waits for a book that cannot be written: bounded, named, for those who want it."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.delivery import unwritten as unwritten_module
from alerts.delivery.book import Book
from alerts.delivery.unwritten import Unwritten
from alerts.receivers.receiver import Policy
from linkgauge.errors import StoreError
from tests.alerts.deaf import Deaf
from tests.alerts.notices import body

PAGES = Deaf("pages", Policy(severities=("page",)))
ALL = Deaf("all", Policy())


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "alerts.db")


def test_only_who_wants_a_notice_has_it_waiting(book: Book) -> None:
    unwritten = Unwritten(book, [PAGES, ALL])
    for name, severity in (("a", "page"), ("t", "ticket")):
        unwritten.add(name, body(id=name, severity=severity))
    assert unwritten.write(b"memory", {"a", "t"}, 0)
    assert [each.alert for each in book.waiting("pages", 9)] == ["a"]
    assert [each.alert for each in book.waiting("all", 9)] == ["a", "t"]
    assert book.tally("pages")["passed_by"] == 1
    assert not unwritten.write(b"memory", {"a", "t"}, 0), "nothing new"
    assert len(unwritten) == 0


def test_while_the_book_cannot_be_written_tickets_go_first_and_are_named(
    book: Book, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(unwritten_module, "MOST_UNWRITTEN", 3)
    unwritten = Unwritten(book, [ALL])

    def full(*_: object) -> None:
        raise StoreError("alerts.db: full; make room on its disk")

    with monkeypatch.context() as patch:
        patch.setattr(book, "record", full)
        unwritten.add("old", body("resolved", id="old"))
        unwritten.add("a", body(id="a"))
        for at in range(4):
            unwritten.add(f"t{at}", body(id=f"t{at}", severity="ticket"))
            assert not unwritten.write(b"memory", (), 0)
    assert (len(unwritten), unwritten.dropped) == (3, 3)
    assert unwritten.write(b"memory", (), 0)
    assert [each.alert for each in book.waiting("all", 9)] == ["old", "a", "t3"]
    said = [each.getMessage() for each in caplog.records]
    assert said[0] == "alerts.db: full; make room on its disk; until then nobody is told of alerts"
    assert said[1:4] == [
        f"more than 3 notices wait for the book; dropped: 1 of alerts that it never hears of: t{at}"
        for at in range(3)
    ]
    assert said[4:] == ["the book of alerts is written again; 3 notices waited for it"]
