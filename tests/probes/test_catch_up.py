"""A day away from the collector, replayed with a clock that a simulation moves."""

from __future__ import annotations

import pytest

from linkgauge.answer import Answer, Outcome
from linkgauge.clock import NS_PER_S
from probes.upload.outbox import Row
from probes.upload.upload import Uploader
from tests.probes.fake_clock import FakeClock
from tests.probes.memory_outbox import MemoryOutbox, ToldTransport

WINDOW_S = 10
BACKLOG = 8_640


class Away:
    """An agent that made a batch each window for a day, alone; then its collector answers in `answer_s`.

    slow_s: some answers take so long.
    """

    def __init__(self, per_s: float, answer_s: float, slow_every: int = 0, slow_s: float = 0) -> None:
        self.clock, self.box, self.transport = FakeClock(), MemoryOutbox(), ToldTransport(self._answer)
        self.sending = Uploader(self.box, self.transport, self.clock, per_s, jitter=lambda: 0.5)
        self._answer_s, self._slow_every, self._slow_s = answer_s, slow_every, slow_s
        self.taken_s: dict[int, float] = {}
        self.made_s: dict[int, float] = {}
        self._begin_ns = self.clock.now().mono_ns
        begin_ns = self.clock.now().wall_ns
        for at in range(BACKLOG, 0, -1):
            self.box.put(begin_ns - at * WINDOW_S * NS_PER_S)

    @property
    def _now_ns(self) -> int:
        return self.clock.now().mono_ns - self._begin_ns

    @property
    def now_s(self) -> float:
        return self._now_ns / NS_PER_S

    @property
    def _next_ns(self) -> int:
        """When the next window ends."""
        return (len(self.made_s) + 1) * WINDOW_S * NS_PER_S

    def _answer(self, row: Row) -> Answer | None:
        slow = self._slow_every and len(self.transport.sent) % self._slow_every == 0
        self._wait(self._slow_s if slow else self._answer_s)
        if slow:
            return Answer(Outcome.AGAIN, "timed out")
        self.taken_s[row.seq] = self.now_s
        return None

    def _wait(self, s: float) -> None:
        """Time goes on; a batch is made whenever a window ends."""
        until_ns = self._now_ns + max(1, int(s * NS_PER_S))
        while self._next_ns <= until_ns:
            self.clock.advance(self._next_ns - self._now_ns)
            self.made_s[self.box.put(self.clock.now().wall_ns)] = self.now_s
        self.clock.advance(until_ns - self._now_ns)

    def run(self, until_s: float) -> None:
        while self.now_s < until_s:
            pause = self.sending.attempt()
            # a batch that is made ends a pause that is for work
            cut_s = (self._next_ns - self._now_ns) / NS_PER_S
            self._wait(min(pause.s, cut_s) if pause.for_work else pause.s)

    def live_delays_s(self) -> list[float]:
        return [self.taken_s[seq] - made_s for seq, made_s in self.made_s.items() if seq in self.taken_s]


@pytest.mark.parametrize("answer_s", [0.001, 0.05])
def test_a_day_s_backlog_drains_at_its_pace_and_delays_nothing_live(answer_s: float) -> None:
    away = Away(per_s=50, answer_s=answer_s)
    away.run(600)
    backlog_s = sorted(at_s for seq, at_s in away.taken_s.items() if seq <= BACKLOG)
    assert len(backlog_s) == BACKLOG
    drained_s = backlog_s[-1]
    assert BACKLOG / 50 * 0.99 <= drained_s <= max(BACKLOG / 50 * 1.05, BACKLOG * answer_s * 1.05)
    for begin in range(0, BACKLOG - 500, 500):  # evenly, never faster than the bound
        assert backlog_s[begin + 500] - backlog_s[begin] >= 500 / 50 * 0.98
    assert max(away.live_delays_s()) <= 2 * answer_s + 0.01
    assert len(away.live_delays_s()) >= len(away.made_s) - 1
    order = [each.seq for each in away.transport.sent if each.seq <= BACKLOG - 3]  # three were live
    assert order == sorted(order)


def test_a_collector_that_fails_now_and_then_still_has_what_is_live_within_a_window() -> None:
    away = Away(per_s=50, answer_s=0.02, slow_every=100, slow_s=3.0)
    away.run(1200)
    assert max(away.live_delays_s()) <= WINDOW_S
    assert sum(1 for seq in away.taken_s if seq <= BACKLOG) == BACKLOG
