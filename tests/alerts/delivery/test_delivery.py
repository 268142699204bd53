"""Delivery to a real server and to a scripted one: order, retries, pace, filters, digests, giving up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from alerts.delivery.book import Book, Stands
from alerts.delivery.delivery import Delivery
from alerts.receivers.receiver import Policy, Receiver
from alerts.receivers.webhook import Webhook
from linkgauge.clock import NS_PER_S
from linkgauge.errors import SinkBusy, SinkRejected, StoreError
from tests.alerts.notices import body
from tests.alerts.server import eventually, receiving
from tests.alerts.world import FakeClock
from tests.ports import own_port

A1, A2, B1, C1 = body(id="a"), body("resolved", id="a"), body(id="b"), body(id="c")


class Scripted:
    """A receiver whose answers are a list of errors or None; then always None."""

    name, kind = "hook", "webhook"

    def __init__(self, *answers: Exception | None, policy: Policy | None = None) -> None:
        self.answers = list(answers)
        self.policy = policy or Policy()
        self.trouble: str | None = None
        self.tried: list[tuple[bytes, ...]] = []

    def deliver(self, bodies: Sequence[bytes]) -> str:
        self.tried.append(tuple(bodies))
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return "taken"

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(tmp_path / "alerts.db")
    yield made
    made.close()


def record(book: Book, *told: tuple[str, bytes]) -> None:
    book.record(b"", told, ["hook"], 0)


def delivering(
    book: Book, receiver: Receiver, first_wait_s: float = 0.01, clock: FakeClock | None = None
) -> Delivery:
    delivery = Delivery(book, receiver, clock or FakeClock(), first_wait_s, chance=lambda: 1.0)
    delivery.start()
    return delivery


def outcome(book: Book, **expected: int) -> dict[str, int]:
    names = ("waiting", "delivered", "digested", "given_up", "dropped", "passed_by")
    return {name: expected.get(name, 0) for name in names}


def test_what_waits_is_delivered_and_what_comes_later_after_a_wake(book: Book) -> None:
    record(book, ("a", A1), ("a", A2))
    receiver = Scripted()
    delivery = delivering(book, receiver)
    eventually(lambda: book.totals()["delivered"] == 2)
    record(book, ("b", B1))
    delivery.wake()
    eventually(lambda: book.totals()["delivered"] == 3)
    delivery.stop()
    assert receiver.tried == [(A1,), (A2,), (B1,)]


def test_later_is_tried_again_in_order_and_other_alerts_go_first(book: Book) -> None:
    record(book, ("a", A1), ("a", A2), ("b", B1))
    receiver = Scripted(SinkBusy("webhook hook: no"), SinkBusy("webhook hook: no"))
    delivery = delivering(book, receiver)
    eventually(lambda: book.totals()["delivered"] == 3)
    delivery.stop()
    assert receiver.tried == [(A1,), (B1,), (A1,), (A2,), (B1,)]


def test_pages_go_before_tickets(book: Book) -> None:
    ticket = body(id="t", severity="ticket")
    record(book, ("t", ticket), ("a", A1))
    receiver = Scripted()
    delivery = delivering(book, receiver)
    eventually(lambda: book.totals()["delivered"] == 2)
    delivery.stop()
    assert receiver.tried == [(A1,), (ticket,)]


def test_never_is_given_up_counted_and_said_once(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    record(book, ("a", A1), ("b", B1))
    delivery = delivering(book, Scripted(SinkRejected("webhook hook: refused with status 400", 1)))
    eventually(lambda: book.totals()["waiting"] == 0)
    delivery.stop()
    assert book.totals() == {"waiting": 0, "delivered": 1, "given_up": 1, "dropped": 0}
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == ["webhook hook: refused with status 400; alert a was given up"]
    assert delivery.standing()["trouble"] is None, "the next was taken"


def test_a_receiver_that_gives_up_all_is_in_trouble(book: Book) -> None:
    record(book, ("a", A1))
    delivery = delivering(book, Scripted(SinkRejected("webhook hook: refused with status 400", 1)))
    eventually(lambda: book.totals()["waiting"] == 0)
    delivery.stop()
    told = delivery.standing()
    assert told["trouble"] == "webhook hook: refused with status 400; alert a was given up"
    assert told["trouble_since"] is not None


def test_what_is_no_notice_is_given_up(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    record(book, ("a", b"no json"), ("b", B1))
    receiver = Scripted()
    delivery = delivering(book, receiver)
    eventually(lambda: book.totals()["waiting"] == 0)
    delivery.stop()
    assert receiver.tried == [(B1,)]
    assert "this is no notice of an alert" in caplog.text
    assert book.tally("hook") == outcome(book, delivered=1, given_up=1)


def test_standing_trouble_is_said_once_and_when_it_is_over(
    book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    record(book, ("a", A1))
    delivery = delivering(book, Scripted(*[SinkBusy("webhook hook: no answer")] * 4))
    eventually(lambda: book.totals()["delivered"] == 1)
    delivery.stop()
    assert [record.message for record in caplog.records] == [
        "webhook hook: no answer; alerts wait in the book and are tried again",
        "webhook hook: alerts are delivered again",
    ]


def test_standing_tells_the_last_trouble_and_since_when(book: Book) -> None:
    record(book, ("a", A1))
    receiver = Scripted(*[SinkBusy("webhook hook: no answer")] * 1000)
    delivery = delivering(book, receiver)
    eventually(lambda: delivery.standing()["trouble"] is not None)
    told = delivery.standing()
    delivery.stop()
    assert told == {
        "name": "hook", "kind": "webhook", **outcome(book, waiting=1),
        "trouble": "webhook hook: no answer", "trouble_since": "2025-11-21T12:03:00.000Z",
    }  # fmt: skip


def test_what_only_a_part_took_is_said_once(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    record(book, ("a", A1), ("a", A2), ("b", B1))
    receiver = Scripted()
    receiver.trouble = "alertmanager noc: one peer is away"
    delivery = delivering(book, receiver)
    eventually(lambda: book.totals()["delivered"] == 3)
    told = delivery.standing()
    delivery.stop()
    assert [record.message for record in caplog.records] == [
        "alertmanager noc: one peer is away; the others were told"
    ]
    assert told["trouble"] == "alertmanager noc: one peer is away"
    assert told["trouble_since"] == "2025-11-21T12:03:00.000Z"


def test_filters_pass_by_and_count(book: Book) -> None:
    drill = body(id="d", labels={"drill": "true"})
    ticket = body(id="t", severity="ticket")
    other = body(id="o", labels={"team": "edge"})
    record(book, ("d", drill), ("t", ticket), ("o", other), ("a", A1), ("a", A2))
    receiver = Scripted(policy=Policy(severities=("page",), teams=("core",)))
    delivery = delivering(book, receiver)
    eventually(lambda: book.totals()["waiting"] == 0)
    delivery.stop()
    assert receiver.tried == [(A1,), (A2,)]
    assert book.tally("hook") == outcome(book, delivered=2, passed_by=3)


def test_drills_reach_only_the_receiver_of_drills(book: Book) -> None:
    drill = body(id="d", labels={"drill": "true"})
    record(book, ("a", A1), ("d", drill))
    receiver = Scripted(policy=Policy(drills=True))
    delivery = delivering(book, receiver)
    eventually(lambda: book.totals()["waiting"] == 0)
    delivery.stop()
    assert receiver.tried == [(drill,)]


def test_what_is_over_the_limit_goes_as_one_digest_and_nothing_is_lost(book: Book) -> None:
    bodies = [body(id=f"r{at}") for at in range(50)]
    record(book, *((f"r{at}", each) for at, each in enumerate(bodies)))
    receiver, clock = Scripted(policy=Policy(max_per_minute=6)), FakeClock()
    delivery = Delivery(book, receiver, clock)
    delivery._pass()  # here, and not by its thread, which would be at the same as what follows
    assert [len(each) for each in receiver.tried] == [1, 1, 48]
    assert sorted(each for message in receiver.tried for each in message) == sorted(bodies)
    assert book.tally("hook") == outcome(book, delivered=50, digested=48)
    record(book, ("b", B1), ("c", C1))
    assert delivery._pass() == pytest.approx(20, abs=0.1)
    clock.advance(20 * NS_PER_S)
    delivery._pass()
    delivery.stop()
    assert receiver.tried[3:] == [(B1, C1)]


def test_a_refused_digest_is_told_one_by_one(book: Book) -> None:
    record(book, ("a", A1), ("b", B1), ("c", C1))
    receiver = Scripted(SinkRejected("no", 3), SinkRejected("no", 1), policy=Policy(gathers=True))
    delivery = delivering(book, receiver)
    eventually(lambda: book.totals()["waiting"] == 0)
    delivery.stop()
    assert receiver.tried == [(A1, B1, C1), (A1,), (B1,), (C1,)]
    assert book.tally("hook") == outcome(book, delivered=2, given_up=1)


def test_what_fires_is_told_again_and_again_also_by_the_next_run(book: Book) -> None:
    policy = Policy(gathers=True, resend_s=30)
    record(book, ("a", A1), ("b", B1))
    first, clock = Scripted(policy=policy), FakeClock()
    delivery = delivering(book, first, clock=clock)
    eventually(lambda: len(first.tried) == 2)
    delivery.stop()
    assert first.tried == [(A1, B1), (A1, B1)]
    second = Scripted(policy=policy)
    later = Delivery(book, second, clock)
    assert later._pass() == 30
    record(book, ("a", A2))
    assert later._pass() == pytest.approx(30)
    clock.advance(31 * NS_PER_S)
    assert later._pass() == 30
    clock.advance(901 * NS_PER_S)
    later._pass()
    later.stop()
    assert second.tried == [(A1, B1), (A2,), (A2, B1), (B1,)]


def test_receivers_that_are_gone_are_forgotten(book: Book) -> None:
    book.record(b"", [("a", A1)], ["hook", "gone"], 0)
    receiver = Scripted(policy=Policy(resend_s=30))
    delivery = delivering(book, receiver)
    eventually(lambda: len(receiver.tried) == 2)
    delivery.stop()
    assert book.only(["hook"], 1) == 1
    assert (book.standing("hook", 0), book.totals()["dropped"]) == ([A1], 1)
    assert book.only([], 1) == 0
    assert book.standing("hook", 0) == []


def test_waits_grow_up_to_a_bound(book: Book) -> None:
    delivery = Delivery(book, Scripted(), FakeClock(), 1.0, chance=lambda: 0.0)
    waits = []
    for failures in (1, 2, 3, 7, 100):
        delivery._failures = failures
        waits.append(delivery._wait_s())
    assert waits == [0.5, 1.0, 2.0, 30.0, 30.0]


def test_stop_ends_a_long_wait(book: Book) -> None:
    record(book, ("a", A1))
    receiver = Scripted(SinkBusy("webhook hook: no", retry_after_s=300.0))
    delivery = delivering(book, receiver)
    eventually(lambda: len(receiver.tried) == 1)
    stopping = threading.Thread(target=delivery.stop)
    stopping.start()
    stopping.join(60)
    assert not stopping.is_alive()
    assert book.totals()["waiting"] == 1


def test_stop_without_a_start(book: Book) -> None:
    Delivery(book, Scripted(), FakeClock()).stop()


def ids(bodies: list[dict[str, Any]]) -> list[str]:
    return [each["id"] for each in bodies]


def test_a_receiver_that_is_down_at_first(book: Book) -> None:
    port = own_port()
    record(book, ("a", A1))
    delivery = delivering(book, Webhook("hook", f"http://127.0.0.1:{port}/hook"))
    eventually(lambda: delivery._failures >= 2)
    with receiving(port=port) as received:
        received.wait(1)
        eventually(lambda: book.totals()["delivered"] == 1)
        delivery.stop()
    assert ids(received.bodies) == ["a"]


def test_500_and_then_200(book: Book) -> None:
    record(book, ("a", A1), ("a", A2))
    with receiving(500, 500) as received:
        delivery = delivering(book, Webhook("hook", received.url))
        eventually(lambda: book.totals()["delivered"] == 2)
        delivery.stop()
    assert [each["status"] for each in received.bodies] == ["firing"] * 3 + ["resolved"]


def test_a_bad_book_is_waited_for(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    book.close()
    delivery = delivering(book, Scripted())
    eventually(lambda: any("cannot be used" in record.message for record in caplog.records))
    delivery.stop()


def test_a_bug_in_a_receiver_delays_and_does_not_end_the_delivery(
    book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    record(book, ("a", A1))
    receiver = Scripted(RuntimeError("a bug"))
    delivery = delivering(book, receiver)
    eventually(lambda: book.totals()["delivered"] == 1)
    delivery.stop()
    assert receiver.tried == [(A1,), (A1,)]
    assert "a delivery failed (RuntimeError); the log tells where; alerts wait" in caplog.text
    assert "in deliver" in caplog.text
    assert "a bug" not in caplog.text, "it may hold a secret"


class Stumbling(Scripted):
    """Raises something odd for whatever holds alert a."""

    def deliver(self, bodies: Sequence[bytes]) -> str:
        super().deliver(bodies)
        if any(b'"id":"a"' in body for body in bodies):
            raise ValueError("token 12345 in a header")
        return "taken"


@pytest.mark.parametrize("gathers", [True, False])
def test_a_notice_that_a_receiver_stumbles_over_holds_nothing_else_up(book: Book, gathers: bool) -> None:
    record(book, ("a", A1), ("a", A2), ("b", B1), ("c", C1))
    delivery = delivering(book, Stumbling(policy=Policy(gathers=gathers)))
    eventually(lambda: book.totals()["delivered"] == 2)
    trouble = "webhook hook: a delivery failed (ValueError); the log tells where"
    eventually(lambda: delivery.standing()["trouble"] == trouble)
    delivery.stop()
    assert [each.alert for each in book.waiting("hook", 9)] == ["a", "a"]


def test_what_was_told_is_not_told_again_while_the_book_cannot_be_written(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(book, ("a", A1), ("b", B1))
    receiver = Scripted()
    delivery = Delivery(book, receiver, FakeClock())

    def full(*_: object) -> None:
        raise StoreError("alerts.db: full; make room on its disk")

    with monkeypatch.context() as patch:
        patch.setattr(book, "delivered", full)
        for _ in range(3):
            with pytest.raises(StoreError, match="make room"):
                delivery._pass()
    assert receiver.tried == [(A1,), (B1,)]
    delivery._pass()
    assert receiver.tried == [(A1,), (B1,)]
    assert book.tally("hook") == outcome(book, delivered=2)
    delivery.stop()


def test_an_end_that_is_refused_ends_what_is_told_again(book: Book) -> None:
    record(book, ("a", A1))
    receiver = Scripted(policy=Policy(gathers=True, resend_s=30))
    delivery = Delivery(book, receiver, FakeClock())
    delivery._pass()
    assert book.standing("hook", 0) == [A1]
    record(book, ("a", A2))
    receiver.answers = [SinkRejected("no", 1)]
    delivery._pass()
    delivery.stop()
    assert book.standing("hook", 0) == []
    assert book.totals()["given_up"] == 1


def test_one_that_is_refused_when_all_is_told_again_holds_no_other_up(book: Book) -> None:
    record(book, ("a", A1), ("b", B1))
    receiver = Scripted(None, policy=Policy(gathers=True, resend_s=30))
    receiver.answers = [None, SinkRejected("no", 2), SinkRejected("a is refused", 1)]
    delivery = Delivery(book, receiver, FakeClock())
    assert delivery._pass() == 30
    assert receiver.tried == [(A1, B1), (A1, B1), (A1,), (B1,)]
    assert delivery.standing()["trouble"] == "a is refused"
    delivery.stop()


def test_a_far_end_that_says_later_and_means_now_is_given_time(book: Book) -> None:
    delivery = Delivery(book, Scripted(), FakeClock(), 2.0, chance=lambda: 0.0)
    assert delivery._failed(SinkBusy("no", retry_after_s=0.0)) == 2.0
    assert delivery._failed(SinkBusy("no", retry_after_s=7.0)) == 7.0


class Answering(Scripted):
    """Later to what begins with one of these, and takes the rest."""

    def __init__(self, *later: bytes, policy: Policy | None = None) -> None:
        super().__init__(policy=policy)
        self._later = later

    def deliver(self, bodies: Sequence[bytes]) -> str:
        super().deliver(bodies)
        if any(each in self._later for each in bodies):
            raise SinkBusy("webhook hook: 500")
        return "taken"


def test_many_that_are_put_off_for_ever_hold_nothing_up(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each only so many are looked at together."""
    monkeypatch.setattr("alerts.delivery.delivery.AT_ONCE", 3)
    stuck = [(str(at), body(id=str(at))) for at in range(7)]
    record(book, *stuck, ("b", B1), ("c", C1))
    receiver = Answering(*(each for _, each in stuck))
    delivery = delivering(book, receiver, 0.001)
    eventually(lambda: book.totals()["delivered"] == 2)
    delivery.stop()
    assert book.totals()["waiting"] == 7


