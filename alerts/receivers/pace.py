"""How fast messages may go: at most so many in any minute, half of them at once. Pure.

A bucket: it holds half of what a minute may have and the other half drips in over the minute. So no minute
has more than the limit, a few alerts go at once, and after a burst the next message waits for a few seconds,
not for a whole minute.
"""

from __future__ import annotations

import math

from linkgauge.clock import NS_PER_S

MINUTE_S = 60


class Pace:
    """per_minute: messages in any minute; None: no limit. Times are of a clock that only goes on, ns."""

    def __init__(self, per_minute: int | None) -> None:
        self._limited = per_minute is not None
        most = per_minute or 1
        self._holds = max(1, most // 2)
        self._per_s = max(1, most - self._holds) / MINUTE_S
        self._left = float(self._holds)
        self._at_ns: int | None = None

    def free(self, now_ns: int) -> float:
        """Messages that may go now; inf without a limit."""
        if not self._limited:
            return math.inf
        if self._at_ns is not None:
            dripped = max(0, now_ns - self._at_ns) / NS_PER_S * self._per_s
            self._left = min(float(self._holds), self._left + dripped)
        self._at_ns = now_ns
        return math.floor(self._left + 1e-9)

    def took(self, now_ns: int) -> None:
        """A message went (or was tried: the far end counts that too)."""
        if self._limited:
            self.free(now_ns)
            self._left = max(0.0, self._left - 1)

    def wait_s(self, now_ns: int) -> float:
        """Until the next may go; 0: at once."""
        if self.free(now_ns) >= 1:
            return 0.0
        return (1 - self._left) / self._per_s
