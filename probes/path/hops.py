"""Packets of one sweep of many flows, what came of each, and the hops that follow from it. Pure.

Packets are columns; a packet belongs to a sweep (one flow of one link in one class) and has a hop limit and a
size. Of each packet the first answer counts, and an answer that no packet of this table asked for counts in
`foreign`. The round trip to a hop is the kernel's stamp of the answer less its stamp of the packet; at the
far end it includes the reflector's dwell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from probes.flight import Answers, Caught, Departures, Errors
from probes.path.extension import NO_LABELS, Extensions
from probes.path.way import SILENT, Way
from probes.raw_name import address_of

Ints = NDArray[np.int64]
Rows = NDArray[np.intp]
_V6_FAMILY = 10
_SEQ_RANGE = 1 << 32


class Fate(IntEnum):
    """What became of a packet of a sweep."""

    SILENT = 0
    HOP = 1
    """Its hop limit ran out at the router that told so."""
    REACHED = 2
    """The far end replied, or told that nobody listens."""
    BARRED = 3
    """A router told that the packet goes no further."""
    TOO_BIG = 4
    UNSENT = 5
    """The kernel did not send it."""


@dataclass(frozen=True, slots=True)
class Hops:
    """What one sweep saw. way; rtt_us (n,): to each hop, NaN = unknown; labels: of each hop."""

    way: Way
    rtt_us: tuple[float, ...]
    labels: tuple[str, ...]


class Packets:
    """Packets of the sweeps to `peers` (one address for each sweep), numbered from `first_seq` on."""

    def __init__(self, peers: Sequence[str], first_seq: int, extensions: Extensions) -> None:
        self._peers, self._first, self._extensions = peers, first_seq, extensions
        self._v6 = np.array([":" in peer for peer in peers], np.bool_)
        self.foreign = 0
        self.sweep = np.empty(0, np.intp)
        self.hop = np.empty(0, np.int64)
        self.size = np.empty(0, np.int64)
        self.fate = np.empty(0, np.int8)
        self.info = np.empty(0, np.int64)
        """MTU that a packet-too-big told, 0 = none."""
        self._sent_ns = np.empty(0, np.int64)
        self._answer_ns = np.empty(0, np.int64)
        self._who: dict[int, tuple[str, str]] = {}
        self._addresses: dict[bytes, str] = {}

    def __len__(self) -> int:
        return len(self.sweep)

    @property
    def next_seq(self) -> int:
        """Sequence number of the packet that is added next."""
        return (self._first + len(self)) % _SEQ_RANGE

    def seq(self, rows: Rows) -> Ints:
        """Sequence numbers of packets, 0..2**32-1."""
        return (self._first + rows) % _SEQ_RANGE

    def add(self, sweep: Rows, hop: Ints, size: Ints) -> Rows:
        """Packets to be sent; returns their rows."""
        start = len(self)
        self.sweep = np.concatenate([self.sweep, sweep])
        self.hop = np.concatenate([self.hop, hop])
        self.size = np.concatenate([self.size, size])
        for name in ("fate", "info", "_sent_ns", "_answer_ns"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(len(sweep), column.dtype)]))
        return np.arange(start, len(self))

    def take(self, caught: Caught) -> None:
        """Note what came."""
        self._take_departures(caught.sent)
        self._take_answers(caught.replies)
        self._take_errors(caught.errors)

    def complete(self) -> bool:
        """Every packet has its answer, or was not sent."""
        return bool((self.fate != Fate.SILENT).all())

    def address(self, row: int) -> str:
        """Who answered a packet; `SILENT` when nobody did."""
        return self._who[row][0] if row in self._who else SILENT

    def first_answers(self, hops: int) -> NDArray[np.int64]:
        """(sweeps, hops + 1) int64: row of the first answered packet with that hop limit, -1 = none."""
        best = np.full((len(self._peers), hops + 1), -1, np.int64)
        rows = np.flatnonzero(np.isin(self.fate, (Fate.HOP, Fate.REACHED, Fate.BARRED)))[::-1]
        best[self.sweep[rows], self.hop[rows]] = rows
        return best

    def ends(self, first: NDArray[np.int64]) -> NDArray[np.int64]:
        """(sweeps,) int64: smallest hop limit at which the way ended; the width of `first` where none did."""
        ended = (first >= 0) & np.isin(self.fate[first], (Fate.REACHED, Fate.BARRED))
        at: NDArray[np.int64] = np.where(ended.any(axis=1), ended.argmax(axis=1), first.shape[1])
        return at

    def hops(self, first: NDArray[np.int64]) -> list[Hops]:
        """What each sweep saw, from `first_answers`; silence at the end is cut."""
        ends = self.ends(first)
        known = (first >= 0) & (np.arange(first.shape[1]) <= ends[:, None])
        lengths = np.where(known.any(axis=1), first.shape[1] - 1 - known[:, ::-1].argmax(axis=1), 0)
        rtt_ns = (self._answer_ns - self._sent_ns).astype(np.float64)
        rtt_ns[(self._answer_ns == 0) | (self._sent_ns == 0) | (rtt_ns < 0)] = np.nan
        return [
            self._hops(first[at, 1 : length + 1].tolist(), rtt_ns)
            for at, length in enumerate(lengths.tolist())
        ]

    def _hops(self, rows: list[int], rtt_ns: NDArray[np.float64]) -> Hops:
        told = [self._who[row] if row >= 0 else (SILENT, NO_LABELS) for row in rows]
        reached = bool(rows) and self.fate[rows[-1]] == Fate.REACHED
        rtt_us = tuple(float(rtt_ns[row]) / 1000 if row >= 0 else np.nan for row in rows)
        return Hops(Way(tuple(who for who, _ in told), reached), rtt_us, tuple(labels for _, labels in told))

    def _rows(self, seq: Ints) -> tuple[Rows, NDArray[np.bool_]]:
        """Rows of packets, and which of the numbers are ours."""
        rows = (seq - self._first) % _SEQ_RANGE
        ours = rows < len(self)
        self.foreign += int((~ours).sum())
        return rows[ours].astype(np.intp), ours

    def _take_departures(self, sent: Departures) -> None:
        rows, ours = self._rows(sent.seq)
        self._sent_ns[rows] = sent.stamp_ns[ours]
        failed = rows[sent.failed[ours]]
        self.fate[failed[self.fate[failed] == Fate.SILENT]] = Fate.UNSENT

    def _take_answers(self, replies: Answers) -> None:
        rows, ours = self._rows(replies.seq)
        stamp_ns = replies.stamp_ns[ours]
        for row, when in zip(rows.tolist(), stamp_ns.tolist(), strict=True):
            if self.fate[row] == Fate.SILENT:
                self.fate[row], self._answer_ns[row] = Fate.REACHED, when
                self._who[row] = (self._peers[self.sweep[row]], NO_LABELS)

    def _take_errors(self, errors: Errors) -> None:
        rows, ours = self._rows(errors.seq)
        fates = fates_of(errors.reason[ours], self._v6[self.sweep[rows]])
        for at, row, fate in zip(np.flatnonzero(ours).tolist(), rows.tolist(), fates.tolist(), strict=True):
            if self.fate[row] in (Fate.SILENT, Fate.UNSENT) and fate != Fate.SILENT:
                self.fate[row], self._answer_ns[row] = fate, errors.stamp_ns[at]
                self.info[row] = errors.info[at]
                data = errors.data[at, : errors.length[at]].tobytes()
                v6 = bool(self._v6[self.sweep[row]])
                labels = self._extensions.labels(data, int(errors.extension_at[at]), v6=v6)
                self._who[row] = (self._address(errors.offender[at]), labels)

    def _address(self, name: NDArray[np.uint8]) -> str:
        key = name.tobytes()
        if key not in self._addresses:
            self._addresses[key] = address_of(name) or SILENT
        return self._addresses[key]


def fates_of(reason: Ints, v6: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Fates (n,) int8 told by ICMP errors: reason (n,) type << 8 | code, v6 (n,) whether it is ICMPv6.

    RFC 792 and RFC 1191: 11/0 hop limit, 3/3 port, 3/4 too big, other 3 barred. RFC 4443: 3/0 hop limit,
    1/4 port, 2 too big, other 1 barred. Anything else tells nothing of the way: SILENT.
    """
    kind = np.where(v6, reason + (1 << 16), reason)
    fate = np.zeros(len(kind), np.int8)
    fate[(kind >> 8 == 3) | (kind >> 8 == 0x101)] = Fate.BARRED
    fate[np.isin(kind, (11 << 8, 0x10300))] = Fate.HOP
    fate[np.isin(kind, (3 << 8 | 3, 0x10104))] = Fate.REACHED
    fate[(kind == (3 << 8 | 4)) | (kind >> 8 == 0x102)] = Fate.TOO_BIG
    return fate
