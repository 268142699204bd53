"""HMAC-SHA-256 of STAMP packets (RFC 8762 section 4.4) and of their TLVs (RFC 8972 section 4.8), 16 octets.

The HMAC of an authenticated packet covers its first 96 octets. That of the HMAC TLV covers the packet's
Sequence Number and all TLVs before the HMAC TLV. Comparisons take constant time. Pure.
"""

from __future__ import annotations

import hmac

import numpy as np
from numpy.typing import NDArray

from probes.stamp.packet import AUTHENTICATED_SIZE, HMAC_AT, Block
from probes.stamp.tlv import HEADER_SIZE, Layout, blame

DIGEST_SIZE = 16


def digest(key: bytes, *parts: bytes | memoryview) -> bytes:
    """HMAC-SHA-256 of the parts one after another, cut to DIGEST_SIZE octets."""
    return hmac.digest(key, b"".join(parts), "sha256")[:DIGEST_SIZE]


def sign(block: Block, layout: Layout, key: bytes, rows: NDArray[np.intp]) -> None:
    """Write the HMACs of these rows of `block` (n, >= layout.size), which are complete but for them.

    The packet's own where layout.base is the authenticated one, the TLV's where layout has one.
    """
    for row in rows:
        octets = block[row].data
        if layout.hmac_at is not None:
            at = layout.hmac_at
            octets[at : at + DIGEST_SIZE] = _digest_of_ours(octets, layout.base, at, key)
        if layout.base == AUTHENTICATED_SIZE:
            octets[HMAC_AT:AUTHENTICATED_SIZE] = digest(key, octets[:HMAC_AT])


def verify(block: Block, length: NDArray[np.int64], layout: Layout, key: bytes) -> NDArray[np.bool_]:
    """Which packets (n,) hold: as long as `layout.base` at least, and with the right HMAC.

    Where the packet holds but its HMAC TLV does not, the TLVs get their I flag set in `block`, so that
    `tlv.marks` and `tlv.follow_up` find nothing told in them.
    """
    held = np.zeros(len(block), np.bool_)
    for row in np.flatnonzero(length >= layout.base):
        octets = block[row].data
        if layout.base == AUTHENTICATED_SIZE and not is_signed(octets, key):
            continue
        held[row] = True
        if layout.hmac_at is not None and not _tlvs_hold(octets, int(length[row]), layout, key):
            blame(block[row], layout)
    return held


def is_signed(octets: memoryview, key: bytes) -> bool:
    """Whether the HMAC of an authenticated packet (at least AUTHENTICATED_SIZE octets) is right."""
    return hmac.compare_digest(digest(key, octets[:HMAC_AT]), octets[HMAC_AT:AUTHENTICATED_SIZE])


def digest_of_tlvs(seq: memoryview, tlvs: memoryview, hmac_at: int, key: bytes) -> bytes:
    """Value of the HMAC TLV. seq: the Sequence Number; hmac_at: where in `tlvs` that value begins."""
    return digest(key, seq, tlvs[: hmac_at - HEADER_SIZE])


def _tlvs_hold(octets: memoryview, length: int, layout: Layout, key: bytes) -> bool:
    at = layout.hmac_at
    if at is None or length < at + DIGEST_SIZE:
        return False
    return hmac.compare_digest(_digest_of_ours(octets, layout.base, at, key), octets[at : at + DIGEST_SIZE])


def _digest_of_ours(octets: memoryview, base: int, hmac_at: int, key: bytes) -> bytes:
    return digest_of_tlvs(octets[:4], octets[base:], hmac_at - base, key)
