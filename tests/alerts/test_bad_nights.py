"""What breaks at night: a receiver away for an hour, a disk that is full, a book that is lost."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from alerts.delivery.book import Book, Stands
from alerts.delivery.delivery import Delivery
from alerts.engine import AlertEngine
from alerts.receivers.receiver import Policy
from alerts.receivers.told import Told
from alerts.roll.subject import Subjects
from linkgauge.clock import NS_PER_S
from linkgauge.errors import SinkBusy, SinkRejected, StoreError
from tests.alerts.deaf import Deaf
from tests.alerts.notices import body
from tests.alerts.world import FIRST_NS, FakeClock, rule, spec, state

AN_HOUR = 60
"""Minutes, in each of which a receiver that is away is asked once."""


class Away:
    """A receiver that answers nothing until it is back; then it refuses for good what has a bad id."""

    name, kind, trouble = "hook", "webhook", None

    def __init__(self, policy: Policy) -> None:
        self.policy, self.back = policy, False
        self.told: list[list[str]] = []

    def deliver(self, bodies: Sequence[bytes]) -> str:
        if not self.back:
            raise SinkBusy("webhook hook: no answer")
        ids = [Told.read(each).id for each in bodies]
        if "bad" in ids:
            raise SinkRejected("webhook hook: refused with status 400", len(ids))
        self.told.append(ids)
        return "taken"

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("policy", [Policy(), Policy(max_per_minute=20)])
def test_after_an_hour_away_the_oldest_pages_are_told_first(tmp_path: Path, policy: Policy) -> None:
    """Though each of them was tried meanwhile, and the tickets were not."""
    book, clock, receiver = Book(tmp_path / "alerts.db"), FakeClock(), Away(policy)
    pages, tickets = ([f"{kind}{at:03}" for at in range(70)] for kind in "pt")
    notices = [*((name, body(id=name)) for name in pages)]
    notices += [(name, body(id=name, severity="ticket")) for name in tickets]
    book.record(b"", notices, ["hook"], 0)
    delivery = Delivery(book, receiver, clock)
    for _ in range(AN_HOUR):
        with pytest.raises(SinkBusy):
            delivery._pass()
        clock.advance(60 * NS_PER_S)
    receiver.back = True
    while (wait_s := delivery._pass()) is not None:
        clock.advance(int(wait_s * NS_PER_S) + 1)
    delivery.stop()
    told = [each for message in receiver.told for each in message]
    assert sorted(told) == pages + tickets
    assert sorted(told[:70]) == pages
    assert told[1:60] == pages[:59], "the first of all is the one that showed that it is back"
    book.close()


def test_a_refused_notice_holds_nothing_up_while_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, receiver = Book(tmp_path / "alerts.db"), Away(Policy())
    receiver.back = True
    book.record(b"", [(name, body(id=name)) for name in ("bad", "a", "b")], ["hook"], 0)
    delivery = Delivery(book, receiver, FakeClock())

    def full(*_: object) -> None:
        raise StoreError("alerts.db: full; make room on its disk")

    with monkeypatch.context() as patch:
        for name in ("delivered", "given_up", "passed_by"):
            patch.setattr(book, name, full)
        delivery = Delivery(book, receiver, FakeClock())
        with pytest.raises(StoreError):
            delivery._pass()
        assert receiver.told == [["a"], ["b"]]
    delivery.stop()
    again = Delivery(book, receiver, FakeClock())
    again._pass()
    assert book.totals()["waiting"] == 0
    again.stop()
    book.close()


def test_what_fires_is_told_again_though_the_disk_cannot_be_written(tmp_path: Path) -> None:
    """Else an Alertmanager would take all that fires for over."""
    book = Book(tmp_path / "alerts.db")
    ended = Stands("hook", "b", body("resolved", id="b"), 5)
    book.record(b"", [], ["hook"], 0, stands=[Stands("hook", "a", body(id="a"), None), ended])
    assert book._file._opened is not None
    book._file._opened.writer.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreError):
        book.record(b"", [], ["hook"], 0)
    assert book.standing("hook", 5) == [body(id="a"), body("resolved", id="b")]
    assert book.standing("hook", 6) == [body(id="a")]
    book.close()


def test_a_book_that_is_lost_while_we_run_silences_nothing_that_fires(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What waited in it is told after all, and who forgets hears on of what fires; once."""
    receivers = [Deaf("mail", Policy()), Deaf("noc", Policy(gathers=True, resend_s=60.0))]
    links = [spec("a-1", "z-1"), spec("b-1", "z-1")]
    book = Book(tmp_path / "alerts.db")
    rules = [rule("link-unreachable", hold_windows=1, clear_windows=1)]
    engine = AlertEngine(rules, Subjects(links), book, receivers, FakeClock(FIRST_NS))

    def window(number: int, *unanswered_s: float) -> None:
        rows = [{"unanswered_s": each} for each in unanswered_s]
        engine.observe({"state": state(rows, number, links)})

    def waiting() -> list[str]:
        return [each.alert.split("/")[1][:3] for each in book.waiting("mail", 9)]

    window(0, 8.0, 0.0)
    assert waiting() == ["a-1"]
    (tmp_path / "alerts.db").unlink()
    caplog.set_level(logging.ERROR)
    for number in (1, 2, 3):
        window(number, 8.0, 8.0)
        assert sorted(waiting()) == ["a-1", "b-1"]
    standing = [Told.read(each).link for each in book.standing("noc", FIRST_NS)]
    assert str(links[0].link) in standing
    said = [each.getMessage() for each in caplog.records]
    assert "the book of alerts was lost; 1 alerts that fire are told once more" in said
    engine.stop()
    book.close()
