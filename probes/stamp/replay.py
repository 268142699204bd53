"""Was this packet of an authenticated session seen before? A window over its Sequence Numbers. Pure.

An HMAC does not stop who records a packet and sends it again (RFC 8762 section 6). So each number is taken
once; what lies further back than the window cannot be told from a replay and counts as one.
"""

from __future__ import annotations

WIDTH = 1024
"""How far a packet may lag behind the newest of its session, in packets."""
_SPAN = 1 << 32
_MASK = (1 << WIDTH) - 1


class ReplayWindow:
    """Newest number and the WIDTH before it, of each session by its slot."""

    def __init__(self) -> None:
        self._newest: dict[int, int] = {}
        self._seen: dict[int, int] = {}  # bit i: newest - i came

    def forget(self, slot: int) -> None:
        """A new session begins in this slot."""
        self._newest.pop(slot, None)
        self._seen.pop(slot, None)

    def take(self, slot: int, seq: int) -> bool:
        """Whether `seq` (modulo 2**32) is new to the session; it is not from then on."""
        newest = self._newest.get(slot)
        if newest is None:
            self._newest[slot], self._seen[slot] = seq, 1
            return True
        ahead = (seq - newest + _SPAN // 2) % _SPAN - _SPAN // 2
        if ahead > 0:
            self._newest[slot] = seq
            self._seen[slot] = (self._seen[slot] << min(ahead, WIDTH) | 1) & _MASK
            return True
        if ahead <= -WIDTH or self._seen[slot] >> -ahead & 1:
            return False
        self._seen[slot] |= 1 << -ahead
        return True
