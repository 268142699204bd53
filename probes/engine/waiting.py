"""How the engine's loop waits: until a moment, or until a peer's packet is there to be answered.

When many packets are to be answered, waking for each would cost more than answering them. So above
`CALM_PPS` the loop lets them gather for `GATHER_NS`; the time that they wait is part of the dwell, which the
stamps in the reply tell and the sender takes off.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Sequence

from probes.sockets.sockets import BatchSocket
from probes.sockets.timer import Timer

CALM_PPS = 500
GATHER_NS = 2_000_000
_RATE_OVER_NS = 100_000_000


class Waiting:
    """For packets at `sockets`."""

    def __init__(self, sockets: Sequence[BatchSocket]) -> None:
        self._all, self._alone = select.epoll(), select.epoll()  # these close themselves
        self._timer = Timer()
        try:
            self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except OSError:
            self._timer.close()
            raise
        for poll in (self._all, self._alone):
            poll.register(self._timer.fileno(), select.EPOLLIN)
            poll.register(self._alarm, select.EPOLLIN)
        self.watch(sockets)
        self._own = {self._timer.fileno(), self._alarm}
        self._gather_until_ns = 0
        self._answered, self._since_ns, self._busy = 0, 0, False
        self._lock, self._closed = threading.Lock(), False

    def watch(self, sockets: Sequence[BatchSocket]) -> None:
        """Wait for packets at these as well. One that is closed is forgotten by itself."""
        for sock in sockets:
            self._all.register(sock.fileno(), select.EPOLLIN)

    def until(self, mono_ns: int, now_ns: int) -> bool:
        """Wait until this monotonic time, or until there is something to answer, or `wake`.

        Says whether there is something to answer.
        """
        gathering = now_ns < self._gather_until_ns
        self._timer.set(min(mono_ns, self._gather_until_ns) if gathering else mono_ns)
        events = (self._alone if gathering else self._all).poll()
        found = {fd for fd, _ in events}
        if self._alarm in found:
            os.eventfd_read(self._alarm)
        return not found <= self._own

    def answered(self, packets: int, mono_ns: int) -> None:
        """So many packets were answered at this time."""
        self._answered += packets
        if mono_ns - self._since_ns > _RATE_OVER_NS:
            self._busy = self._answered * 1_000_000_000 > CALM_PPS * (mono_ns - self._since_ns)
            self._answered, self._since_ns = 0, mono_ns
        if self._busy and packets:
            self._gather_until_ns = mono_ns + GATHER_NS

    def wake(self) -> None:
        """End the wait; thread safe. Once closed it does nothing: the descriptor may be somebody else's."""
        with self._lock:
            if not self._closed:
                os.eventfd_write(self._alarm, 1)

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._timer.close()
        os.close(self._alarm)
        self._all.close()
        self._alone.close()
