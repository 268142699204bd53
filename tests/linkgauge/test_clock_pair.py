"""Both clocks at one moment, however the process is put aside between the readings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from linkgauge.clock import CLOSE_NS, TRIES, SystemClock

OFFSET_NS = 1_700_000_000_000_000_000


def disturbed(pauses_ns: Iterator[int]) -> tuple[Callable[[], int], Callable[[], int]]:
    """Clocks whose readings are each followed by the next pause."""
    now_ns = 0

    def mono_ns() -> int:
        nonlocal now_ns
        told_ns = now_ns
        now_ns += next(pauses_ns, 100)
        return told_ns

    return mono_ns, lambda: mono_ns() + OFFSET_NS


def test_a_pause_between_the_readings_is_no_step() -> None:
    clock = SystemClock(*disturbed(iter([100, 5_000_000, 100, 8_000_000, 100, 100])))
    first, second = clock.now(), clock.now()
    assert abs(first.offset_ns - OFFSET_NS) <= CLOSE_NS
    assert abs(second.offset_ns - first.offset_ns) <= CLOSE_NS
    assert second.mono_ns > first.mono_ns


def test_of_many_disturbed_readings_the_least_counts() -> None:
    pauses = [3_000_000] * (3 * TRIES)
    pauses[6:9] = [100_000, 100_000, 100]
    now = SystemClock(*disturbed(iter(pauses))).now()
    assert abs(now.offset_ns - OFFSET_NS) <= 100_000


def test_this_host() -> None:
    clock = SystemClock()
    first, second = clock.now(), clock.now()
    assert second.mono_ns > first.mono_ns
    assert second.wall_ns >= first.wall_ns - 1_000_000
