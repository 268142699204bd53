"""HMACs against vectors computed apart from this code, and every single changed octet."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest

from probes.stamp import tlv
from probes.stamp.authentication import digest, sign, verify
from probes.stamp.packet import HMAC_AT, octets, requests
from probes.stamp.tlv import INTEGRITY, layout

KEY = bytes(range(32))
BARE = layout(0, tlvs=False, authenticated=True)
FULL = layout(200, tlvs=True, authenticated=True)


def signed(made: tlv.Layout = FULL, n: int = 3) -> np.ndarray:
    block = np.zeros((n, made.size), np.uint8)
    packets = requests(np.arange(1, n + 1), np.full(n, 7, np.uint16), 0x8001, made.base)
    packets["t1"] = 0xE875470080000000
    block[:, : made.base] = octets(packets)
    block[:, made.base :] = np.frombuffer(tlv.tail(made, 46), np.uint8)
    sign(block, made, KEY, np.arange(n))
    return block


def lengths(block: np.ndarray) -> np.ndarray:
    return np.full(len(block), block.shape[1])


def test_the_vector_of_the_base_packet() -> None:
    assert signed(BARE)[0, HMAC_AT:].tobytes().hex() == "717beba73bdbc77cd7d6b5abc268ae48"


def test_the_vector_of_the_hmac_tlv() -> None:
    told = digest(KEY, bytes.fromhex("00000001"), bytes.fromhex("80040004b8000000"))
    assert told.hex() == "b6ba3e74ddb7a04bb4b142f70c11b7b5"


def test_the_hmac_tlv_covers_number_and_tlvs_before_it() -> None:
    block = signed()
    assert FULL.hmac_at is not None
    covered = block[1, :4].tobytes() + block[1, 112 : FULL.hmac_at - 4].tobytes()
    wanted = hmac.new(KEY, covered, hashlib.sha256).digest()[:16]
    assert block[1, FULL.hmac_at : FULL.hmac_at + 16].tobytes() == wanted


def test_only_the_rows_named_are_signed() -> None:
    block = signed()
    block[:, HMAC_AT:112] = 0
    sign(block, FULL, KEY, np.array([1]))
    assert verify(block, lengths(block), FULL, KEY).tolist() == [False, True, False]


@pytest.mark.parametrize("at", range(112))
def test_any_changed_octet_of_the_base_packet_is_found(at: int) -> None:
    block = signed()
    block[1, at] ^= 0x10
    assert verify(block, lengths(block), FULL, KEY).tolist() == [True, False, True]


@pytest.mark.parametrize("at", range(112, 160))
def test_a_changed_tlv_is_not_believed_but_the_packet_is(at: int) -> None:
    block = signed()
    block[1, at] ^= 0x10
    assert verify(block, lengths(block), FULL, KEY).all()
    changed = block[:, 112] & INTEGRITY != 0
    # an octet of the HMAC TLV's own header is not covered; `tlv` looks at where and how long it is
    assert changed.tolist() == [False, not 140 <= at < 144, False]


def test_padding_is_not_covered() -> None:
    block = signed()
    block[:, 170:] = 0xAA
    assert verify(block, lengths(block), FULL, KEY).all()
    assert not (block[:, 112] & INTEGRITY).any()


@pytest.mark.parametrize("length", range(160))
def test_a_cut_packet_does_not_hold(length: int) -> None:
    block = signed(n=1)
    held = verify(block, np.array([length]), FULL, KEY)[0]
    assert held == (length >= 112)
    assert bool(block[0, 112] & INTEGRITY) == held


def test_another_key_does_not_hold() -> None:
    block = signed()
    assert not verify(block, lengths(block), FULL, KEY[::-1]).any()
