"""STAMP Session-Reflector, unauthenticated and stateful (RFC 8762 section 4.3).

Pure: time and bytes are arguments.

A session is a peer's address, port and SSID; its counter starts at 0 and rises by one with each reply. Only
provisioned peers are answered (RFC 8972 section 3): others, short, cut or corrupt packets and sessions beyond
the table's bound are refused, each with its own count. A reply is as long as its request: what follows the
base packet is copied back (RFC 8762 section 4.3), so TLVs return with their U flag still set: not processed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from probes.stamp.packet import SIZE, Block, is_corrupt, octets, replies, sender_columns

MAX_SESSIONS = 65_536
IDLE_NS = 600 * 1_000_000_000
"""A session that was silent this long may be forgotten when the table is full."""
LOOK_EVERY_NS = 1_000_000_000
"""A full table is searched for such sessions no more often than this: each search costs milliseconds."""


class Refusal(IntEnum):
    """Why a datagram was not answered; indexes `Reflector.refused`."""

    SHORT = 0
    CORRUPT = 1
    PEER_UNKNOWN = 2
    TABLE_FULL = 3
    LONG = 4
    """Longer than the receive block: it could not be sent back whole."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send: `packets` REFLECTOR records (n,) with T3 still zero, `tail` (n, w) octets that follow
    them, `length` (n,) octets in all, `names` (n, m) where to."""

    packets: NDArray[np.void]
    tail: NDArray[np.uint8]
    length: NDArray[np.int64]
    names: NDArray[np.uint8]

    def octets(self, t3: NDArray[np.uint64]) -> Block:
        """Write T3 (NTP; the last thing before sending) and give the block (n, SIZE + w)."""
        self.packets["t3"] = t3
        return np.concatenate([octets(self.packets), self.tail], axis=1)


class Reflector:
    """Answers datagrams. is_peer: says whether a raw source address (octets of a sockaddr) is provisioned."""

    def __init__(
        self, is_peer: Callable[[NDArray[np.uint8]], bool], max_sessions: int = MAX_SESSIONS
    ) -> None:
        self._is_peer = is_peer
        self._max_sessions = max_sessions
        self._slot: dict[bytes, int] = {}
        self._counter = np.zeros(max_sessions, np.int64)
        self._seen_ns = np.zeros(max_sessions, np.int64)
        self._looked_ns = 0
        self._free = list(range(max_sessions - 1, -1, -1))
        self.reflected = 0
        self.refused = np.zeros(len(Refusal), np.int64)

    @property
    def sessions(self) -> int:
        """Sessions in the table."""
        return len(self._slot)

    def reflect(
        self,
        block: Block,
        length: NDArray[np.int64],
        names: NDArray[np.uint8],
        t2_ns: NDArray[np.int64],
        ttl: NDArray[np.uint8],
        error: int,
    ) -> Reply:
        """Replies to the datagrams of a batch that deserve one; columns as `sockets.Received` has them."""
        packets = sender_columns(block)
        short = length < SIZE
        long = length > block.shape[1]
        corrupt = ~short & ~long & is_corrupt(packets["error"])
        for reason, mask in ((Refusal.SHORT, short), (Refusal.LONG, long), (Refusal.CORRUPT, corrupt)):
            self.refused[reason] += int(mask.sum())
        rows = np.flatnonzero(~(short | long | corrupt))
        slots, ordinal = self._sessions_of(names[rows], packets["ssid"][rows], t2_ns[rows])
        known = slots >= 0
        rows, slots, ordinal = rows[known], slots[known], ordinal[known]
        counter = self._counter[slots] + ordinal
        np.add.at(self._counter, slots, 1)
        self._seen_ns[slots] = t2_ns[rows]
        self.reflected += len(rows)
        made = replies(packets[rows], counter, t2_ns[rows], ttl[rows], error)
        end = int(length[rows].max(initial=SIZE))
        return Reply(made, block[rows, SIZE:end], length[rows], names[rows])

    def _sessions_of(
        self, names: NDArray[np.uint8], ssid: NDArray[np.uint16], now_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Slot of each packet's session, -1 = refused; and its place among its session's in this batch."""
        keys = np.concatenate([names, np.ascontiguousarray(ssid).view(np.uint8).reshape(-1, 2)], axis=1)
        distinct, where = np.unique(_rows_as_records(keys), return_inverse=True)
        count = np.bincount(where, minlength=len(distinct))
        slot = np.array(
            [self._slot_of(key.tobytes(), int(n), now_ns) for key, n in zip(distinct, count, strict=True)],
            np.int64,
        )
        by_session = np.argsort(where, kind="stable")
        first = np.concatenate([[0], np.cumsum(count)[:-1]]) if len(count) else np.empty(0, np.int64)
        ordinal = np.empty(len(where), np.int64)
        ordinal[by_session] = np.arange(len(where)) - np.repeat(first, count)
        return (slot[where] if len(where) else np.empty(0, np.int64)), ordinal

    def _slot_of(self, key: bytes, packets: int, now_ns: NDArray[np.int64]) -> int:
        slot = self._slot.get(key)
        if slot is not None:
            return slot
        if not self._is_peer(np.frombuffer(key[:-2], np.uint8)):
            self.refused[Refusal.PEER_UNKNOWN] += packets
            return -1
        if not self._free and now_ns.max() - self._looked_ns > LOOK_EVERY_NS:
            self._forget_idle(int(now_ns.max()))
        if not self._free:
            self.refused[Refusal.TABLE_FULL] += packets
            return -1
        slot = self._slot[key] = self._free.pop()
        self._counter[slot], self._seen_ns[slot] = 0, now_ns.max()
        return slot

    def _forget_idle(self, now_ns: int) -> None:
        self._looked_ns = now_ns
        for key, slot in list(self._slot.items()):
            if now_ns - self._seen_ns[slot] > IDLE_NS:
                del self._slot[key]
                self._free.append(slot)


def _rows_as_records(rows: NDArray[np.uint8]) -> NDArray[np.void]:
    return np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1])))[:, 0]
