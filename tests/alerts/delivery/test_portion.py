"""A digest that is refused for one notice: found in a few messages, and the rest goes in large ones again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from alerts.delivery.book import Book
from alerts.delivery.delivery import Delivery
from alerts.delivery.portion import GROW_AFTER, Portion
from alerts.receivers.receiver import Policy
from linkgauge.clock import NS_PER_S
from linkgauge.errors import SinkRejected
from tests.alerts.notices import body
from tests.alerts.world import FakeClock

BAD = b'"id":"bad"'


class Picky:
    """Refuses what holds a bad notice, or more notices than it takes. It counts its messages."""

    name, kind, trouble = "hook", "webhook", None

    def __init__(self, policy: Policy, takes: int = 1 << 30) -> None:
        self.policy, self._takes = policy, takes
        self.messages, self.refused = 0, 0
        self.told: list[bytes] = []

    def deliver(self, bodies: Sequence[bytes]) -> str:
        self.messages += 1
        if len(bodies) > self._takes or any(BAD in each for each in bodies):
            self.refused += 1
            raise SinkRejected("webhook hook: refused with status 400", len(bodies))
        self.told += bodies
        return "taken"

    def close(self) -> None:
        """Nothing is held."""


def minutes(book: Book, receiver: Picky) -> float:
    """How long it takes until nothing waits, by the clock of the delivery."""
    clock = FakeClock()
    delivery, began = Delivery(book, receiver, clock), clock.now().mono_ns
    while (wait_s := delivery._pass()) is not None:
        clock.advance(int(wait_s * NS_PER_S) + 1)
    delivery.stop()
    return (clock.now().mono_ns - began) / NS_PER_S / 60


@pytest.mark.parametrize("bad", [0, 299, 599])
def test_many_with_a_bad_one_go_in_minutes(tmp_path: Path, bad: int) -> None:
    names = ["bad" if at == bad else f"n{at:03}" for at in range(600)]
    book = Book(tmp_path / "alerts.db")
    book.record(b"", [(name, body(id=name)) for name in names], ["hook"], 0)
    receiver = Picky(Policy(max_per_minute=20))
    assert minutes(book, receiver) < 10
    assert len(receiver.told) == len(set(receiver.told)) == 599
    assert book.tally("hook")["given_up"] == 1
    book.close()


def test_who_takes_no_digest_is_told_one_by_one_and_seldom_asked(tmp_path: Path) -> None:
    book = Book(tmp_path / "alerts.db")
    book.record(b"", [(f"n{at}", body(id=f"n{at}")) for at in range(60)], ["hook"], 0)
    receiver = Picky(Policy(max_per_minute=20), takes=1)
    minutes(book, receiver)
    assert (len(receiver.told), book.tally("hook")["given_up"]) == (60, 0)
    assert receiver.refused <= 60 / GROW_AFTER + 6
    book.close()


def test_what_stands_is_told_in_halves_where_it_is_refused(tmp_path: Path) -> None:
    book = Book(tmp_path / "alerts.db")
    names = [f"n{at:03}" for at in range(400)]
    book.record(b"", [(name, body(id=name)) for name in names], ["hook"], 0)
    receiver, clock = Picky(Policy(gathers=True, resend_s=60.0)), FakeClock()
    delivery = Delivery(book, receiver, clock)
    delivery._pass()
    before, receiver.told = receiver.messages, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.alerts.delivery.test_portion.BAD", b'"id":"n123"')
        clock.advance(60 * NS_PER_S)
        delivery._pass()
    assert len(receiver.told) == 399
    assert receiver.messages - before < 25
    assert "refused" in str(delivery.standing()["trouble"])
    delivery.stop()
    book.close()


def test_it_halves_and_grows() -> None:
    portion = Portion(500)
    portion.taken(500)
    assert portion.size == 500
    portion.refused(500)
    portion.refused(250)
    assert portion.size == 125
    for _ in range(GROW_AFTER):
        portion.taken(3)
    assert portion.size == 125, "of few nothing is learnt"
    for _ in range(GROW_AFTER * 4):
        portion.taken(portion.size)
    assert portion.size == 500
    portion.refused(1)
    assert portion.size == 1
