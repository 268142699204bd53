"""STAMP test packets as columns (RFC 8762; SSID position of RFC 8972).

Session-Sender packet, 44 octets (RFC 8762 section 4.2.1):

     0  Sequence Number (4)      4  Timestamp T1 (8)     12  Error Estimate (2)   14  SSID (2)
    16  must be zero (28)

Session-Reflector packet, 44 octets (RFC 8762 section 4.3.1):

     0  Sequence Number (4)      4  Timestamp T3 (8)     12  Error Estimate (2)   14  SSID (2)
    16  Receive Timestamp T2 (8)
    24  sender's Sequence Number (4)   28  sender's Timestamp T1 (8)   36  sender's Error Estimate (2)
    38  must be zero (2)               40  sender's TTL as received (1)          41  must be zero (3)

Authenticated packets have 112 octets (RFC 8762 sections 4.2.2 and 4.3.2), what is not named must be zero:

     0  Sequence Number (4)     16  Timestamp T1 or T3 (8)     24  Error Estimate (2)   26  SSID (2)
    32  Receive Timestamp T2 (8)                               48  sender's Sequence Number (4)
    64  sender's Timestamp T1 (8)      72  sender's Error Estimate (2)     80  sender's TTL (1)
    96  HMAC (16)

TLVs (RFC 8972 section 4) follow the base packet of either mode.

Numbers are big-endian. A batch of packets is a structured array over an (n, >= 44) uint8 block: no packet is
an object of its own. Timestamps are NTP 64-bit (RFC 5905 section 6): seconds since 1900 and 2**-32 s; on
receipt the truncated PTPv2 form (Z bit of the Error Estimate, RFC 8762 section 4.1.1) is read as well.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S

SIZE = 44
"""Octets of an unauthenticated packet without TLVs."""
AUTHENTICATED_SIZE = 112
"""Octets of an authenticated packet without TLVs."""
HMAC_AT = 96
"""Where the HMAC of an authenticated packet stands: it covers all octets before."""
NTP_UNIX_OFFSET_S = 2_208_988_800
"""1970-01-01 in seconds of the NTP era 0 (1900-01-01)."""
_ERA_S = 1 << 32
_NTP_PIVOT_S = 1 << 31
_S_BIT, _Z_BIT = 0x8000, 0x4000

SENDER = np.dtype(
    {
        "names": ["seq", "t1", "error", "ssid"],
        "formats": [">u4", ">u8", ">u2", ">u2"],
        "offsets": [0, 4, 12, 14],
        "itemsize": SIZE,
    }
)
REFLECTOR = np.dtype(
    {
        "names": ["seq", "t3", "error", "ssid", "t2", "sender_seq", "t1", "sender_error", "ttl"],
        "formats": [">u4", ">u8", ">u2", ">u2", ">u8", ">u4", ">u8", ">u2", "u1"],
        "offsets": [0, 4, 12, 14, 16, 24, 28, 36, 40],
        "itemsize": SIZE,
    }
)
SENDER_AUTHENTICATED = np.dtype(
    {
        "names": ["seq", "t1", "error", "ssid"],
        "formats": [">u4", ">u8", ">u2", ">u2"],
        "offsets": [0, 16, 24, 26],
        "itemsize": AUTHENTICATED_SIZE,
    }
)
REFLECTOR_AUTHENTICATED = np.dtype(
    {
        "names": ["seq", "t3", "error", "ssid", "t2", "sender_seq", "t1", "sender_error", "ttl"],
        "formats": [">u4", ">u8", ">u2", ">u2", ">u8", ">u4", ">u8", ">u2", "u1"],
        "offsets": [0, 16, 24, 26, 32, 48, 64, 72, 80],
        "itemsize": AUTHENTICATED_SIZE,
    }
)

Block = NDArray[np.uint8]
"""(n, w) octets, one packet a row, w >= the base packet's; the octets of a row lie side by side."""
Rows = NDArray[np.intp] | slice


def sender_columns(block: Block, base: int = SIZE) -> NDArray[Any]:
    """The first `base` octets (SIZE or AUTHENTICATED_SIZE) of each row as sender records (n,); a view."""
    return _view(block, SENDER if base == SIZE else SENDER_AUTHENTICATED)


def reflector_columns(block: Block, base: int = SIZE) -> NDArray[Any]:
    """The first `base` octets (SIZE or AUTHENTICATED_SIZE) of each row as reflector records (n,); a view."""
    return _view(block, REFLECTOR if base == SIZE else REFLECTOR_AUTHENTICATED)


def _view(block: Block, record: np.dtype[np.void]) -> NDArray[Any]:
    return block.view(_widened(record, block.shape[1]))[:, 0]


@lru_cache(maxsize=64)
def _widened(record: np.dtype[np.void], width: int) -> np.dtype[np.void]:
    """The record with its rows `width` octets apart, so that a block can be seen as such without a copy."""
    assert record.fields is not None and record.names is not None  # noqa: PT018
    formats, offsets = zip(*(record.fields[name][:2] for name in record.names), strict=True)
    return np.dtype({"names": record.names, "formats": formats, "offsets": offsets, "itemsize": width})


def requests(seq: NDArray[np.int64], ssid: NDArray[np.uint16], error: int, base: int = SIZE) -> NDArray[Any]:
    """Sender packets (n,) of `base` octets with T1 still zero; seq is taken modulo 2**32."""
    packets = np.zeros(len(seq), SENDER if base == SIZE else SENDER_AUTHENTICATED)
    packets["seq"] = seq & 0xFFFF_FFFF
    packets["ssid"] = ssid
    packets["error"] = error
    return packets


