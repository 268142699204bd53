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

SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6 = 1, 0, 41
SO_TIMESTAMPING, SO_RXQ_OVFL = 37, 40
IP_TOS, IP_TTL, IP_RECVERR = 1, 2, 11
IPV6_RECVERR, IPV6_HOPLIMIT, IPV6_TCLASS = 25, 52, 67
ORIGIN_TIMESTAMPING = 4
"""ee_origin of a transmit stamp on the error queue."""
_HEADER = struct.Struct("=QII")


@dataclass(slots=True)
class Controls:
    """Ancillary data of n messages as columns.

    stamp_ns int64, Unix ns, 0 = none; ttl uint8, 255 = unknown; tos uint8; origin uint8, reason uint16 (ICMP
    type * 256 + code) and number int64 of an extended error; dropped: the receive queue's overflow count,
    0 = not told.
    """

    stamp_ns: NDArray[np.int64]
    ttl: NDArray[np.uint8]
    tos: NDArray[np.uint8]
    origin: NDArray[np.uint8]
    reason: NDArray[np.uint16]
    number: NDArray[np.int64]
    dropped: int = 0


def parse(control: NDArray[np.uint8], lengths: NDArray[np.uint64]) -> Controls:
    """Parse the ancillary data of n messages: control (n, w) uint8, lengths (n,) octets in use."""
    count = len(control)
    columns = Controls(
        np.zeros(count, np.int64),
        np.full(count, 255, np.uint8),
        np.zeros(count, np.uint8),
        np.zeros(count, np.uint8),
        np.zeros(count, np.uint16),
        np.zeros(count, np.int64),
    )
    todo = np.arange(count)
    while len(todo):
        layout, header_at = _layout(control[todo[0]], int(lengths[todo[0]]))
        same = lengths[todo] == lengths[todo[0]]
        if header_at:
            same &= (control[todo[:, None], header_at] == control[todo[0], header_at]).all(axis=1)
        for offset, level, kind in layout:
            _take(columns, control, todo[same], offset, level, kind)
        todo = todo[~same]
    return columns


def _layout(row: NDArray[np.uint8], length: int) -> tuple[list[tuple[int, int, int]], list[int]]:
    """(data offset, level, type) of each control message, and the positions of all header octets."""
    layout: list[tuple[int, int, int]] = []
    header_at: list[int] = []
    at = 0
    raw = row.tobytes()
    while at + _HEADER.size <= length:
        size, level, kind = _HEADER.unpack_from(raw, at)
        if size < _HEADER.size or at + size > length:
            break
        layout.append((at + _HEADER.size, level, kind))
        header_at.extend(range(at, at + _HEADER.size))
        at += -(-size // 8) * 8
    return layout, header_at


def _take(
    columns: Controls, control: NDArray[np.uint8], rows: NDArray[np.intp], offset: int, level: int, kind: int
) -> None:
    def words(width: int, dtype: str) -> NDArray[Any]:
        part = np.ascontiguousarray(control[rows, offset : offset + width])
        return part.view(dtype)

    if (level, kind) == (SOL_SOCKET, SO_TIMESTAMPING):
        times = words(16, "i8")
        columns.stamp_ns[rows] = times[:, 0] * 1_000_000_000 + times[:, 1]
    elif (level, kind) == (SOL_SOCKET, SO_RXQ_OVFL):
        columns.dropped = max(columns.dropped, int(words(4, "u4").max()))
    elif (level, kind) in ((IPPROTO_IP, IP_TTL), (IPPROTO_IPV6, IPV6_HOPLIMIT)):
        columns.ttl[rows] = words(4, "i4")[:, 0]
    elif (level, kind) in ((IPPROTO_IP, IP_TOS), (IPPROTO_IPV6, IPV6_TCLASS)):
        columns.tos[rows] = control[rows, offset]
    elif (level, kind) in ((IPPROTO_IP, IP_RECVERR), (IPPROTO_IPV6, IPV6_RECVERR)):
        report = words(16, "u4")
        columns.origin[rows] = report[:, 1] & 0xFF
        columns.reason[rows] = (report[:, 1] >> 8 & 0xFF) << 8 | report[:, 1] >> 16 & 0xFF
        columns.number[rows] = report[:, 3]
