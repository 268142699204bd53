"""What every transport must do, whatever carries the batches: a class of tests over one `Side`.

A test file for a transport makes the fixture `side`, and a class of its own from TransportConformance.
"""

from __future__ import annotations

from typing import Protocol

from linkgauge.answer import Answer, Outcome
from linkgauge.clock import NS_PER_S, SystemClock, window_start
from linkgauge.packing import pack
from probes.upload.outbox import Row
from probes.upload.transport import Transport
from tests.collector.world import WINDOW_NS, body, health, until

AGENT = "j1"
TIMEOUT_S = 5.0


class Side(Protocol):
    """A transport of agent j1, and the other side's switches."""

    @property
    def transport(self) -> Transport: ...

    def journalled(self) -> list[tuple[str, str, int]]:
        """(agent, boot, number) of each batch that is safe there, copies too."""

    def away(self, gone: bool) -> None:
        """Whether nobody answers."""

    def strange(self, token: bool) -> None:
        """Whether the agent shows a token that is nobody's."""

    def full(self, disk: bool) -> None:
        """Whether nothing can be written there."""


def row(number: int, agent: str = AGENT, ahead_s: int = 0, data: bytes | None = None) -> Row:
    now_ns = SystemClock().now().wall_ns + ahead_s * NS_PER_S
    start_ns = window_start(now_ns, WINDOW_NS) - WINDOW_NS
    made = body(agent, number, health(agent, start_ns), created_ns=now_ns)
    return Row(number, "boot1", number, now_ns, pack(made) if data is None else data, 1)


class TransportConformance:
    """Needs the fixture `side`."""

    def send(self, side: Side, what: Row) -> Answer:
        return side.transport.send(what, TIMEOUT_S)

    def until_taken(self, side: Side, what: Row) -> None:
        until(lambda: self.send(side, what).outcome is Outcome.TAKEN)

    def test_taken_is_safe_on_the_other_side(self, side: Side) -> None:
        assert self.send(side, row(1)).outcome is Outcome.TAKEN
        assert self.send(side, row(2)).outcome is Outcome.TAKEN
        assert side.journalled() == [(AGENT, "boot1", 1), (AGENT, "boot1", 2)]

    def test_a_second_copy_is_taken_and_kept_once(self, side: Side) -> None:
        assert [self.send(side, row(1)).outcome for _ in range(3)] == [Outcome.TAKEN] * 3
        assert side.journalled() == [(AGENT, "boot1", 1)]

    def test_nobody_there_is_again_and_over_when_they_come(self, side: Side) -> None:
        side.away(True)
        for _ in range(5):
            answer = self.send(side, row(1))
            assert answer.outcome is Outcome.AGAIN
            assert answer.sentence
            assert answer.retry_after_s >= 0
        side.away(False)
        self.until_taken(side, row(1))
        assert side.journalled() == [(AGENT, "boot1", 1)]

    def test_a_full_disk_there_takes_nothing(self, side: Side) -> None:
        side.full(True)
        assert self.send(side, row(1)).outcome is Outcome.AGAIN
        assert side.journalled() == []

    def test_a_token_that_is_nobody_s_holds_until_it_is_mended(self, side: Side) -> None:
        side.strange(True)
        assert self.send(side, row(1)).outcome is Outcome.HELD
        assert side.journalled() == []
        side.strange(False)
        self.until_taken(side, row(1))

    def test_what_only_time_or_a_name_mends_defers_that_batch_alone(self, side: Side) -> None:
        for strange in (row(1, ahead_s=3600), row(1, agent="g1")):
            answer = self.send(side, strange)
            assert answer.outcome is Outcome.DEFERRED
            assert answer.sentence
            assert self.send(side, row(2)).outcome is Outcome.TAKEN
        assert side.journalled() == [(AGENT, "boot1", 2)]

    def test_what_is_no_batch_is_refused_for_good_and_alone(self, side: Side) -> None:
        for data in (pack(b"nonsense"), b"", b"\x28\xb5\x2f\xfd cut"):
            assert self.send(side, row(1, data=data)).outcome is Outcome.REFUSED
            assert self.send(side, row(2)).outcome is Outcome.TAKEN

    def test_closed_it_opens_again(self, side: Side) -> None:
        assert self.send(side, row(1)).outcome is Outcome.TAKEN
        side.transport.close()
        assert self.send(side, row(2)).outcome is Outcome.TAKEN
