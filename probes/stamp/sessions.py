"""STAMP sender sessions as one table: what was sent, what came back, what is known of each packet. Pure.

A session is one link's packets of one class over one flow. Sessions are rows, in the order in which they are
sent; each has a ring of its last packets, addressed by sequence number modulo the ring. What is kept of a
reply stands in one record (`REPLY`), so that taking a batch of replies writes each in one stroke; a record
counts only while its `seq` is the packet's. Time and octets are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from probes.stamp import departure, tlv
from probes.stamp.packet import is_corrupt, ntp_of, reflector_columns
from probes.stamp.reply_record import MARKED, OTHER_CLASS, REPLY, UNTIMED
from probes.stamp.tlv import Layout

REFUSED, UNREACHABLE, FAILED = 1, 2, 3  # what else became of a packet: `Sessions.mishap`
_SPARE = 8
"""Columns never used: rows a power of two apart would all fall into the same few sets of the cache."""
SHORTEST = 38
"""Octets of the shortest reply that is read: TWAMP-Light's up to the sender's Error Estimate."""
MOST_PER_PACKET_NS = 3_000
"""Sending one packet of a batch takes about so long."""
_NO_PORT = (3 << 8 | 3, 1 << 8 | 4)
"""ICMP and ICMPv6: the host is there, nobody listens."""

Ints = NDArray[np.int64]
Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]


class Discard(IntEnum):
    """Why a received datagram was no reply of ours; indexes `Sessions.discarded`."""

    SHORT = 0
    CORRUPT = 1
    UNMATCHED = 2
    UNAUTHENTIC = 3
    TOO_LATE = 4
    """Its packet is not kept any more."""


class Replies(Protocol):
    """Columns of n received datagrams, as `sockets.Received` has them."""

    @property
    def data(self) -> NDArray[np.uint8]: ...
    @property
    def length(self) -> Ints: ...
    @property
    def name(self) -> NDArray[np.uint8]: ...
    @property
    def stamp_ns(self) -> Ints: ...


@dataclass(frozen=True, slots=True)
class Timing:
    """timeout_ns from sending to lost, ring: packets kept of a session, a power of two."""

    timeout_ns: int
    ring: int

    @classmethod
    def for_window(cls, interval_ns: int, timeout_ns: int, window_ns: int, train: int = 1) -> Timing:
        """Ring for two windows, two timeouts and some slack."""
        packets = (2 * window_ns + 2 * timeout_ns + 2_000_000_000) // interval_ns + 16
        return cls(timeout_ns, 1 << int(max(packets, 2 * train)).bit_length())


@dataclass(frozen=True, slots=True)
class Ends:
    """n sessions. names (n, w) uint8 raw address of each far end; ssid (n,) uint16 distinct, not 0; socket
    (n,) through which of the agent's sockets; anonymous (n,): no SSID comes back (TWAMP-Light)."""

    names: NDArray[np.uint8]
    ssid: NDArray[np.uint16]
    socket: Ints
    anonymous: Mask


