"""Delivery to a real server and to a scripted one: order, retries, giving up, stopping."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.book import Book
from alerts.delivery import Delivery
from alerts.webhook import Webhook
from linkgauge.errors import SinkBusy, SinkRejected
from tests.alerts.server import eventually, receiving
from tests.alerts.world import FakeClock


class Scripted:
    """A receiver whose answers are a list of errors or None; then always None."""

    name = "hook"

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.tried: list[bytes] = []

    def deliver(self, body: bytes) -> None:
        self.tried.append(body)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(tmp_path / "alerts.db")
    yield made
    made.close()


def delivering(book: Book, receiver: Scripted | Webhook, first_wait_s: float = 0.01) -> Delivery:
    delivery = Delivery(book, receiver, FakeClock(), first_wait_s, chance=lambda: 1.0)
    delivery.start()
    return delivery


def test_what_waits_is_delivered_and_what_comes_later_after_a_wake(book: Book) -> None:
    book.record(b"", [("a", b"1"), ("a", b"2")], ["hook"], 0)
    receiver = Scripted()
    delivery = delivering(book, receiver)
    eventually(lambda: book.totals()["delivered"] == 2)
    book.record(b"", [("b", b"3")], ["hook"], 0)
    delivery.wake()
    eventually(lambda: book.totals()["delivered"] == 3)
    delivery.stop()
    assert receiver.tried == [b"1", b"2", b"3"]


def test_later_is_tried_again_in_order_and_other_alerts_go_first(book: Book) -> None:
    book.record(b"", [("a", b"a1"), ("a", b"a2"), ("b", b"b1")], ["hook"], 0)
    receiver = Scripted(SinkBusy("webhook hook: no"), SinkBusy("webhook hook: no"))
    delivery = delivering(book, receiver)
    eventually(lambda: book.totals()["delivered"] == 3)
    delivery.stop()
    assert receiver.tried == [b"a1", b"b1", b"a1", b"b1", b"a2"]


def test_never_is_given_up_counted_and_said_once(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    book.record(b"", [("a", b"1"), ("b", b"2")], ["hook"], 0)
    delivery = delivering(book, Scripted(SinkRejected("webhook hook: refused with status 400", 1)))
    eventually(lambda: book.totals()["waiting"] == 0)
    delivery.stop()
    assert book.totals() == {"waiting": 0, "delivered": 1, "given_up": 1, "dropped": 0}
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == ["webhook hook: refused with status 400; alert a was given up"]


def test_standing_trouble_is_said_once_and_when_it_is_over(
    book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    book.record(b"", [("a", b"1")], ["hook"], 0)
    delivery = delivering(book, Scripted(*[SinkBusy("webhook hook: no answer")] * 4))
    eventually(lambda: book.totals()["delivered"] == 1)
    delivery.stop()
    assert [record.message for record in caplog.records] == [
        "webhook hook: no answer; alerts wait in the book and are tried again",
        "webhook hook: alerts are delivered again",
    ]


def test_waits_grow_up_to_a_bound(book: Book) -> None:
    delivery = Delivery(book, Scripted(), FakeClock(), 1.0, chance=lambda: 0.0)
    waits = []
    for failures in (1, 2, 3, 7, 100):
        delivery._failures = failures
        waits.append(delivery._wait_s())
    assert waits == [0.5, 1.0, 2.0, 30.0, 30.0]


def test_stop_ends_a_long_wait(book: Book) -> None:
    book.record(b"", [("a", b"1")], ["hook"], 0)
    receiver = Scripted(SinkBusy("webhook hook: no", retry_after_s=300.0))
    delivery = delivering(book, receiver)
    eventually(lambda: len(receiver.tried) == 1)
    stopping = threading.Thread(target=delivery.stop)
    stopping.start()
    stopping.join(10)
    assert not stopping.is_alive()
    assert book.totals()["waiting"] == 1


def test_stop_without_a_start(book: Book) -> None:
    Delivery(book, Scripted(), FakeClock()).stop()


def test_a_receiver_that_is_down_at_first(book: Book) -> None:
    with receiving() as received:
        url = received.url
    book.record(b"", [("a", b'{"id": 1}')], ["hook"], 0)
    delivery = delivering(book, Webhook("hook", url))
    eventually(lambda: delivery._failures >= 2)
    with receiving(port=int(url.rpartition(":")[2].partition("/")[0])) as received:
        received.wait(1)
        eventually(lambda: book.totals()["delivered"] == 1)
        delivery.stop()
    assert received.bodies == [{"id": 1}]


def test_500_and_then_200(book: Book) -> None:
    book.record(b"", [("a", b'{"id": 1}'), ("a", b'{"id": 2}')], ["hook"], 0)
    with receiving(500, 500) as received:
        delivery = delivering(book, Webhook("hook", received.url))
        eventually(lambda: book.totals()["delivered"] == 2)
        delivery.stop()
    assert received.bodies == [{"id": 1}] * 3 + [{"id": 2}]


def test_a_bad_book_is_waited_for(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    book.close()
    delivery = delivering(book, Scripted())
    eventually(lambda: any("cannot be used" in record.message for record in caplog.records))
    delivery.stop()


def test_a_bug_in_a_receiver_delays_and_does_not_end_the_delivery(
    book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    book.record(b"", [("a", b"1")], ["hook"], 0)
    receiver = Scripted(RuntimeError("a bug"))
    delivery = delivering(book, receiver)
    eventually(lambda: book.totals()["delivered"] == 1)
    delivery.stop()
    assert receiver.tried == [b"1", b"1"]
    assert "a delivery failed and is tried again" in caplog.text
