"""What is sent when, and what becomes of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from linkgauge.answer import Answer, Outcome
from linkgauge.clock import NS_PER_S, SystemClock
from linkgauge.errors import StoreError
from probes.upload.outbox import Outbox, Row, State
from probes.upload.upload import FAILED_ALONE, LIVE_S, SETTLE_AT_ONCE, Pause, Uploader, Uploads
from tests.collector.world import until
from tests.probes.fake_clock import T0_NS, FakeClock
from tests.probes.memory_outbox import MemoryOutbox, ToldTransport, script

S = NS_PER_S
LIVE_NS = int(LIVE_S * S)


class Desk:
    """An uploader over an outbox in memory, whose clock moves when told."""

    def __init__(self, answer: Callable[[Row], Answer | None] = lambda _: None, per_s: float = 1e6) -> None:
        self.clock, self.box, self.transport = FakeClock(), MemoryOutbox(), ToldTransport(answer)
        self.sending = Uploader(self.box, self.transport, self.clock, per_s, jitter=lambda: 1.0)

    def put(self, *ages_s: float) -> list[int]:
        now_ns = self.clock.now().wall_ns
        return [self.box.put(now_ns - int(age_s * S)) for age_s in sorted(ages_s, reverse=True)]

    def waits(self, attempts: int) -> list[float]:
        return [self.sending.attempt().s for _ in range(attempts)]


def test_what_is_live_goes_before_the_backlog_each_oldest_first() -> None:
    desk = Desk()
    old, older = 3600, 7200
    desk.put(old, older, 20, 10)
    assert desk.sending.attempt() == Pause()
    desk.put(1)
    desk.waits(4)
    assert desk.transport.seqs == [3, 4, 5, 1, 2]
    assert desk.sending.attempt().for_work
    assert not desk.box.rows


def test_the_backlog_keeps_to_its_pace_and_a_live_batch_does_not_wait_for_it() -> None:
    desk = Desk(per_s=1)
    desk.put(*range(1000, 1010))
    sent = []
    for _ in range(200):
        pause = desk.sending.attempt()
        sent.append(len(desk.transport.sent))
        assert pause.for_work or pause.s == 0
        desk.clock.advance(int(0.05 * S))
    assert sent[-1] == 10
    assert [next(at for at, n in enumerate(sent) if n >= k) * 0.05 for k in (2, 5, 9)] == pytest.approx(
        [1.0, 4.0, 8.0], abs=0.2
    )
    desk.put(2000, 2001)
    desk.waits(2)
    desk.put(0)
    assert desk.sending.attempt() == Pause()
    assert desk.transport.seqs[-1] == 13


def test_taken_batches_are_settled_together_but_soon() -> None:
    desk = Desk()
    desk.put(*range(100, 100 + SETTLE_AT_ONCE + 10))
    desk.waits(SETTLE_AT_ONCE + 5)
    assert [len(seqs) for seqs in desk.box.settled] == [SETTLE_AT_ONCE]
    desk.clock.advance(S)
    desk.waits(1)
    assert [len(seqs) for seqs in desk.box.settled] == [SETTLE_AT_ONCE, 6]
    desk.waits(5)
    assert [len(seqs) for seqs in desk.box.settled] == [SETTLE_AT_ONCE, 6, 4]


def test_a_live_batch_alone_is_settled_when_nothing_else_is_to_be_sent() -> None:
    desk = Desk()
    desk.put(1)
    desk.waits(2)
    assert desk.box.settled == [[1]]


def test_nobody_there_waits_longer_each_time_and_keeps_everything() -> None:
    desk = Desk(script(*[Outcome.AGAIN] * 9, None, Outcome.AGAIN))
    desk.put(5, 4)
    assert desk.waits(9) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert len(desk.box.rows) == 2
    assert desk.waits(2) == [0.0, 0.5]
    assert desk.sending.uploads == Uploads(failed=10)


def test_what_the_transport_says_about_the_wait_goes_first() -> None:
    desk = Desk(script(Answer(Outcome.AGAIN, "busy", 42.0), Answer(Outcome.HELD, "token", 7.0, address=1)))
    desk.put(1)
    assert desk.waits(2) == [42.0, 7.0]
    assert not desk.sending.attempt().for_work
    assert desk.sending.uploads.failed == 2


def test_a_wait_for_the_collector_is_not_cut_by_new_work() -> None:
    desk = Desk(script(Outcome.AGAIN))
    desk.put(1)
    assert desk.sending.attempt() == Pause(0.5, for_work=False)


def test_each_trouble_is_said_once_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "probes.upload.upload")
    desk = Desk(script(*[Outcome.AGAIN] * 3, *[Outcome.HELD] * 3))
    desk.put(2, 1)
    desk.waits(8)
    away, held, back = (record.message for record in caplog.records)
    assert away == "http://a: no good; keeps measuring, 2 batches wait"
    assert "linkgauge token" in held
    assert back == "the collector takes batches again"


def test_a_deferred_batch_is_put_off_longer_each_time_and_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "probes.upload.upload")
    desk = Desk(lambda row: Answer(Outcome.DEFERRED, "http://a: ahead") if row.seq == 1 else None)
    desk.put(2000, 1000)
    desk.waits(3)
    assert desk.transport.seqs == [1, 2]
    assert desk.sending.uploads.deferred == 1
    times_s, began_ns = [], desk.clock.now().mono_ns
    for _ in range(800):
        desk.clock.advance(5 * S)
        before = len(desk.transport.sent)
        desk.waits(1)
        if len(desk.transport.sent) > before:
            times_s.append((desk.clock.now().mono_ns - began_ns) // S)
    apart_s = [b - a for a, b in zip([0, *times_s], times_s, strict=False)]
    assert apart_s == pytest.approx([60, 120, 240, 480, *[600] * 5], abs=5)
    desk.transport.answer = lambda _: None
    desk.clock.advance(600 * S)
    desk.waits(2)
    assert desk.sending.uploads.deferred == 0
    assert not desk.box.rows
    assert [record.message.split(" is ")[0] for record in caplog.records] == ["batch b1/1", "no batch"]


def test_a_refused_batch_becomes_a_dead_letter_with_the_words(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(script(Outcome.REFUSED))
    desk.put(2, 1)
    assert desk.waits(2) == [0.0, 0.0]
    assert desk.box.letters == [(1, "http://a: no good")]
    assert "b1/1" in caplog.text
    assert desk.transport.seqs == [1, 2]


def test_a_batch_that_fails_alone_does_not_stop_the_others() -> None:
    desk = Desk(lambda row: Answer(Outcome.AGAIN, "http://a: status 500") if row.seq == 1 else None)
    desk.put(9000, 8000)
    for _ in range(FAILED_ALONE):
        desk.waits(1)
        desk.put(0)
        desk.waits(1)
    desk.waits(3)
    assert desk.sending.uploads.deferred == 1
    assert list(desk.box.rows) in ([1], [1, 2])
    desk.waits(1)
    assert 2 in desk.transport.seqs


def test_a_collector_that_is_away_for_long_puts_nothing_off() -> None:
    desk = Desk(script(*[Outcome.AGAIN] * 200))
    desk.put(9000, 8000)
    desk.waits(200)
    assert desk.sending.uploads == Uploads(failed=200)
    desk.waits(3)
    assert desk.transport.seqs[-2:] == [1, 2]


class Broken(MemoryOutbox):
    """Cannot settle, `faults` times."""

    faults = 0

    def done(self, seqs: object) -> None:
        if self.faults:
            self.faults -= 1
            raise StoreError("outbox.sqlite: full")
        super().done(seqs)  # type: ignore[arg-type]  # as it came


def test_what_cannot_be_settled_is_not_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "probes.upload.upload")
    box, transport = Broken(), ToldTransport()
    sending = Uploader(box, transport, FakeClock())
    box.put(T0_NS)
    box.faults = 2
    assert [sending.attempt().s for _ in range(3)] == [0.0, 5.0, 5.0]
    assert sending.attempt().for_work
    assert transport.seqs == [1]
    assert box.settled == [[1]]
    assert [record.message for record in caplog.records] == [
        "outbox.sqlite: full",
        "outbox.sqlite: the outbox can be used again",
    ]


def test_stop_without_start_and_twice() -> None:
    desk = Desk()
    desk.put(1)
    assert not desk.sending.stop(0.1)
    assert not desk.sending.stop(0.1)
    assert desk.transport.closed


@pytest.fixture
def box(tmp_path: Path) -> Outbox:
    box = Outbox(tmp_path / "outbox.sqlite", 10**6, 10**18, keep_free_bytes=0)
    put(box)
    put(box)
    return box


def put(box: Outbox) -> int:
    return box.put("b1", lambda number: b"batch %d" % number, 1, SystemClock().now().wall_ns)


def test_the_thread_sends_what_waits_and_what_comes(box: Outbox) -> None:
    transport = ToldTransport()
    sending = Uploader(box, transport, SystemClock())
    sending.start()
    until(lambda: len(transport.sent) == 2)
    put(box)
    sending.wake()
    until(lambda: len(transport.sent) == 3)
    assert sending.stop(5)
    assert [state for _, _, _, state in box.ledger()] == [State.ACKNOWLEDGED] * 3
    box.close()


def test_stop_flushes_what_waits_in_backoff(box: Outbox) -> None:
    refusing = threading.Event()
    refusing.set()
    transport = ToldTransport(lambda _: Answer(Outcome.AGAIN, "away") if refusing.is_set() else None)
    sending = Uploader(box, transport, SystemClock(), jitter=lambda: 0.0)
    sending.start()
    until(lambda: len(transport.sent) >= 2)
    refusing.clear()
    assert sending.stop(5)
    box.close()


def test_stop_is_bounded_when_nobody_answers(box: Outbox) -> None:
    transport = ToldTransport(lambda _: Answer(Outcome.AGAIN, "away"))
    sending = Uploader(box, transport, SystemClock())
    sending.start()
    assert not sending.stop(0.3)
    assert not sending._thread.is_alive()
    assert box.counts().waiting == 2
    assert min(each.timeout_s for each in transport.sent) <= 10
    box.close()


def test_an_unusable_outbox_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    sending = Uploader(Outbox(tmp_path / "file" / "outbox.sqlite", 1, 1), ToldTransport(), FakeClock())
    assert [sending.attempt().s, sending.attempt().s] == [5.0, 5.0]
    assert len(caplog.records) == 1