class Sessions:
    """See above. layout: of all requests but for their size; replies without TLVs are read too.

    stamping: T1 comes from the kernel's transmit stamps.
    """

    def __init__(self, ends: Ends, layout: Layout, timing: Timing, stamping: bool = True) -> None:
        n = len(ends.ssid)
        self.ends, self.layout, self.timing, self.stamping = ends, layout, timing, stamping
        self.mask = timing.ring - 1
        self.next_seq = np.zeros(n, np.int64)
        self.missed = np.zeros(n, np.int64)
        self.discarded = np.zeros(len(Discard), np.int64)
        self.reported = np.zeros(n, np.int64)
        """Earlier packets are in windows that were reported; replies to them go to `corrections`."""
        self._by_ssid = np.full(1 << 16, -1, np.int32)
        self._by_ssid[ends.ssid] = np.arange(n)
        self._words = np.ascontiguousarray(ends.names).view(np.uint64)
        self._of_name: dict[tuple[int, bytes], list[int]] = {}
        for row, (at, name) in enumerate(zip(ends.socket.tolist(), ends.names, strict=True)):
            self._of_name.setdefault((at, name.tobytes()), []).append(row)
        self._any_anonymous = bool(ends.anonymous.any())
        shape = (n, timing.ring + _SPARE)
        self.told_ns = np.zeros(shape, np.int64)
        """T1 as written into the packet."""
        self._told = np.zeros(shape, np.uint64)
        """The same as it stands there; the reply must carry it back."""
        self.kernel_t1_ns = np.zeros(shape, np.int64)
        """T1 by the kernel's transmit stamp, or else interpolated; counts only just after T1 as told."""
        self.reply = np.zeros((n, timing.ring + _SPARE // 2), REPLY)
        self.reply["seq"] = -1
        self.mishap = np.zeros(shape, np.int8)
        """REFUSED, UNREACHABLE or FAILED, where `mishap_seq` is the packet's."""
        self.mishap_seq = np.full(shape, -1, np.int64)
        self._copies: list[Ints] = []
        self.corrections: list[Ints] = []
        """(k, 2) session, seq of replies that came after their window was reported."""

    def __len__(self) -> int:
        return len(self.next_seq)

    def sent(self, first: int, end: int, t1_ns: int, train: int = 1) -> None:
        """Sessions first..end - 1, which have sent equally many packets, send their next `train` at t1_ns."""
        if end > first:
            at = int(self.next_seq[first]) & self.mask
            self.told_ns[first:end, at : at + train] = t1_ns
            self._told[first:end, at : at + train] = ntp_of(t1_ns)
            self.next_seq[first:end] += train

    def spread(self, first: int, end: int, done_ns: int, train: int = 1) -> None:
        """Without transmit stamps: the packets of the last `sent` left evenly until done_ns, or sooner: a
        call that took longer was interrupted, and when is not known. So T1 errs early rather than late.
        """
        if end > first:
            at = int(self.next_seq[first]) - train & self.mask
            begun_ns, count = int(self.told_ns[first, at]), (end - first) * train
            took_ns = min(max(0, done_ns - begun_ns), MOST_PER_PACKET_NS * count)
            part = (2 * np.arange(count) + 1) * took_ns // (2 * count)
            self.kernel_t1_ns[first:end, at : at + train] = (begun_ns + part).reshape(end - first, train)

    def sent_one_each(self, rows: Rows, t1_ns: int) -> Ints:
        """These sessions send one packet each at t1_ns; returns their sequence numbers."""
        seq = self.next_seq[rows]
        self.told_ns[rows, seq & self.mask] = t1_ns
        self._told[rows, seq & self.mask] = ntp_of(t1_ns)
        self.next_seq[rows] = seq + 1
        return seq

    def failed(self, rows: Rows, seq: Ints) -> None:
        """The kernel would not send these."""
        self._mishap(rows, seq, np.full(len(rows), FAILED, np.int8))

    def stamped(self, rows: Rows, seq: Ints, stamp_ns: Ints) -> int:
        """Kernel transmit stamps; believed only just after T1 as told. Returns how many were before it."""
        at = (rows, seq & self.mask)
        after = stamp_ns - self.told_ns[at]
        good = (after >= 0) & (after < self.timing.timeout_ns)
        self.kernel_t1_ns[rows[good], at[1][good]] = stamp_ns[good]
        return int((after < 0).sum())

    def t1_ns(self, rows: Rows, seq: Ints) -> tuple[Ints, Mask]:
        """T1 of packets that are kept, as exact as it is known, and whether it is the kernel's."""
        at = (rows, seq & self.mask)
        told, stamp = self.told_ns[at], self.kernel_t1_ns[at]
        kernel = (stamp >= told) & (stamp - told < self.timing.timeout_ns) & (stamp > 0)
        return np.where(kernel, stamp, told), kernel & self.stamping

    def refused(self, socket: Ints | int, block: NDArray[np.uint8], length: Ints, reason: Ints) -> None:
        """Take our own packets as quoted by ICMP errors (k, w); unknown ones are counted as unmatched."""
        base = self.layout.base
        packets = reflector_columns(block, base)
        enough = length >= (16 if base == 44 else 28)
        row = self._row_of(socket, packets["ssid"])
        back = (self.next_seq[row] - 1 - packets["seq"].astype(np.int64)) % (1 << 32)
        ours = enough & (row >= 0) & (back < np.minimum(self.timing.ring, self.next_seq[row]))
        self.discarded[Discard.UNMATCHED] += int((~ours).sum())
        row, seq = row[ours], (self.next_seq[row] - 1 - back)[ours]
        kind = np.where(np.isin(reason[ours], _NO_PORT), REFUSED, UNREACHABLE).astype(np.int8)
        self._mishap(row, seq, kind)

    def received(
        self, socket: Ints | int, got: Replies, ttl: NDArray[np.uint8], tos: NDArray[np.uint8]
    ) -> None:
        """Take datagrams. socket: through which they came; ttl, tos (n,): as they arrived.

        Whatever is no reply of ours is counted in `discarded`, by reason.
        """
        packets = reflector_columns(got.data, self.layout.base)
        short = got.length < (SHORTEST if self.layout.base == 44 else self.layout.base)
        corrupt = ~short & is_corrupt(packets["error"])
        row = self._row_of(socket, packets["ssid"])
        unnamed = np.flatnonzero((row < 0) & ~short & ((packets["ssid"] == 0) | self._any_anonymous))
        if len(unnamed):
            row = self._row_by_name(socket, got.name, packets, row, unnamed)
        newest = self.next_seq[row] - 1
        back = (newest - packets["sender_seq"].astype(np.int64)) % (1 << 32)
        seq = newest - back
        ours = ~short & ~corrupt & (row >= 0) & (seq >= 0)
        ours &= (self._words[row] == got.name.view(np.uint64)).all(axis=1)
        gone = ours & (back >= self.timing.ring)
        ours &= back < self.timing.ring
        ours &= self._told[row, seq & self.mask] == packets["t1"]
        self.discarded[Discard.SHORT] += int(short.sum())
        self.discarded[Discard.CORRUPT] += int(corrupt.sum())
        self.discarded[Discard.TOO_LATE] += int(gone.sum())
        self.discarded[Discard.UNMATCHED] += int((~short & ~corrupt & ~ours & ~gone).sum())
        keep: Any = slice(None) if ours.all() else np.flatnonzero(ours)
        self._take(row[keep], seq[keep], packets[keep], got, keep, ttl[keep], tos[keep])

    def copies(self) -> Ints:
        """Further replies to packets that are still kept: (k, 3) int64 session, seq, reflector's number."""
        return np.concatenate([np.empty((0, 3), np.int64), *self._copies])

    def forget_copies(self, before: Ints) -> None:
        """Forget those of packets before these sequence numbers, (n,) one for each session."""
        if self._copies:
            copies = self.copies()
            self._copies = [copies[copies[:, 1] >= before[copies[:, 0]]]]

    def _row_of(self, socket: Ints | int, ssid: NDArray[Any]) -> Rows:
        """Session of each SSID as it came through this socket, -1 = none."""
        row = self._by_ssid[ssid.astype(np.uint16)].astype(np.intp)
        if len(self):
            row[self.ends.socket[row] != socket] = -1
        return row

    def _row_by_name(
        self, socket: Ints | int, names: NDArray[np.uint8], packets: NDArray[Any], row: Rows, at: Rows
    ) -> Rows:
        """Far ends that give no SSID back are known by their address, and by T1 where sessions share it."""
        sockets = np.broadcast_to(socket, len(row))
        for one in at.tolist():
            packet = packets[one]
            for candidate in self._of_name.get((int(sockets[one]), names[one].tobytes()), ()):
                newest = int(self.next_seq[candidate]) - 1
                seq = newest - (newest - int(packet["sender_seq"])) % (1 << 32)
                if seq >= 0 and self._told[candidate, seq & self.mask] == packet["t1"]:
                    row[one] = candidate
        return row

    def _mishap(self, rows: Rows, seq: Ints, kind: NDArray[np.int8]) -> None:
        at = (rows, seq & self.mask)
        self.mishap[at], self.mishap_seq[at] = kind, seq

    def _take(
        self, row: Rows, seq: Ints, packets: NDArray[Any], got: Replies, keep: Any,
        ttl: NDArray[np.uint8], tos: NDArray[np.uint8],
    ) -> None:  # fmt: skip
        made = np.zeros(len(row), REPLY)
        length = got.length[keep]
        timed = got.stamp_ns[keep] > 0
        made["seq"], made["t4_ns"] = seq, np.where(timed, got.stamp_ns[keep], self.t1_ns(row, seq)[0])
        for name in ("t2", "t3", "number", "error"):
            made[name] = packets["seq" if name == "number" else name]
        made["ttl_out"] = np.where((length > 40) & (packets["ttl"] > 0), packets["ttl"], 255)
        made["ttl_back"], made["tos_back"] = ttl, tos
        made["place"] = np.arange(len(row))
        block = got.data[keep]
        dscp, ecn = tlv.marks(block, self.layout, length)
        made["tos_out"] = (dscp << 2 | ecn).astype(np.uint8)
        other = tlv.sent_otherwise(block, self.layout, length)
        made["flags"] = np.where(dscp >= 0, MARKED, 0) | np.where(other, OTHER_CLASS, 0)
        made["flags"] |= np.where(timed, 0, UNTIMED).astype(np.uint8)
        slot = seq & self.mask
        fresh = self.reply["seq"][row, slot] != seq
        first = np.flatnonzero(fresh)
        self.reply[row[first], slot[first]] = made[first]
        if (self.reply["place"][row[first], slot[first]] != first).any():  # copies: the first one stays
            first = first[np.unique(row[first] * self.timing.ring + slot[first], return_index=True)[1]]
            self.reply[row[first], slot[first]] = made[first]
            fresh = np.isin(made["place"], first)
        if len(again := np.flatnonzero(~fresh)):
            self._copies.append(np.stack([row[again], seq[again], made["number"][again]], axis=1))
        if (corrected := fresh & (seq < self.reported[row])).any():
            self.corrections.append(np.stack([row[corrected], seq[corrected]], axis=1))
        earlier, t3, told = tlv.follow_up(block, self.layout, made["error"], length)
        told &= (made["number"] - earlier) % (1 << 32) <= departure.REACH
        left = np.flatnonzero(told)
        departure.settle(self.reply, self.mask, self.t1_ns, row[left], seq[left], earlier[left], t3[left])
