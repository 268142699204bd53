"""Ancillary data of received messages (struct cmsghdr, 64-bit Linux) as columns. Pure.

A control message is {u64 length, i32 level, i32 type} and its data, padded to 8 octets. All messages of a
socket usually carry the same ones in the same order, so a batch is parsed by the layout of its first row;
rows that differ are taken in further rounds.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.sockets.raw_name import NAME_SIZE

SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6 = 1, 0, 41
SO_TIMESTAMPING, SO_RXQ_OVFL = 37, 40
IP_TOS, IP_TTL, IP_RECVERR = 1, 2, 11
IPV6_RECVERR, IPV6_HOPLIMIT, IPV6_TCLASS = 25, 52, 67
ORIGIN_ICMP, ORIGIN_ICMP6, ORIGIN_TIMESTAMPING = 2, 3, 4
"""ee_origin: what an entry of the error queue is."""
CONTROL_HEADER = struct.Struct("=QII")
"""struct cmsghdr."""
_EXTENDED_ERROR = 16
_NO_EXTENSION = -1
_EXTENSION_INVALID = 1

Words = NDArray[np.uint64]


@dataclass(slots=True)
class Controls:
    """Ancillary data of n messages as columns.

    stamp_ns int64, Unix ns, 0 = none; ttl uint8, 255 = unknown; tos uint8. Of an entry of the error queue:
    origin uint8, reason int64 (ICMP type << 8 | code), number int64 (running number of a transmit stamp),
    info int64, offender (n, NAME_SIZE) uint8 raw address, extension_at int64 (RFC 4884, -1 = none).
    dropped: the receive queue's overflow count, 0 = not told.
    """

    stamp_ns: NDArray[np.int64]
    ttl: NDArray[np.uint8]
    tos: NDArray[np.uint8]
    origin: NDArray[np.uint8]
    reason: NDArray[np.int64]
    number: NDArray[np.int64]
    info: NDArray[np.int64]
    offender: NDArray[np.uint8]
    extension_at: NDArray[np.int64]
    dropped: int = 0


def parse(control: NDArray[np.uint8], lengths: NDArray[Any], errors: bool = False) -> Controls:
    """Parse the ancillary data of n messages: control (n, w) uint8, w a multiple of 8; lengths (n,) in use.

    errors: entries of the error queue; otherwise their columns are left empty (0 rows).
    """
    count = len(control)
    told = count if errors else 0
    columns = Controls(
        np.zeros(count, np.int64),
        np.full(count, 255, np.uint8),
        np.zeros(count, np.uint8),
        np.zeros(told, np.uint8),
        np.zeros(told, np.int64),
        np.zeros(told, np.int64),
        np.zeros(told, np.int64),
        np.zeros((told, NAME_SIZE), np.uint8),
        np.full(told, _NO_EXTENSION, np.int64),
    )
    words = control.view(np.uint64)
    todo: NDArray[np.intp] | slice = slice(None)
    rows = np.arange(count)
    while len(rows):
        first = rows[0]
        layout, heads = _layout(control[first], int(lengths[first]))
        same = lengths[rows] == lengths[first]
        if heads:
            same &= (words[rows][:, heads] == words[first, heads]).all(axis=1)
        todo = slice(None) if len(rows) == count and same.all() else rows[same]
        for offset, level, kind in layout:
            _take(columns, words, todo, offset, (level, kind), errors)
        rows = rows[~same]
    return columns


def _layout(row: NDArray[np.uint8], length: int) -> tuple[list[tuple[int, int, int]], list[int]]:
    """(data offset, level, type) of each control message, and the words that this was read from.

    The header that ends a row early counts among those words: rows of equal length may go on after it.
    """
    layout: list[tuple[int, int, int]] = []
    heads: list[int] = []
    at = 0
    raw = row[:length].tobytes()
    while at + CONTROL_HEADER.size <= len(raw):
        size, level, kind = CONTROL_HEADER.unpack_from(raw, at)
        heads += [at // 8, at // 8 + 1]
        if size < CONTROL_HEADER.size or at + size > len(raw):
            break
        layout.append((at + CONTROL_HEADER.size, level, kind))
        at += -(-size // 8) * 8
    return layout, heads


def _take(
    columns: Controls,
    words: Words,
    rows: NDArray[np.intp] | slice,
    offset: int,
    what: tuple[int, int],
    errors: bool,
) -> None:
    at = offset // 8
    if what == (SOL_SOCKET, SO_TIMESTAMPING):
        seconds, rest = words[rows, at].astype(np.int64), words[rows, at + 1].astype(np.int64)
        columns.stamp_ns[rows] = seconds * 1_000_000_000 + rest
    elif what == (SOL_SOCKET, SO_RXQ_OVFL):
        columns.dropped = max(columns.dropped, int((words[rows, at] & np.uint64(0xFFFF_FFFF)).max()))
    elif what in ((IPPROTO_IP, IP_TTL), (IPPROTO_IPV6, IPV6_HOPLIMIT)):
        columns.ttl[rows] = words[rows, at].astype(np.uint8)
    elif what in ((IPPROTO_IP, IP_TOS), (IPPROTO_IPV6, IPV6_TCLASS)):
        columns.tos[rows] = words[rows, at].astype(np.uint8)
    elif errors and what in ((IPPROTO_IP, IP_RECVERR), (IPPROTO_IPV6, IPV6_RECVERR)):
        _take_error(columns, words, rows, at)


def _take_error(columns: Controls, words: Words, rows: NDArray[np.intp] | slice, at: int) -> None:
    """struct sock_extended_err: errno u32, origin, type, code, pad u8, info, data u32; then the offender."""
    first, second = words[rows, at], words[rows, at + 1]
    columns.origin[rows] = (first >> np.uint64(32)).astype(np.uint8)
    kind, code = first >> np.uint64(40) & np.uint64(0xFF), first >> np.uint64(48) & np.uint64(0xFF)
    columns.reason[rows] = (kind << np.uint64(8) | code).astype(np.int64)
    columns.info[rows] = (second & np.uint64(0xFFFF_FFFF)).astype(np.int64)
    data = (second >> np.uint64(32)).astype(np.int64)
    columns.number[rows] = data
    extended = ((data & 0xFFFF) > 0) & ((data >> 16 & _EXTENSION_INVALID) == 0)
    columns.extension_at[rows] = np.where(extended, data & 0xFFFF, _NO_EXTENSION)
    octets = words.view(np.uint8)
    start = at * 8 + _EXTENDED_ERROR
    end = min(start + NAME_SIZE, octets.shape[1])
    columns.offender[rows, : end - start] = octets[rows, start:end]
