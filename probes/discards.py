"""What the probers discarded, by columns of the table health: how much more it was at each look.

A prober lives as long as a plan and counts from its start; what it counted until it was closed is kept for
the next look.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping

Count = Callable[[], Mapping[str, int]]


class Discards:
    """Safe to use from several threads. A `Count` gives all since its prober's start, by column."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[Count, Mapping[str, int]] = {}
        self._left: Counter[str] = Counter()

    def watch(self, count: Count) -> None:
        """Look at this prober, too."""
        with self._lock:
            self._told[count] = {}

    def forget(self, count: Count) -> None:
        """Look at this prober, which is closed by now, for the last time."""
        with self._lock:
            self._look(count)
            del self._told[count]

    def take(self) -> dict[str, int]:
        """What has come since the last time; a column in which nothing has may be left out."""
        with self._lock:
            for count in self._told:
                self._look(count)
            came, self._left = self._left, Counter()
        return dict(came)

    def _look(self, count: Count) -> None:
        now = count()
        before, self._told[count] = self._told[count], now
        self._left.update({name: value - before.get(name, 0) for name, value in now.items()})
