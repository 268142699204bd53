"""The reflector's sessions as a bounded table of columns, found by a 64-bit key. Pure.

A session is a peer's address and port, the SSID and the door (socket of the reflector) it came through
(RFC 8972 section 3). Its identity is four words: the raw address with the SSID in place of the family, which
the door tells, and the door at its end. The key of an IPv4 session holds its whole identity but the door; the
address of an IPv6 session is mixed in with a salt. A key that two identities share belongs to the first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from probes.sockets.raw_name import NAME_SIZE

MAX_SESSIONS = 65_536
IDLE_NS = 600 * 1_000_000_000
"""A session that was silent this long may be forgotten when the table is full."""
LOOK_EVERY_NS = 1_000_000_000
"""A full table is searched for such sessions no more often than this: each search costs milliseconds."""
_SHIFT = np.uint64(32)
_ODD = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)

Words = NDArray[np.uint64]
Slots = NDArray[np.intp]


def identities(name: NDArray[np.uint8], ssid: NDArray[np.uint16] | int, door: int) -> Words:
    """Identity of each datagram (n, 4) uint64. name (n, NAME_SIZE): raw sources."""
    parts = np.array(name).view(np.uint16)
    parts[:, 0] = ssid
    parts[:, NAME_SIZE // 2 - 2] = door
    return parts.view(np.uint64)


class SessionTable:
    """At most `size` sessions; the columns have a row (slot) for each.

    number: of the next reply; told: what it was when `came` was last asked; withheld: packets that came and
    got none; seen_ns: when the last came.
    left_number, left_stamp: the last reply whose true departure is known, as on the wire, stamp 0 = none yet.
    peer: index for the peer's rate.
    """

    def __init__(self, size: int = MAX_SESSIONS, salt: int = 1) -> None:
        self.number = np.zeros(size, np.int64)
        self.told = np.zeros(size, np.int64)
        self.withheld = np.zeros(size, np.int64)
        self.seen_ns = np.zeros(size, np.int64)
        self.peer = np.zeros(size, np.intp)
        self.left_number = np.zeros(size, np.int64)
        self.left_stamp = np.zeros(size, np.uint64)
        self._identity = np.zeros((size, 4), np.uint64)
        self._row = np.zeros(size, np.intp)
        self._keys = np.empty(0, np.uint64)
        self._slots = np.empty(0, np.intp)
        self._free = np.arange(size - 1, -1, -1)
        self._salt = np.uint64(salt)
        self._odd = np.array([(salt * odd | 1) % 2**64 for odd in _ODD], np.uint64)
        self._looked_ns: int | None = None

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, identity: Words) -> Slots:
        """Slot of each (n,), -1 = not in the table. identity (n, 4)."""
        if not len(self._keys):
            return np.full(len(identity), -1, np.intp)
        at = self._keys.searchsorted(self.keys(identity))
        slots: Slots = self._slots[np.minimum(at, len(self._keys) - 1)]
        known = (self._identity[slots] == identity).all(axis=1)
        return slots if known.all() else np.where(known, slots, -1)

    def add(self, identity: Words, now_ns: int) -> Slots:
        """New sessions for identities (n, 4) with distinct keys: slots (n,), -1 where there is no room."""
        if len(self._free) < len(identity):
            self._forget_idle(now_ns)
        keys, slots = self.keys(identity), np.full(len(identity), -1, np.intp)
        at = self._keys.searchsorted(keys)
        taken = (np.append(self._keys, np.uint64(0))[at] == keys) & (at < len(self._keys))
        rows = np.flatnonzero(~taken)[: len(self._free)]
        if not len(rows):
            return slots
        new, keys = self._free[len(self._free) - len(rows) :][::-1], keys[rows]
        self._free = self._free[: len(self._free) - len(rows)]
        slots[rows] = new
        order = keys.argsort()
        at = self._keys.searchsorted(keys[order])
        self._keys = np.insert(self._keys, at, keys[order])
        self._slots = np.insert(self._slots, at, new[order])
        self._identity[new] = identity[rows]
        self.seen_ns[new], self.peer[new] = now_ns, -1
        for column in (self.number, self.told, self.withheld, self.left_number, self.left_stamp):
            column[new] = 0
        return slots

    def ordinals(self, slots: Slots) -> NDArray[np.int64]:
        """Place of each packet among its session's in this batch (n,), from 0."""
        order = np.arange(len(slots))
        self._row[slots] = order
        if (self._row[slots] == order).all():
            return np.zeros(len(slots), np.int64)
        if (slots == slots[0]).all():
            return order
        by_slot = slots.argsort(kind="stable")
        ordered = slots[by_slot]
        first = np.append(True, ordered[1:] != ordered[:-1])
        places = np.empty(len(slots), np.int64)
        places[by_slot] = order - np.maximum.accumulate(np.where(first, order, 0))
        return places

    def came(self) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Of each session `peer`, and the packets answered since the last call."""
        number = self.number[self._slots]
        since = number - self.told[self._slots]
        self.told[self._slots] = number
        return self.peer[self._slots], np.where(since < 0, number, since)  # numbered anew

    def peers_in_use(self) -> NDArray[np.intp]:
        """`peer` of all sessions."""
        return self.peer[self._slots]

    def keys(self, identity: Words) -> Words:
        """Key of each (n,)."""
        key: Words = identity[:, 0] ^ identity[:, 3] * self._odd[0]
        long = identity[:, 1] | identity[:, 2]
        if not long.any():
            return key
        mixed = np.zeros(len(identity), np.uint64)
        for word in (1, 2):
            mixed = (mixed ^ identity[:, word] ^ self._salt) * self._odd[word]
            mixed ^= mixed >> _SHIFT
        return key ^ np.where(long != 0, mixed, 0)

    def _forget_idle(self, now_ns: int) -> None:
        if self._looked_ns is not None and now_ns - self._looked_ns <= LOOK_EVERY_NS:
            return
        self._looked_ns = now_ns
        idle = now_ns - self.seen_ns[self._slots] > IDLE_NS
        gone = self._slots[idle]
        self._keys, self._slots = self._keys[~idle], self._slots[~idle]
        self._identity[gone] = 0
        self._free = np.append(self._free, gone)
