"""A timer of the kernel as a descriptor (timerfd_create(2)), for waiting until a moment to the microsecond.

epoll's own timeout is in whole milliseconds, and rounds up.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
import threading

_CLOCK_MONOTONIC, _ABSOLUTE = 1, 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_PR_SET_TIMERSLACK = 29
_SLACK_NS = 1_000
_SWITCH_S = 0.0005
_NICE = -10
_SPEC = struct.Struct("=qqqq")
_libc = ctypes.CDLL(None, use_errno=True)


class Timer:
    """Readable from the moment that was set until another is set. Raises OSError when none is to be had."""

    def __init__(self) -> None:
        self._fd = _libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def fileno(self) -> int:
        return int(self._fd)

    def set(self, mono_ns: int) -> None:
        """Fire at this monotonic time; one that has passed fires at once."""
        at = max(1, mono_ns)
        spec = _SPEC.pack(0, 0, at // 1_000_000_000, at % 1_000_000_000)
        _libc.timerfd_settime(self._fd, _ABSOLUTE, spec, None)

    def close(self) -> None:
        os.close(self._fd)


def be_punctual() -> None:
    """Let timers of the calling thread fire when they are due, not up to 50 us later (prctl(2)), let it wait
    no longer than half a millisecond for other Python threads, and, where the process may say so
    (CAP_SYS_NICE), let it go before the threads that only count and report."""
    sys.setswitchinterval(_SWITCH_S)
    _libc.prctl(_PR_SET_TIMERSLACK, _SLACK_NS, 0, 0, 0)
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
