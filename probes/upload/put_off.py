"""Batches that are put off while others go on: for 60 s, then twice as long each time, up to 10 min. Pure.

Times are monotonic ns; a batch is told by its seq in the outbox.
"""

from __future__ import annotations

from linkgauge.clock import NS_PER_S

FIRST_NS, LONGEST_NS = 60 * NS_PER_S, 600 * NS_PER_S
_FORGOTTEN_NS = 2 * LONGEST_NS


class PutOff:
    """Which batches wait for a clock or a name to be mended, and until when."""

    def __init__(self) -> None:
        self._until: dict[int, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._until)

    def add(self, seq: int, now_ns: int) -> None:
        """Put it off, for longer than the last time."""
        wait_ns = min(2 * self._until[seq][1], LONGEST_NS) if seq in self._until else FIRST_NS
        self._until[seq] = now_ns + wait_ns, wait_ns

    def forget(self, seq: int) -> None:
        """It is settled."""
        self._until.pop(seq, None)

    def skip(self, now_ns: int) -> frozenset[int]:
        """Those whose time is not over.

        One that was not put off again or settled long after its time is in the outbox no more, and forgotten.
        """
        for seq in [seq for seq, (at_ns, _) in self._until.items() if at_ns < now_ns - _FORGOTTEN_NS]:
            del self._until[seq]
        return frozenset(seq for seq, (at_ns, _) in self._until.items() if at_ns > now_ns)
