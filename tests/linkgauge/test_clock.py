"""Windows on the wall clock, and the kernel's own word on the clock, read a second way."""

from __future__ import annotations

import ctypes
import struct
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.clock import (
    NS_PER_S,
    ClockQuality,
    Instant,
    SystemClock,
    read_clock_quality,
    seconds,
    window_start,
)

TIMEX_OCTETS = 208


@given(st.integers(-(10**18), 4 * 10**18), st.integers(1, 300 * NS_PER_S))
def test_window_holds_its_instant(wall_ns: int, length_ns: int) -> None:
    start = window_start(wall_ns, length_ns)
    assert start <= wall_ns < start + length_ns
    assert start % length_ns == 0


@pytest.mark.parametrize(
    ("duration_s", "duration_ns"), [(0, 0), (0.1, 100_000_000), (2, 2 * NS_PER_S), (1e-9, 1), (0.3e-9, 0)]
)
def test_seconds(duration_s: float, duration_ns: int) -> None:
    assert seconds(duration_s) == duration_ns


def test_both_clocks_at_once() -> None:
    before_mono, before_wall = time.monotonic_ns(), time.time_ns()
    now = SystemClock().now()
    assert before_mono <= now.mono_ns <= time.monotonic_ns()
    assert abs(now.wall_ns - before_wall) < 60 * NS_PER_S
    assert Instant(5, 12).offset_ns == 7


def _ask_clock_adjtime() -> tuple[int, int, int, int]:
    """clock_adjtime(2) on CLOCK_REALTIME into plain octets: state, maxerror us, status, tai s."""
    octets = ctypes.create_string_buffer(TIMEX_OCTETS)
    state = ctypes.CDLL(None, use_errno=True).clock_adjtime(time.CLOCK_REALTIME, octets)
    maxerror_us, _, status = struct.unpack_from("@qqi", octets.raw, 24)
    (tai_s,) = struct.unpack_from("@i", octets.raw, 160)
    return state, maxerror_us, status, tai_s


@pytest.mark.skipif(sys.maxsize < 2**32, reason="struct timex is laid out for 64-bit kernels")
def test_clock_quality_agrees_with_the_other_call() -> None:
    for _ in range(1_000):
        before, quality, after = _ask_clock_adjtime(), read_clock_quality(), _ask_clock_adjtime()
        if before == after:  # the kernel's word changes each second, and whenever the clock is set right
            break
    assert before == after
    state, maxerror_us, status, tai_s = after
    assert isinstance(quality, ClockQuality)
    assert type(quality.synchronised) is bool
    assert quality.synchronised == (state != 5 and not status & 0x40)
    assert quality.tai_offset_s == tai_s
    assert 0 <= quality.error_ns <= 16_000_001_000
    assert quality.error_ns == maxerror_us * 1_000
