"""How fast the backlog may go after an outage. Pure."""

from __future__ import annotations

from linkgauge.clock import NS_PER_S

BURST_S = 0.1
"""Time that was slept too long may be made up, this much of it."""


class Pace:
    """At most `per_s` events in a second, evenly. Times are monotonic ns."""

    def __init__(self, per_s: float) -> None:
        self._apart_ns = int(NS_PER_S / per_s)
        self._burst_ns = int(BURST_S * NS_PER_S)
        self._next_ns = 0

    def wait_s(self, now_ns: int) -> float:
        """Time until the next event may be, 0 when it may now."""
        return max(0, self._next_ns - now_ns) / NS_PER_S

    def take(self, now_ns: int) -> None:
        """The event is now."""
        self._next_ns = max(self._next_ns, now_ns - self._burst_ns) + self._apart_ns
