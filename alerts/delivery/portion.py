"""How many notices go as one message: fewer once one of so many was refused, and more again in time. Pure.

A receiver may refuse a digest because of one notice in it. Halves find it in a few messages; so many messages
are taken before more is tried again that a receiver which takes no digest at all is seldom asked to.
"""

from __future__ import annotations

GROW_AFTER = 8
"""Messages of that size that were taken, before twice as many notices go as one."""


class Portion:
    """Not thread safe."""

    def __init__(self, most: int) -> None:
        self._most, self._taken = most, 0
        self.size = most
        """Notices in a message, at most; 1: each goes alone."""

    def refused(self, notices: int) -> None:
        """A message of so many was not taken, for what is in it."""
        self.size, self._taken = max(1, notices // 2), 0

    def taken(self, notices: int) -> None:
        """A message of so many was taken."""
        if notices < self.size:
            return  # says nothing of larger ones
        self._taken += 1
        if self._taken >= GROW_AFTER:
            self.size, self._taken = min(self._most, 2 * self.size), 0
