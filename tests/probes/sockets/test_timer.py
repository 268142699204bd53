"""The kernel's timer: fires once its time has come, at once when it has passed, and can be set anew."""

from __future__ import annotations

import ctypes
import select
import threading
import time
from collections.abc import Iterator

import pytest

from probes.sockets import timer
from probes.sockets.timer import Timer, be_punctual

MS = 1_000_000


@pytest.fixture
def made() -> Iterator[Timer]:
    one = Timer()
    yield one
    one.close()


def fires_within(one: Timer, seconds: float) -> bool:
    return bool(select.select([one], [], [], seconds)[0])


def test_it_fires_when_due_and_not_before(made: Timer) -> None:
    due_ns = time.monotonic_ns() + 30 * MS
    made.set(due_ns)
    assert fires_within(made, 60)
    assert time.monotonic_ns() >= due_ns


@pytest.mark.parametrize("at_ns", [0, -5, 1])
def test_a_time_that_has_passed_fires_at_once(made: Timer, at_ns: int) -> None:
    made.set(at_ns)
    assert fires_within(made, 60)


def test_another_time_takes_the_place_of_the_first(made: Timer) -> None:
    made.set(0)
    assert fires_within(made, 60)
    made.set(time.monotonic_ns() + 3600 * 1000 * MS)
    assert not fires_within(made, 0.02)
    made.set(time.monotonic_ns() + MS)
    assert fires_within(made, 60)


def test_a_kernel_without_timers_is_an_oserror(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def timerfd_create(self, clock: int, flags: int) -> int:
            return -1

    monkeypatch.setattr(timer, "_libc", Refusing())
    with pytest.raises(OSError, match="timerfd_create"):
        Timer()


def test_a_punctual_thread_has_little_timer_slack() -> None:
    slack: list[int] = []

    def told() -> None:
        be_punctual()
        slack.append(int(ctypes.CDLL(None).prctl(30, 0, 0, 0, 0)))  # PR_GET_TIMERSLACK

    thread = threading.Thread(target=told)
    thread.start()
    thread.join()
    assert slack[0] <= 1_000
