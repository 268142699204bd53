"""How much too early to act so that, in the median, one acts on time. Pure.

A process that sleeps until t acts at t plus the machine's wake-up time. Each observed lateness moves the
advance by one step towards it; it settles where half of the actions are early and half are late, which is
the running median (stochastic approximation of a quantile, Robbins and Monro 1951).
"""

from __future__ import annotations


class Advance:
    """The running median of lateness, bounded to 0..most_ns."""

    def __init__(self, start_ns: int, step_ns: int, most_ns: int) -> None:
        self.ns = start_ns
        """How much before its due time to act, in ns."""
        self._step_ns = step_ns
        self._most_ns = most_ns

    def observe(self, lateness_ns: int) -> None:
        """Learn from one action: its time less its due time, with the present advance at work."""
        if lateness_ns > 0:
            self.ns = min(self.ns + self._step_ns, self._most_ns)
        elif lateness_ns < 0:
            self.ns = max(self.ns - self._step_ns, 0)
