"""Turns of throughput tests: both roles, left out when late, and remembered as time under test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from linkgauge.clock import Instant, SystemClock
from linkgauge.code import Outcome
from linkgauge.frame import Frame
from linkgauge.plan import Turn
from probes.schedule import Schedule
from probes.throughput.report import Report
from probes.turn_taker import LATEST_NS, THREAD, TurnTaker
from tests.probes.loopback import until
from tests.probes.plans import S, plan


class Iperf:
    """Notes what it is asked to do."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.done = threading.Event()

    def measure(self, local: str, peer: str, port: int, duration_ns: int, limit_bps: int) -> Report:
        self.asked.append(f"send {local} {peer} {port}")
        self.done.set()
        return Report(Outcome.MEASURED, received_bps=1e6)

    def serve_once(self, local: str, port: int, duration_ns: int) -> Outcome:
        self.asked.append(f"serve {local} {port}")
        self.done.set()
        return Outcome.MEASURED


class Clock:
    """Real time, and a lag that grows by `per_call` each time it is asked."""

    def __init__(self, per_call_ns: int = 0) -> None:
        self._per_call_ns, self._calls = per_call_ns, 0

    def now(self) -> Instant:
        self._calls += 1
        now = SystemClock().now()
        return Instant(now.mono_ns, now.wall_ns + (self._calls - 1) * self._per_call_ns)


@pytest.fixture
def schedule() -> Iterator[Schedule]:
    made = Schedule([THREAD])
    made.start()
    yield made
    if made.running:
        made.stop()


def taken(
    schedule: Schedule, role: str, clock: Clock, enough: Callable[[], bool] | None = None
) -> tuple[Iperf, TurnTaker, list[Frame]]:
    """Its turns come until the first was taken, or until it is enough."""
    tester, frames = Iperf(), list[Frame]()
    taker = TurnTaker(tester, schedule, clock, frames.append)
    turn = Turn("a>b@n", role, "10.0.0.1", "10.0.0.2", 0)
    taker.follow(plan(turns=[turn], cycle_ns=S // 2))
    until(enough or tester.done.is_set)
    taker.stop()
    schedule.stop()
    return tester, taker, frames


def test_the_sender_reports_its_result_and_the_time_is_under_test(schedule: Schedule) -> None:
    tester, taker, frames = taken(schedule, "send", Clock())
    assert tester.asked[0] == "send 10.0.0.1 10.0.0.2 5201"
    assert frames[0].text("link").tolist() == ["a>b@n"]
    start_ns = int(frames[0].count("start_ns")[0])
    assert taker.under_test(start_ns - S, start_ns + 1)
    assert not taker.under_test(start_ns - 2 * S, start_ns - S)


def test_the_far_end_serves_and_reports_nothing(schedule: Schedule) -> None:
    tester, _, frames = taken(schedule, "serve", Clock())
    assert tester.asked[0] == "serve 10.0.0.1 5201"
    assert frames == []


def test_a_turn_that_is_late_is_left_out(schedule: Schedule, caplog: pytest.LogCaptureFixture) -> None:
    tester, taker, _ = taken(schedule, "send", Clock(LATEST_NS + S // 10), lambda: bool(caplog.text))
    assert tester.asked == []
    assert "a>b@n: its throughput turn came" in caplog.text
    now_ns = SystemClock().now().wall_ns
    assert not taker.under_test(now_ns - 10 * S, now_ns + 10 * S)
