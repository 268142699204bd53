"""Packets of one sweep of many flows, what came of each, and the hops that follow from it. Pure.

Packets are columns; a packet belongs to a sweep (one flow of one link in one class) and has a hop limit and a
size. Of each packet the first answer counts, and an answer that no packet of this table asked for counts in
`foreign`. The round trip to a hop is the kernel's stamp of the answer less its stamp of the packet; at the
far end also less the dwell that its reply tells, but never below zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_US
from linkgauge.way_text import SILENT
from probes.engine.flight import Answers, Caught, Departures, Errors
from probes.path.extension import LEGACY_AT, LEGACY_AT_V6, NO_LABELS, Extensions
from probes.path.way import Way
from probes.sockets.raw_name import address_of

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
        self._dwell_ns = np.empty(0, np.int64)
        self._address = np.empty(0, np.int64)  # places in _addresses and _labels; 0 = silent, none
        self._label = np.empty(0, np.int64)
        self._addresses: list[str] = [SILENT]
        self._labels: list[str] = [NO_LABELS]
        self._places: dict[bytes | str, int] = {}

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
        for name in ("fate", "info", "_sent_ns", "_answer_ns", "_dwell_ns", "_address", "_label"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(len(sweep), column.dtype)]))
        return np.arange(start, len(self))

    def take(self, some: Sequence[Caught]) -> None:
        """Note what came; many at a time are cheaper."""
        if some:
            self._take_departures(Departures(*joint([caught.sent for caught in some])))
            self._take_answers(Answers(*joint([caught.replies for caught in some])))
            self._take_errors(Errors(*joint([caught.errors for caught in some])))

    def complete(self) -> bool:
        """Every packet has its answer, or was not sent."""
        return bool((self.fate != Fate.SILENT).all())

    def address(self, row: int) -> str:
        """Who answered a packet; `SILENT` when nobody did."""
        return self._addresses[int(self._address[row])]

    def first_answers(self, hops: int) -> NDArray[np.int64]:
        """(sweeps, hops + 1) int64: row of the first answered packet with that hop limit, -1 = none."""
        first = np.full((len(self._peers), hops + 1), -1, np.int64)
        rows = np.flatnonzero(np.isin(self.fate, (Fate.HOP, Fate.REACHED, Fate.BARRED)))
        places, which = np.unique(self.sweep[rows] * (hops + 1) + self.hop[rows], return_index=True)
        first.ravel()[places] = rows[which]
        return first

    def ends(self, first: NDArray[np.int64]) -> NDArray[np.int64]:
        """(sweeps,) int64: smallest hop limit at which the way ended; the width of `first` where none did."""
        fate = np.append(self.fate, np.int8(Fate.SILENT))[first]  # -1 is silent
        ended = np.isin(fate, (Fate.REACHED, Fate.BARRED))
        at: NDArray[np.int64] = np.where(ended.any(axis=1), ended.argmax(axis=1), first.shape[1])
        return at

    def hops(self, first: NDArray[np.int64]) -> list[Hops]:
        """What each sweep saw, from `first_answers`; silence at the end is cut."""
        ends = self.ends(first)
        known = (first >= 0) & (np.arange(first.shape[1]) <= ends[:, None])
        lengths = np.where(known.any(axis=1), first.shape[1] - 1 - known[:, ::-1].argmax(axis=1), 0)
        rtt_us = np.append(self._rtt_us(), np.nan)[first]
        return [
            self._hops(first[at, 1 : length + 1], rtt_us[at, 1 : length + 1].tolist())
            for at, length in enumerate(lengths.tolist())
        ]

    def _rtt_us(self) -> NDArray[np.float64]:
        """Of each packet, NaN where it is not known."""
        away_ns = self._answer_ns - self._sent_ns
        known = (self._answer_ns > 0) & (self._sent_ns > 0) & (away_ns >= 0)
        return np.where(known, np.maximum(away_ns - self._dwell_ns, 0) / NS_PER_US, np.nan)

    def _hops(self, rows: NDArray[np.int64], rtt_us: list[float]) -> Hops:
        address, label = np.append(self._address, 0)[rows], np.append(self._label, 0)[rows]
        reached = len(rows) > 0 and self.fate[rows[-1]] == Fate.REACHED
        way = Way(tuple(self._addresses[at] for at in address.tolist()), bool(reached))
        return Hops(way, tuple(rtt_us), tuple(self._labels[at] for at in label.tolist()))

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
        rows, first = np.unique(rows, return_index=True)
        fresh = self.fate[rows] == Fate.SILENT
        rows, first = rows[fresh], first[fresh]
        self.fate[rows], self._answer_ns[rows] = Fate.REACHED, replies.stamp_ns[ours][first]
        self._dwell_ns[rows] = np.maximum(replies.dwell_ns[ours][first], 0)
        peers = [self._peers[sweep] for sweep in self.sweep[rows].tolist()]
        self._address[rows] = [self._place(peer, peer, self._addresses) for peer in peers]

    def _take_errors(self, errors: Errors) -> None:
        rows, ours = self._rows(errors.seq)
        fates = fates_of(errors.reason[ours], self._v6[self.sweep[rows]])
        rows, at = np.unique(rows, return_index=True)
        fresh = np.isin(self.fate[rows], (Fate.SILENT, Fate.UNSENT)) & (fates[at] != Fate.SILENT)
        rows, at = rows[fresh], at[fresh]
        self.fate[rows] = fates[at]
        at = np.flatnonzero(ours)[at]
        self._answer_ns[rows], self.info[rows] = errors.stamp_ns[at], errors.info[at]
        names = [name.tobytes() for name in errors.offender[at]]
        for name in set(names) - self._places.keys():
            self._place(name, address_of(np.frombuffer(name, np.uint8)) or SILENT, self._addresses)
        self._address[rows] = [self._places[name] for name in names]
        self._take_labels(errors, rows, at)

    def _take_labels(self, errors: Errors, rows: Rows, at: Rows) -> None:
        """Labels of the errors `at` about the packets `rows`; most tell none, and are not looked at."""
        v6 = self._v6[self.sweep[rows]]
        some = (errors.extension_at[at] >= 0) | (errors.length[at] > np.where(v6, LEGACY_AT_V6, LEGACY_AT))
        for one, row, is_v6 in zip(at[some].tolist(), rows[some].tolist(), v6[some].tolist(), strict=True):
            data = errors.data[one, : errors.length[one]].tobytes()
            text = self._extensions.labels(data, int(errors.extension_at[one]), v6=is_v6)
            self._label[row] = self._place(f"mpls {text}", text, self._labels)

    def _place(self, key: bytes | str, text: str, texts: list[str]) -> int:
        """Where a text stands in its list."""
        if key not in self._places:
            self._places[key] = len(texts)
            texts.append(text)
        return self._places[key]


def joint(parts: Sequence[Departures] | Sequence[Answers] | Sequence[Errors]) -> list[NDArray[Any]]:
    """The columns of some values of one class, end to end; octets are padded to the widest."""
    columns = [[getattr(part, name) for part in parts] for name in parts[0].__slots__]
    return [_end_to_end(column) for column in columns]


def _end_to_end(column: list[NDArray[Any]]) -> NDArray[Any]:
    if column[0].ndim == 2 and len(widths := {part.shape[1] for part in column}) > 1:
        column = [np.pad(part, ((0, 0), (0, max(widths) - part.shape[1]))) for part in column]
    return np.concatenate(column)


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
