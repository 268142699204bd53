"""The timer is readable when it is due, and not before it is armed or after it is disarmed."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator

import pytest

from lab.timer import Timer


@pytest.fixture
def timer() -> Iterator[Timer]:
    timer = Timer()
    yield timer
    timer.close()


def _readable(timer: Timer, within_s: float) -> bool:
    return bool(select.select([timer.fd], [], [], within_s)[0])


def test_becomes_readable_when_due_and_never_before(timer: Timer) -> None:
    due_ns = time.monotonic_ns() + 2_000_000
    timer.arm(due_ns)
    assert _readable(timer, 60)
    assert time.monotonic_ns() >= due_ns


def test_a_past_time_is_due_at_once(timer: Timer) -> None:
    timer.arm(0)
    assert _readable(timer, 60)
    timer.arm(-5)
    assert _readable(timer, 60)


def test_arming_anew_forgets_what_was_due(timer: Timer) -> None:
    timer.arm(1)
    assert _readable(timer, 60)
    timer.arm(time.monotonic_ns() + 3600 * 10**9)
    assert not _readable(timer, 0)
    timer.arm(1)
    timer.arm(None)
    assert not _readable(timer, 0.01)
