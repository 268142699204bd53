"""A timer that epoll can wait for: Linux timerfd on the monotonic clock, exact to the machine's wake-up time.

epoll's own timeout counts milliseconds, which is coarser than the delays of the lab.
"""

from __future__ import annotations

import ctypes
import os
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
_TFD_TIMER_ABSTIME = 1
_NS_PER_S = 1_000_000_000


class _TimerSpec(ctypes.Structure):
    """struct itimerspec of timerfd_create(2), 64-bit."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Timer:
    """Readable from the armed time on, until armed anew."""

    def __init__(self) -> None:
        self.fd: int = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _TimerSpec()
        self._reference = ctypes.byref(self._spec)

    def arm(self, at_ns: int | None) -> None:
        """Become readable at at_ns of the monotonic clock (a past time: at once); None disarms."""
        self._spec.value_s, self._spec.value_ns = (
            (0, 0) if at_ns is None else divmod(max(at_ns, 1), _NS_PER_S)
        )
        if _LIBC.timerfd_settime(self.fd, _TFD_TIMER_ABSTIME, self._reference, None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)