def turn(
    block: Block,
    at: Rows,
    base: int,
    number: NDArray[np.int64],
    t2: NDArray[np.uint64],
    ttl: NDArray[np.uint8],
    error: int,
) -> None:
    """Make replies of the requests in the rows `at` of `block`, in place; T3 and HMAC are written later.

    base: SIZE or AUTHENTICATED_SIZE. number: Sequence Number of each reply. t2: receive stamps as on wire.
    ttl: as received, 255 when unknown (RFC 4656 section 4.1.2). error: Error Estimate of the reflector. The
    SSID stays where it is.
    """
    if base == SIZE:
        block[at, 24:38] = block[at, 0:14]
        block[at, 38:40] = 0
        block[at, 41:44] = 0
    else:
        block[at, 48:52] = block[at, 0:4]
        block[at, 64:74] = block[at, 16:26]
        for gap in (slice(4, 16), slice(28, 32), slice(40, 48), slice(52, 64), slice(74, 80), slice(81, 96)):
            block[at, gap] = 0
    packets = reflector_columns(block, base)
    packets["seq"][at] = number & 0xFFFF_FFFF
    packets["t2"][at] = t2
    packets["error"][at] = error
    packets["ttl"][at] = ttl


def octets(packets: NDArray[Any]) -> Block:
    """Contiguous records as an (n, octets of one) uint8 view."""
    return packets.view(np.uint8).reshape(len(packets), packets.dtype.itemsize)


def ntp(unix_ns: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Unix ns (n,) to NTP 64-bit timestamps (n,) (RFC 5905 section 6), era left out."""
    second = unix_ns // NS_PER_S
    fraction = ((unix_ns - second * NS_PER_S).astype(np.uint64) << np.uint64(32)) // np.uint64(NS_PER_S)
    return (((second + NTP_UNIX_OFFSET_S) % _ERA_S).astype(np.uint64) << np.uint64(32)) | fraction


def ptp(unix_ns: NDArray[np.int64], tai_offset_s: int) -> NDArray[np.uint64]:
    """Unix ns (n,) to truncated PTPv2 timestamps (n,): TAI seconds modulo 2**32, and ns (IEEE 1588)."""
    second = unix_ns // NS_PER_S
    fraction = (unix_ns - second * NS_PER_S).astype(np.uint64)
    return (((second + tai_offset_s) % _ERA_S).astype(np.uint64) << np.uint64(32)) | fraction


def one_stamp(unix_ns: int, tai_offset_s: int | None = None) -> int:
    """One time as `ntp` writes it; with an offset as `ptp` does."""
    if tai_offset_s is None:
        return ntp_of(unix_ns)
    second, rest = divmod(unix_ns, NS_PER_S)
    return (second + tai_offset_s) % _ERA_S << 32 | rest


def ntp_of(unix_ns: int) -> int:
    """One Unix time, ns, as `ntp` has it."""
    second, rest_ns = divmod(unix_ns, NS_PER_S)
    return ((second + NTP_UNIX_OFFSET_S) % _ERA_S) << 32 | (rest_ns << 32) // NS_PER_S


def unix_ns(stamp: NDArray[np.uint64], error: NDArray[np.uint16], tai_offset_s: int = 0) -> NDArray[np.int64]:
    """Timestamps (n,) to Unix ns (n,); the Z bit of each Error Estimate says NTP (0) or PTPv2 (1).

    An NTP second below 2**31 is read as of era 1 (from 2036 on). PTPv2 counts TAI; tai_offset_s: TAI - UTC.
    """
    high = (stamp >> np.uint64(32)).astype(np.int64)
    low = stamp & np.uint64(0xFFFF_FFFF)
    era_s = np.where(high < _NTP_PIVOT_S, high + _ERA_S, high) - NTP_UNIX_OFFSET_S
    fraction_ns = ((low * np.uint64(NS_PER_S) + np.uint64(1 << 31)) >> np.uint64(32)).astype(np.int64)
    ptp = (error & _Z_BIT) != 0
    return np.where(
        ptp, (high - tai_offset_s) * NS_PER_S + low.astype(np.int64), era_s * NS_PER_S + fraction_ns
    )


def error_estimate(error_ns: int, synchronised: bool) -> int:
    """Error Estimate field: S, Z = 0 (NTP), Scale, Multiplier (RFC 4656 section 4.1.2).

    error = Multiplier * 2**(Scale - 32) s, rounded up; Multiplier is never 0.
    """
    multiplier = max(1, -(-(error_ns << 32) // NS_PER_S))
    scale = 0
    while multiplier > 255:
        multiplier = (multiplier + 1) >> 1
        scale += 1
    return (_S_BIT if synchronised else 0) | (min(scale, 63) << 8) | multiplier


def error_ns(error: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Error Estimates (n,) as ns (n,); NaN where the clock is not synchronised (S = 0) or Multiplier is 0."""
    field = error.astype(np.int64)
    value = np.ldexp((field & 0xFF).astype(np.float64), ((field >> 8) & 0x3F) - 32) * NS_PER_S
    return np.where(((field & _S_BIT) != 0) & ((field & 0xFF) != 0), value, np.nan)


def is_ptp(error: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Packets whose stamps are PTPv2 (Z bit, RFC 8762 section 4.1.1)."""
    ptp: NDArray[np.bool_] = (error & _Z_BIT) != 0
    return ptp


def is_corrupt(error: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Packets whose Error Estimate has Multiplier 0, which RFC 4656 section 4.1.2 calls corrupt."""
    corrupt: NDArray[np.bool_] = (error & 0xFF) == 0
    return corrupt
