"""Frames that wait for their due time, for many lanes at once. Pure: times are arguments, ns of one clock.

A lane is one direction of one wire. A frame leaves its lane `delay_ns` after it came, never before an earlier
frame of its queue (the lane's own, unless named), and frames of all lanes leave in the order of their due
times. Each lane holds at most `limit` frames; one more is refused and counted.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

UNORDERED = -1
"""A queue in which frames may overtake each other."""


class DelayLine:
    """A heap of (due time, number of arrival, lane, frame)."""

    def __init__(self, delays_ns: Sequence[int], limit: int) -> None:
        """delays_ns[lane] is the lane's delay in ns, 0 or more; limit is the most frames a lane holds."""
        self._delays_ns = tuple(delays_ns)
        self._limit = limit
        self._last_due_ns: dict[int, int] = {}
        self._waiting = [0] * len(self._delays_ns)
        self._heap: list[tuple[int, int, int, bytes]] = []
        self._number = 0
        self.dropped = 0
        """Frames refused because their lane was full."""

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_due_ns(self) -> int | None:
        """When the next frame is due, or None when none waits."""
        return self._heap[0][0] if self._heap else None

    def push(
        self, lane: int, arrival_ns: int, frame: bytes, extra_ns: int = 0, queue: int | None = None
    ) -> bool:
        """Take a frame that came at arrival_ns; False when the lane is full and the frame is dropped.

        extra_ns: on top of the lane's delay. queue: frames of one queue keep their order; None: the lane's
        own; any other number below 0 is a queue apart, and UNORDERED is none.
        """
        if self._waiting[lane] >= self._limit:
            self.dropped += 1
            return False
        due_ns = arrival_ns + self._delays_ns[lane] + extra_ns
        if queue != UNORDERED:
            key = lane if queue is None else queue
            self._last_due_ns[key] = due_ns = max(due_ns, self._last_due_ns.get(key, 0))
        self._waiting[lane] += 1
        self._number += 1
        heapq.heappush(self._heap, (due_ns, self._number, lane, frame))
        return True

    def pop(self, now_ns: int) -> tuple[int, int, bytes] | None:
        """The next frame due at or before now_ns as (due_ns, lane, frame), or None."""
        if not self._heap or self._heap[0][0] > now_ns:
            return None
        due_ns, _, lane, frame = heapq.heappop(self._heap)
        self._waiting[lane] -= 1
        return due_ns, lane, frame