def test_what_waits_behind_many_and_nobody_wants_takes_no_room(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would push out what somebody does want, while the receiver is down."""
    monkeypatch.setattr("alerts.delivery.delivery.AT_ONCE", 3)
    pages = [(str(at), body(id=str(at))) for at in range(7)]
    record(book, *pages, *[(f"t{at}", body(id=f"t{at}", severity="ticket")) for at in range(9)])
    receiver = Answering(*(each for _, each in pages), policy=Policy(severities=("page",)))
    delivery = delivering(book, receiver, 0.001)
    eventually(lambda: book.tally("hook") == outcome(book, waiting=7, passed_by=9))
    delivery.stop()


def test_a_page_goes_before_tickets_that_are_more_than_are_looked_at_together(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.delivery.delivery.AT_ONCE", 3)
    record(book, *[(f"t{at}", body(id=f"t{at}", severity="ticket")) for at in range(9)], ("a", A1))
    receiver = Scripted()
    delivery = delivering(book, receiver)
    eventually(lambda: book.totals()["delivered"] == 10)
    delivery.stop()
    assert receiver.tried[0] == (A1,)


@pytest.mark.parametrize("gathers", [True, False])
def test_a_message_has_no_more_than_so_many_and_pages_first(
    book: Book, monkeypatch: pytest.MonkeyPatch, gathers: bool
) -> None:
    monkeypatch.setattr("alerts.delivery.delivery.AT_ONCE", 2)
    ticket = body(id="t", severity="ticket")
    record(book, ("t", ticket), ("a", A1), ("a", A2))
    receiver = Scripted(policy=Policy(gathers=gathers, max_per_minute=None if gathers else 1))
    clock = FakeClock()
    delivery = delivering(book, receiver, clock=clock)
    eventually(lambda: book.totals()["delivered"] >= 2)
    clock.advance(60 * NS_PER_S)
    delivery.wake()
    eventually(lambda: book.totals()["delivered"] == 3)
    delivery.stop()
    assert receiver.tried == [(A1, A2), (ticket,)]


def test_a_notice_that_is_put_off_for_ever_does_not_end_what_is_told_again(book: Book) -> None:
    clock = FakeClock()
    book.record(b"", [("a", A1)], ["hook"], 0, stands=[Stands("hook", "b", B1, None)])
    receiver = Answering(A1, policy=Policy(resend_s=60))
    delivery = delivering(book, receiver, 0.001, clock)
    eventually(lambda: (B1,) in receiver.tried)
    clock.advance(60 * NS_PER_S)
    eventually(lambda: receiver.tried.count((B1,)) == 2)
    delivery.stop()
    assert receiver.tried.count((A1,)) > 1


def test_what_was_dropped_while_it_was_tried_leaves_nothing_behind(tmp_path: Path) -> None:
    book = Book(tmp_path / "small.db", max_waiting=1)
    record(book, ("a", A1))
    delivery = delivering(book, Answering(A1), 0.001)
    eventually(lambda: delivery._turns.put_off)
    record(book, ("b", B1))
    eventually(lambda: book.totals()["delivered"] == 1 and not delivery._turns.put_off)
    delivery.stop()
    book.close()


def test_of_very_many_each_alert_keeps_its_order(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.delivery.delivery.AT_ONCE", 2)
    record(book, ("a", A1), ("b", B1), ("c", C1), ("a", A2))
    receiver = Scripted(SinkBusy("later"), SinkBusy("later"))
    delivery = delivering(book, receiver, 0.001)
    eventually(lambda: book.totals()["delivered"] == 4)
    delivery.stop()
    assert [each for (each,) in receiver.tried] == [A1, B1, C1, A1, A2, B1]
