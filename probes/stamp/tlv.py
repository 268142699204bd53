"""TLVs of our own STAMP requests, and what their replies tell (RFC 8972 section 4). Pure, in columns.

A TLV is Flags (1), Type (1), Length of the value (2), Value. The sender sets the U flag; a reflector that
knows the type clears it, sets M where the TLV is malformed and I where its integrity is in doubt.

Our requests carry Class of Service, Follow-Up Telemetry, in authenticated mode HMAC, and last Extra Padding:

    base     Class of Service: header (4), value (4): DSCP1 (6 bits), DSCP2 (6), ECN (2), RP (2), zero (16)
    base+8   Follow-Up Telemetry: header (4), value (16): Sequence Number (4), stamp (8), method (1), zero (3)
    base+28  HMAC, authenticated only: header (4), value (16)
    then     Extra Padding: header (4), zeros

The reply is as long as the request and has its TLVs in the same places.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from probes.stamp.packet import AUTHENTICATED_SIZE, SIZE, Block, is_corrupt

HEADER_SIZE = 4
UNRECOGNISED, MALFORMED, INTEGRITY = 0x80, 0x40, 0x20
"""Flags (RFC 8972 section 4)."""
_UNTOLD = UNRECOGNISED | MALFORMED | INTEGRITY


class Type(IntEnum):
    """Types of TLVs (RFC 8972 section 5.1)."""

    EXTRA_PADDING = 1
    LOCATION = 2
    TIMESTAMP_INFORMATION = 3
    CLASS_OF_SERVICE = 4
    DIRECT_MEASUREMENT = 5
    FOLLOW_UP = 7
    HMAC = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a request of ours and of its reply stand, octets of UDP payload; None = not there.

    size: in all. base: of the base packet, 44 or 112. The others: where the value of the TLV begins.
    """

    size: int
    base: int
    marks_at: int | None
    follow_up_at: int | None
    hmac_at: int | None


def layout(size_bytes: int, *, tlvs: bool, authenticated: bool) -> Layout:
    """Layout of requests of `size_bytes`, or of the least size above that can be made.

    tlvs False: a far end without RFC 8972, for instance TWAMP-Light: the base packet and zeros.
    """
    base = AUTHENTICATED_SIZE if authenticated else SIZE
    if not tlvs:
        return Layout(max(size_bytes, base), base, None, None, None)
    hmac_at = base + 32 if authenticated else None
    end = base + 48 if authenticated else base + 28
    size = end if size_bytes <= end else max(size_bytes, end + HEADER_SIZE)
    return Layout(size, base, base + 4, base + 12, hmac_at)


def tail(layout: Layout, dscp: int) -> bytes:
    """What follows the base packet as sent: its reply is asked for in class `dscp`; HMAC still zero."""
    if layout.marks_at is None:
        return bytes(layout.size - layout.base)
    octets = _header(Type.CLASS_OF_SERVICE, 4) + struct.pack("!I", dscp << 26)
    octets += _header(Type.FOLLOW_UP, 16) + bytes(16)
    if layout.hmac_at is not None:
        octets += _header(Type.HMAC, 16) + bytes(16)
    padding = layout.size - layout.base - len(octets)
    if padding:
        octets += _header(Type.EXTRA_PADDING, padding - HEADER_SIZE) + bytes(padding - HEADER_SIZE)
    return octets


def marks(
    block: Block, layout: Layout, length: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """DSCP and ECN (n,) that our requests had when they reached the reflector; -1 where it did not tell.

    block (n, w): replies. length (n,): their octets, where not all are known to be layout.size.
    """
    if layout.marks_at is None:
        untold = np.full(len(block), -1, np.int16)
        return untold, untold.copy()
    told = _told(block, layout.marks_at, Type.CLASS_OF_SERVICE, 4, length)
    value = _word(block, layout.marks_at)
    return _where_told(told, value >> 20 & 0x3F), _where_told(told, value >> 18 & 3)


def sent_otherwise(
    block: Block, layout: Layout, length: NDArray[np.int64] | None = None
) -> NDArray[np.bool_]:
    """Replies (n,) that the reflector did not send in the class asked for (RP set, RFC 8972 section 4.4).

    Their mark on arrival says nothing of the way back.
    """
    if layout.marks_at is None:
        return np.zeros(len(block), np.bool_)
    told = _told(block, layout.marks_at, Type.CLASS_OF_SERVICE, 4, length)
    otherwise: NDArray[np.bool_] = told & ((_word(block, layout.marks_at) >> 16 & 3) != 0)
    return otherwise


def follow_up(
    block: Block, layout: Layout, error: NDArray[np.uint16], length: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.bool_]]:
    """When an earlier reply really left: its number in the reflector's count (n,), the stamp (n,), told (n,).

    error (n,): the replies' Error Estimates, whose Z bit says in which format the stamp is
    (`packet.unix_ns`); where one is corrupt nothing is told. A stamp of zero tells nothing.
    """
    at = layout.follow_up_at
    if at is None or layout.marks_at is None:
        none = np.zeros(len(block), np.int64)
        return none, none.astype(np.uint64), np.zeros(len(block), np.bool_)
    before = block[:, layout.marks_at - HEADER_SIZE]
    told = _told(block, at, Type.FOLLOW_UP, 16, length) & ((before & (MALFORMED | INTEGRITY)) == 0)
    stamp = block[:, at + 4 : at + 12].view(">u8")[:, 0].astype(np.uint64)
    return _word(block, at), stamp, told & (stamp != 0) & ~is_corrupt(error)


def blame(packet: NDArray[np.uint8], layout: Layout) -> None:
    """Set the I flag of every TLV of one packet (w,)."""
    for at in (layout.marks_at, layout.follow_up_at, layout.hmac_at):
        if at is not None:
            packet[at - HEADER_SIZE] |= INTEGRITY


def _header(kind: Type, length: int) -> bytes:
    return struct.pack("!BBH", UNRECOGNISED, kind, length)


def _told(
    block: Block, value_at: int, kind: Type, size: int, length: NDArray[np.int64] | None
) -> NDArray[np.bool_]:
    """Rows whose TLV at this place is of this type and size, and was processed."""
    header = _word(block, value_at - HEADER_SIZE)
    told: NDArray[np.bool_] = (header & (_UNTOLD << 24 | 0xFF_FFFF)) == (kind << 16 | size)
    return told if length is None else told & (length >= value_at + size)


def _word(block: Block, at: int) -> NDArray[np.int64]:
    """The four octets at this place as a number (n,)."""
    return block[:, at : at + 4].view(">u4")[:, 0].astype(np.int64)


def _where_told(told: NDArray[np.bool_], value: NDArray[np.int64]) -> NDArray[np.int16]:
    return np.where(told, value, -1).astype(np.int16)
