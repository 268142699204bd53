"""STAMP sender sessions as one table: when to send, what was sent, what came back.

Pure: time and bytes are arguments.

A session is one link's packets of one class over one flow; all sessions of an agent share this table. Each
has a ring of its last packets: column arrays of shape (sessions, ring), addressed by sequence number modulo
the ring. Due times lie on a monotonic grid (start + k * interval, random phase); a slot that passed unused is
counted as missed, never sent late as a burst.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from probes.stamp.packet import Block, is_corrupt, reflector_columns, requests, unix_ns

SENT, REPLIED, LATE, REFUSED, FAILED = range(5)
"""Fate of a packet so far; a packet still SENT after its timeout is lost."""


class Discard(IntEnum):
    """Why a received datagram was no reply of ours; indexes `Sessions.discarded`."""

    SHORT = 0
    CORRUPT = 1
    UNMATCHED = 2


@dataclass(frozen=True, slots=True)
class Timing:
    """interval_ns between packets of a session, timeout_ns from sending to lost, ring: a power of two."""

    interval_ns: int
    timeout_ns: int
    ring: int

    @classmethod
    def for_window(cls, interval_ns: int, timeout_ns: int, window_ns: int) -> Timing:
        """Ring for two windows, the timeout and some slack."""
        packets = (2 * window_ns + 2 * timeout_ns + 2_000_000_000) // interval_ns + 64
        return cls(interval_ns, timeout_ns, 1 << int(packets).bit_length())


class Sessions:
    """n sessions.

    names (n, w) uint8: raw address of each far end. ssid (n,) uint16: distinct, not 0. phase_ns (n,) int64:
    first due time of each after `start_mono_ns`, 0 <= phase < interval.
    """

    def __init__(
        self,
        names: NDArray[np.uint8],
        ssid: NDArray[np.uint16],
        phase_ns: NDArray[np.int64],
        start_mono_ns: int,
        timing: Timing,
    ) -> None:
        n = len(ssid)
        self.timing = timing
        self.names = names
        self.ssid = ssid
        self.due_ns = start_mono_ns + phase_ns
        self.next_seq = np.zeros(n, np.int64)
        self.missed = np.zeros(n, np.int64)
        self.discarded = np.zeros(len(Discard), np.int64)
        self._by_ssid = np.full(1 << 16, -1, np.int32)
        self._by_ssid[ssid] = np.arange(n)
        shape = (n, timing.ring)
        self.fate = np.full(shape, SENT, np.int8)
        self.told_t1_ns = np.zeros(shape, np.int64)
        """T1 as written into the packet; the reply must carry it back."""
        self.t1_ns = np.zeros(shape, np.int64)
        """T1, the kernel's transmit stamp where there is one."""
        self.t2_ns = np.zeros(shape, np.int64)
        self.t3_ns = np.zeros(shape, np.int64)
        self.t4_ns = np.zeros(shape, np.int64)
        self.number = np.zeros(shape, np.int64)
        self.error = np.zeros(shape, np.uint16)
        """Error Estimate of the far end."""
        self._copies: list[NDArray[np.int64]] = []

    def __len__(self) -> int:
        return len(self.ssid)

    def next_due_ns(self) -> int | None:
        """Monotonic time of the next packet; None without sessions."""
        return int(self.due_ns.min()) if len(self) else None

    def due(self, mono_ns: int) -> NDArray[np.intp]:
        """Sessions that have a packet to send now; moves them to their next slot, counting missed ones."""
        rows = np.flatnonzero(self.due_ns <= mono_ns)
        if len(rows):
            missed = (mono_ns - self.due_ns[rows]) // self.timing.interval_ns
            self.missed[rows] += missed
            self.due_ns[rows] += (missed + 1) * self.timing.interval_ns
        return rows

    def packets(self, rows: NDArray[np.intp], error: int) -> NDArray[np.void]:
        """The next packet of each session named, T1 still zero (SENDER records)."""
        return requests(self.next_seq[rows], self.ssid[rows], error)

    def sent(
        self, rows: NDArray[np.intp], t1_ns: NDArray[np.int64], taken: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Note that the packets of `packets(rows)` were handed over at t1_ns; returns their sequence numbers.

        taken: False where the kernel would not send; such a packet keeps its number and counts as failed.
        """
        seq = self.next_seq[rows].copy()
        at = (rows, seq % self.timing.ring)
        self.fate[at] = np.where(taken, SENT, FAILED)
        self.told_t1_ns[at] = t1_ns
        self.t1_ns[at] = t1_ns
        self.next_seq[rows] += 1
        return seq

    def stamped(self, rows: NDArray[np.intp], seq: NDArray[np.int64], stamp_ns: NDArray[np.int64]) -> None:
        """Kernel transmit stamps for packets sent; one that is not just after T1 as told is not believed."""
        at = (rows, seq % self.timing.ring)
        after = stamp_ns - self.told_t1_ns[at]
        good = (after >= 0) & (after < self.timing.timeout_ns)
        self.t1_ns[rows[good], at[1][good]] = stamp_ns[good]

    def received(
        self, block: Block, length: NDArray[np.int64], names: NDArray[np.uint8], t4_ns: NDArray[np.int64]
    ) -> None:
        """Take datagrams: block (n, w) octets, length (n,), names (n, m) raw sources, t4_ns (n,) stamps.

        Whatever is no reply of ours is counted in `discarded`, by reason.
        """
        long_enough = length >= 44
        packets = reflector_columns(block)
        corrupt = long_enough & is_corrupt(packets["error"])
        row = self._by_ssid[packets["ssid"]].astype(np.intp)
        back = (self.next_seq[row] - 1 - packets["sender_seq"].astype(np.int64)) % (1 << 32)
        seq = self.next_seq[row] - 1 - back
        ours = long_enough & ~corrupt & (row >= 0) & (seq >= 0) & (back < self.timing.ring)
        ours &= (self.names[row] == names).all(axis=1)
        t1_ns = unix_ns(packets["t1"].astype(np.uint64), packets["sender_error"].astype(np.uint16))
        ours &= np.abs(t1_ns - self.told_t1_ns[row, seq % self.timing.ring]) <= 2
        self.discarded += [
            int((~long_enough).sum()),
            int(corrupt.sum()),
            int((long_enough & ~corrupt & ~ours).sum()),
        ]
        self._take(row[ours], seq[ours], packets[ours], t4_ns[ours])

    def refused(self, block: Block, length: NDArray[np.int64]) -> None:
        """Take our own packets as quoted by ICMP errors (k, w); unknown ones are counted as unmatched."""
        row = self._by_ssid[block[:, 14].astype(np.int64) << 8 | block[:, 15]].astype(np.intp)
        quoted = np.ascontiguousarray(block[:, :4]).view(">u4")[:, 0].astype(np.int64)
        back = (self.next_seq[row] - 1 - quoted) % (1 << 32)
        ours = (length >= 16) & (row >= 0) & (back < np.minimum(self.timing.ring, self.next_seq[row]))
        self.discarded[Discard.UNMATCHED] += int((~ours).sum())
        row, seq = row[ours], (self.next_seq[row] - 1 - back)[ours]
        at = (row, seq % self.timing.ring)
        self.fate[at] = np.where(self.fate[at] == SENT, REFUSED, self.fate[at])

    def copies(self) -> NDArray[np.int64]:
        """Further replies to packets that are still kept: (k, 3) int64 session, seq, reflector's number."""
        return np.concatenate([np.empty((0, 3), np.int64), *self._copies])

    def forget_copies(self, before: NDArray[np.int64]) -> None:
        """Forget those of packets before these sequence numbers, (n,) one for each session."""
        copies = self.copies()
        self._copies = [copies[copies[:, 1] >= before[copies[:, 0]]]]

    def _take(
        self,
        row: NDArray[np.intp],
        seq: NDArray[np.int64],
        packets: NDArray[np.void],
        t4_ns: NDArray[np.int64],
    ) -> None:
        slot = seq % self.timing.ring
        _, first = np.unique(row * (1 << 40) + seq, return_index=True)
        fresh = np.zeros(len(row), np.bool_)
        fresh[first] = True
        state = self.fate[row, slot]
        fresh &= (state != REPLIED) & (state != LATE)
        number = packets["seq"].astype(np.int64)
        if not fresh.all():
            again = ~fresh
            self._copies.append(np.stack([row[again], seq[again], number[again]], axis=1).astype(np.int64))
        row, slot, t4_ns, number = row[fresh], slot[fresh], t4_ns[fresh], number[fresh]
        packets = packets[fresh]
        at = (row, slot)
        late = t4_ns - self.t1_ns[at] > self.timing.timeout_ns
        self.fate[at] = np.where(late, LATE, REPLIED)
        error = packets["error"].astype(np.uint16)
        self.t2_ns[at] = unix_ns(packets["t2"].astype(np.uint64), error)
        self.t3_ns[at] = unix_ns(packets["t3"].astype(np.uint64), error)
        self.t4_ns[at] = t4_ns
        self.number[at] = number
        self.error[at] = error
