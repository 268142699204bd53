"""Time: two clocks read together, and how far the wall clock can be trusted.

Deadlines and grids use `mono_ns`; windows and packets use `wall_ns`. Reading both at once shows a step of
the wall clock: wall - mono changes only when somebody moved it.
"""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_US = 1_000
AHEAD_NS = 60 * NS_PER_S
"""How far ahead of the collector's clock an agent's may be."""
CLOSE_NS = 50_000
"""Readings of the monotonic clock around the wall clock's lie this close together, unless disturbed."""
TRIES = 8
DRIFT = 2_000
"""Time over this is by how much the kernel's bound on a clock's error grows meanwhile: 500 us a second."""

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks, ns. `mono_ns` has an arbitrary zero; `wall_ns` is Unix time."""

    mono_ns: int
    wall_ns: int

    @property
    def offset_ns(self) -> int:
        """wall - mono: constant until the wall clock is stepped or slewed."""
        return self.wall_ns - self.mono_ns


class Clock(Protocol):
    """The only source of time in the program."""

    def now(self) -> Instant: ...


class SystemClock:
    """CLOCK_MONOTONIC and CLOCK_REALTIME of this host, of the same moment within CLOSE_NS / 2.

    A reading in which the process was put aside between the two would look like a clock step: it is repeated,
    at most TRIES times; then the least disturbed counts.
    """

    def __init__(
        self, mono_ns: Callable[[], int] = time.monotonic_ns, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._mono_ns, self._wall_ns = mono_ns, wall_ns

    def now(self) -> Instant:
        best_ns, best = 1 << 62, Instant(0, 0)
        for _ in range(TRIES):
            before_ns, wall_ns, after_ns = self._mono_ns(), self._wall_ns(), self._mono_ns()
            apart_ns = after_ns - before_ns
            if apart_ns < best_ns:
                best_ns, best = apart_ns, Instant((before_ns + after_ns) // 2, wall_ns)
            if apart_ns <= CLOSE_NS:
                break
        return best


@dataclass(frozen=True, slots=True)
class ClockQuality:
    """What the kernel knows of the wall clock's error (adjtimex).

    synchronised: an outside source steers the clock. error_ns: bound on the error, ns (maxerror, which
    grows 500 us a second without updates). tai_offset_s: TAI - UTC, 0 when the kernel was not told.
    """

    synchronised: bool
    error_ns: int
    tai_offset_s: int


class _Timex(ctypes.Structure):
    """struct timex of the 64-bit kernels (208 octets)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time_sec", ctypes.c_long),
        ("time_usec", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("_reserved", ctypes.c_int * 11),
    )


def read_clock_quality() -> ClockQuality:
    """Ask the kernel; needs no privilege. Raises OSError where adjtimex is not to be had."""
    timex = _Timex()
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.adjtimex(ctypes.byref(timex))
    if state < 0:
        raise OSError(ctypes.get_errno(), "adjtimex")
    synchronised = state != _TIME_ERROR and not timex.status & _STA_UNSYNC
    return ClockQuality(synchronised, timex.maxerror * NS_PER_US, timex.tai)


def window_start(wall_ns: int, length_ns: int) -> int:
    """Start of the window of `length_ns` that holds `wall_ns`; windows are aligned to the Unix epoch."""
    return wall_ns - wall_ns % length_ns


def seconds(duration_s: float) -> int:
    """Seconds to whole ns."""
    return math.floor(duration_s * NS_PER_S + 0.5)
