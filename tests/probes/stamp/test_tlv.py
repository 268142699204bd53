"""Our requests' TLVs and what replies tell: octets against RFC 8972, and whatever is not as it should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.stamp import tlv
from probes.stamp.tlv import INTEGRITY, MALFORMED, UNRECOGNISED, Layout, layout

PLAIN = layout(0, tlvs=True, authenticated=False)
SIGNED = layout(0, tlvs=True, authenticated=True)


def reply(made: Layout = PLAIN, cos: int = 0, number: int = 0, t3: int = 0) -> np.ndarray:
    """One reply whose TLVs were all processed: Class of Service value `cos`, Follow-Up `number` and `t3`."""
    octets = bytearray(bytes(made.base) + tlv.tail(made, 0))
    for at in (made.marks_at, made.follow_up_at, made.hmac_at):
        if at is not None:
            octets[at - 4] = 0
    assert made.marks_at is not None
    assert made.follow_up_at is not None
    octets[made.marks_at : made.marks_at + 4] = cos.to_bytes(4, "big")
    octets[made.follow_up_at : made.follow_up_at + 12] = number.to_bytes(4, "big") + t3.to_bytes(8, "big")
    return np.frombuffer(bytes(octets), np.uint8).copy()[None]


def errors(n: int = 1) -> np.ndarray:
    return np.full(n, 0x8001, np.uint16)


def test_the_least_request_of_each_mode() -> None:
    assert Layout(72, 44, 48, 56, None) == PLAIN
    assert Layout(160, 112, 116, 124, 144) == SIGNED
    assert layout(0, tlvs=False, authenticated=False) == Layout(44, 44, None, None, None)
    assert layout(0, tlvs=False, authenticated=True) == Layout(112, 112, None, None, None)


def test_the_octets_of_a_request() -> None:
    assert tlv.tail(PLAIN, 46) == bytes.fromhex("80040004b800000080070010" + "00" * 16)
    assert tlv.tail(SIGNED, 46)[28:] == bytes.fromhex("80080010" + "00" * 16)
    padded = layout(100, tlvs=True, authenticated=False)
    assert tlv.tail(padded, 0)[28:] == bytes.fromhex("80010018" + "00" * 24)
    assert tlv.tail(layout(60, tlvs=False, authenticated=False), 46) == bytes(16)


@given(st.integers(0, 9000), st.booleans(), st.booleans(), st.integers(0, 63))
def test_a_request_is_as_long_as_told_or_a_little_longer(
    size: int, tlvs: bool, authenticated: bool, dscp: int
) -> None:
    made = layout(size, tlvs=tlvs, authenticated=authenticated)
    assert made.base + len(tlv.tail(made, dscp)) == made.size
    least = layout(0, tlvs=tlvs, authenticated=authenticated).size
    assert made.size == max(size, least) or (tlvs and least < size < made.size == least + 4)


@given(st.integers(0, 63), st.integers(0, 3), st.integers(0, 63))
def test_marks_are_those_that_the_reflector_saw(dscp: int, ecn: int, asked: int) -> None:
    for made in (PLAIN, SIGNED):
        block = reply(made, cos=asked << 26 | dscp << 20 | ecn << 18)
        assert [column.tolist() for column in tlv.marks(block, made)] == [[dscp], [ecn]]


@pytest.mark.parametrize("flag", [UNRECOGNISED, MALFORMED, INTEGRITY])
def test_a_flag_means_that_nothing_is_told(flag: int) -> None:
    block = reply(cos=0x0FFC_0000, number=4, t3=9)
    block[0, 44] = flag
    assert tlv.marks(block, PLAIN)[0].tolist() == [-1]
    assert tlv.follow_up(block, PLAIN, errors())[2].tolist() == [flag == UNRECOGNISED]
    block[0, [44, 52]] = [0, flag]
    assert tlv.marks(block, PLAIN)[0].tolist() == [0x3F]
    assert not tlv.follow_up(block, PLAIN, errors())[2][0]


def test_reserved_flags_are_ignored() -> None:
    block = reply(cos=0x0010_0000)
    block[0, 44] = 0x1F
    assert tlv.marks(block, PLAIN)[0].tolist() == [1]


@pytest.mark.parametrize("at", [45, 46, 47])
def test_another_type_or_length_in_its_place_tells_nothing(at: int) -> None:
    block = reply(cos=0x0FFC_0000)
    block[0, at] ^= 1
    assert [column.tolist() for column in tlv.marks(block, PLAIN)] == [[-1], [-1]]


@given(st.integers(0, 72))
def test_a_cut_reply_tells_only_what_arrived(length: int) -> None:
    block = reply(cos=0x0010_0000, number=4, t3=9)
    whole = np.array([length])
    assert (tlv.marks(block, PLAIN, whole)[0][0] == 1) == (length >= 52)
    assert tlv.follow_up(block, PLAIN, errors(), whole)[2][0] == (length >= 72)


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**64 - 1))
def test_follow_up_tells_number_and_stamp(number: int, t3: int) -> None:
    told = tlv.follow_up(reply(number=number, t3=t3), PLAIN, errors())
    assert [column.tolist() for column in told] == [[number], [t3], [True]]


def test_no_stamp_or_a_corrupt_error_estimate_is_no_follow_up() -> None:
    assert not tlv.follow_up(reply(number=3), PLAIN, errors())[2][0]
    assert not tlv.follow_up(reply(number=3, t3=1), PLAIN, np.array([0x8100], np.uint16))[2][0]


def test_without_tlvs_nothing_is_told() -> None:
    bare = layout(0, tlvs=False, authenticated=False)
    block = np.zeros((2, 192), np.uint8)
    assert tlv.marks(block, bare)[1].tolist() == [-1, -1]
    assert tlv.follow_up(block, bare, errors(2))[2].tolist() == [False, False]
    assert tlv.sent_otherwise(block, bare).tolist() == [False, False]


def test_a_reply_sent_in_another_class_says_so() -> None:
    block = np.concatenate([reply(cos=0x0010_0000), reply(cos=0x0011_0000)])
    assert tlv.sent_otherwise(block, PLAIN).tolist() == [False, True]
