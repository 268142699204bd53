"""What the reflector makes of each TLV: a table of requests and replies, every truncation, flags, HMACs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.stamp import authentication, tlv
from probes.stamp.packet import one_stamp
from probes.stamp.policy import Policy
from probes.stamp.reflector import Reflector
from probes.stamp.tlv_answers import Door
from probes.stamp.tlv_structure import MOST_PARTS, structure
from tests.probes.stamp.arrivals import ERROR, answered, arrived, request, signed, tos_out

KEY = bytes(range(32))
V4, V6 = Door(0, bytes([10, 0, 0, 9]), 862), Door(1, bytes([0xFD] + [0] * 14 + [9]), 862)
SOURCE_V4 = bytes([10, 0, 0, 1])
SOURCE_V6 = bytes.fromhex("20010db8000000000000000000000001")


def everybody(**policy: object) -> Reflector:
    return Reflector(lambda name: True, Policy(**policy))  # type: ignore[arg-type] # names are checked there


def reflected(rest: bytes, door: Door = V4, tos: int = 0xB9, reflector: Reflector | None = None) -> bytes:
    """What follows the base packet of the reply to a request with `rest` behind its own."""
    got = arrived([request(5, rest=rest)], 5000, "10.0.0.1" if len(door.address) == 4 else "2001:db8::1", tos)
    (replies,) = (reflector or everybody()).reflect(got, ERROR, 0, door)
    assert replies.length.tolist() == [44 + len(rest)]
    return bytes(got.data[0, 44 : 44 + len(rest)].data)


def hexed(text: str) -> bytes:
    return bytes.fromhex(text.replace("_", "").replace(" ", ""))


TABLE = {
    "extra padding is copied": ("80010003 aabbcc", "00010003 aabbcc"),
    "empty padding": ("80010000", "00010000"),
    "padding may repeat": ("80010001 aa 80010001 bb", "00010001 aa 00010001 bb"),
    "ports as received": ("80020004 00000000", "00020004 035e1388"),
    "stamps are software's": ("80030004 00000000", "00030004 01020102"),
    "class asked for, mark received": ("80040004 28000000", "00040004 2ae40000"),
    "sender's count is kept": ("80050001 aa", "40050001 aa"),
    "direct measurement": ("8005000c 00000063 00000000 00000000", "0005000c 00000063 00000001 00000001"),
    "no departure known": ("80070010" + "ff" * 16, "00070010" + "00" * 16),
    "access report is not known": ("80060004 10000000", "80060004 10000000"),
    "unknown gets U": ("00f00002 1234", "80f00002 1234"),
    "unknown is skipped": ("00f00002 1234 80040004 00000000", "80f00002 1234 00040004 02e40000"),
    "HMAC without a key is not known": ("80080010" + "11" * 16, "80080010" + "11" * 16),
    "flags of the request are dropped": ("ff010000", "00010000"),
    "reserved type": ("80000000", "80000000"),
    "wrong length of a class": ("80040005 2800000000", "40040005 2800000000"),
    "malformed ends it": (
        "80040003 280000 80040004 28000000",
        "40040003 280000 80040004 28000000",
    ),
    "too short a location": ("80020003 000000", "40020003 000000"),
    "too short timestamp information": ("80030003 000000", "40030003 000000"),
    "too long a follow-up is zeroed": ("80070011" + "ff" * 17, "40070011" + "00" * 12 + "ff" * 5),
    "runs past the packet": ("80010005 aabbcc", "40010005 aabbcc"),
    "an unknown one runs past": ("80f00005 aa", "c0f00005 aa"),
    "what is no header stays": ("80010000 800400", "00010000 800400"),
}


@pytest.mark.parametrize("case", TABLE)
def test_the_table(case: str) -> None:
    asked, told = TABLE[case]
    assert reflected(hexed(asked)).hex() == hexed(told).hex()


@pytest.mark.parametrize(
    ("door", "asked", "told"),
    [
        (V4, "80040010" + "ee" * 16, "00050010" + V4.address.hex() + "00" * 12),
        (V6, "80040010" + "ee" * 16, "00060010" + V6.address.hex()),
        (V4, "80070010" + "00" * 16, "00080010" + SOURCE_V4.hex() + "00" * 12),
        (V6, "80070010" + "00" * 16, "00090010" + SOURCE_V6.hex()),
        (V4, "80010008" + "00" * 8, "80010008" + "00" * 8),
        (V4, "80050010" + "00" * 16, "80050010" + "00" * 16),
        (V4, "80040004 00000000", "40040004 00000000"),
        (V4, "80070011" + "00" * 16, "40070011" + "00" * 16),
        (Door(0, bytes(4), 862), "80040010" + "00" * 16, "80040010" + "00" * 16),
    ],
)
def test_locations_ask_for_addresses(door: Door, asked: str, told: str) -> None:
    sub, wanted = hexed(asked), hexed(told)
    head = (4 + len(sub)).to_bytes(2, "big")
    reply = reflected(b"\x80\x02" + head + bytes(4) + sub, door)
    assert reply.hex() == (b"\0\x02" + head + hexed("035e1388") + wanted).hex()


def test_a_synchronised_host_names_ntp() -> None:
    got = arrived([request(rest=hexed("80030004 00000000"))])
    everybody().reflect(got, 0x8001, 0)
    assert got.data[0, 48:52].tolist() == [1, 2, 1, 2]
    got = arrived([request(rest=hexed("80030004 00000000"))])
    everybody().reflect(got, 0x0001, 0)
    assert got.data[0, 48:52].tolist() == [5, 2, 5, 2]


def test_a_class_that_is_not_allowed_is_told_by_rp() -> None:
    reflector = everybody(dscp_allowed=frozenset({0, 10}))
    rest = [hexed("80040004 28000000"), hexed("80040004 b8000000")]
    got = arrived([request(rest=each) for each in rest], tos=0x21)
    assert tos_out(reflector.reflect(got, ERROR, 0)) == [10 << 2 | 2, 0x22]
    assert [bytes(row[48:52].data).hex() for row in got.data] == ["28840000", "b8850000"]


@given(st.integers(0, 63), st.integers(0, 255))
def test_what_our_codec_reads_is_what_the_reflector_saw(dscp: int, tos: int) -> None:
    layout = tlv.layout(0, tlvs=True, authenticated=False)
    got = arrived([request(rest=tlv.tail(layout, dscp))] * 2, tos=tos)
    (replies,) = everybody().reflect(got, ERROR, 0)
    seen, ecn = tlv.marks(got.data, layout, replies.length)
    assert (seen.tolist(), ecn.tolist()) == ([tos >> 2] * 2, [tos & 3] * 2)
    assert replies.tos.tolist() == [dscp << 2 | (2 if tos & 3 else 0)] * 2
    assert not tlv.sent_otherwise(got.data, layout).any()


@pytest.mark.parametrize("tai_offset_s", [None, 37])
def test_the_true_departure_of_an_earlier_reply_is_told(tai_offset_s: int | None) -> None:
    reflector = everybody(tai_offset_s=tai_offset_s)
    layout = tlv.layout(0, tlvs=True, authenticated=False)
    asked = [request(seq, rest=tlv.tail(layout, 0)) for seq in range(3)]
    got = arrived(asked, [1, 2, 1])
    (replies,) = reflector.reflect(got, ERROR, 0)
    reflector.departed(replies.slots[[0, 2]], replies.number[[0, 2]], np.array([10**18, 10**18 + 7]))
    got = arrived(asked, [2, 1, 1])
    reflector.reflect(got, ERROR, 0)
    error = np.full(3, ERROR, np.uint16)
    number, stamp, known = tlv.follow_up(got.data, layout, error)
    assert known.tolist() == [False, True, True]
    assert number.tolist() == [0, 1, 1]
    assert stamp.tolist() == [0] + [one_stamp(10**18 + 7, tai_offset_s)] * 2
    assert got.data[:, layout.size - 4].tolist() == [0, 2, 2]


def test_a_stateless_reflector_tells_no_departure() -> None:
    reflector = everybody(stateless=True)
    layout = tlv.layout(0, tlvs=True, authenticated=False)
    for _ in range(2):
        got = arrived([request(rest=tlv.tail(layout, 0))])
        (replies,) = reflector.reflect(got, ERROR, 0)
        reflector.departed(replies.slots, replies.number, np.array([10**18]))
    assert not tlv.follow_up(got.data, layout, np.array([ERROR], np.uint16))[2].any()


def test_direct_measurement_counts_what_was_refused_too() -> None:
    reflector = everybody(rate_pps=1)
    rest = hexed("8005000c" + "00" * 12)
    got = [arrived([request(seq, rest=rest) for seq in range(20)]) for _ in range(2)]
    reflector.reflect(got[0], ERROR, 0)
    (replies,) = reflector.reflect(got[1], ERROR, 10**10)
    last = got[1].data[replies.rows[-1]]
    assert [int.from_bytes(last[at : at + 4].tobytes(), "big") for at in (52, 56)] == [40, 16 + 10]


@given(st.binary(max_size=80))
def test_the_structure_of_any_octets_stays_inside_them(rest: bytes) -> None:
    found = structure(bytes(44) + rest, 44)
    assert len(found.parts) <= MOST_PARTS
    at = 44
    for part in found.parts:
        assert part.at == at + 4
        at = part.at + part.size
        assert at <= 44 + len(rest)


def test_only_so_many_tlvs_are_looked_at() -> None:
    told = reflected(hexed("80010000") * (MOST_PARTS + 2))
    assert told == hexed("00010000") * MOST_PARTS + hexed("80010000") * 2


@pytest.mark.parametrize("length", range(44, 72))
def test_every_truncation_of_our_request_is_answered_as_long_as_it_is(length: int) -> None:
    layout = tlv.layout(0, tlvs=True, authenticated=False)
    whole = request(rest=tlv.tail(layout, 46))
    reply = answered(everybody(), arrived([whole[:length]]))[0]
    assert len(reply) == length
    if length < 48:
        assert reply[44:] == whole[44:length]
    elif length < 52:
        assert reply[44] == 0x40
    elif length >= 56:
        assert reply[52] == (0 if length == 72 else 0x40)


def test_packets_of_several_kinds_in_a_batch_are_answered_each_as_alone() -> None:
    rests = [hexed(asked) for asked, _ in TABLE.values()] * 3
    got = arrived([request(seq, rest=rest) for seq, rest in enumerate(rests)], list(range(1, len(rests) + 1)))
    for reply, rest in zip(answered(everybody(), got), rests, strict=True):
        alone = answered(everybody(), arrived([request(rest=rest)], int.from_bytes(reply[24:28], "big") + 1))
        assert reply[44:] == alone[0][44:]


def keyed() -> Reflector:
    return Reflector(lambda name: True, keys={"10.0.0.1": KEY})


def test_authenticated_tlvs_are_answered_and_signed_anew() -> None:
    layout = tlv.layout(200, tlvs=True, authenticated=True)
    reflector = keyed()
    answered(reflector, arrived([signed(KEY, 8, layout)]))
    got = arrived([signed(KEY, 9, layout, 46)], tos=0x2A)
    (replies,) = reflector.reflect(got, ERROR, 0)
    replies.stamp(10**18)
    assert replies.tos.tolist() == [0xBA]
    assert authentication.verify(got.data, got.length, layout, KEY).all()
    assert [column.tolist() for column in tlv.marks(got.data, layout)] == [[10], [2]]
    assert got.data[0, layout.size - 1] == 0
    assert int.from_bytes(got.data[0, :4].tobytes(), "big") == 1


@pytest.mark.parametrize("at", [112, 116, 119, 124, 139, 144, 159])
def test_changed_tlvs_are_returned_as_they_came_with_i_set(at: int) -> None:
    layout = tlv.layout(0, tlvs=True, authenticated=True)
    packet = bytearray(signed(KEY, 0, layout, 46))
    packet[at] ^= 1
    got = arrived([bytes(packet), signed(KEY, 1, layout, 46)])
    (replies,) = keyed().reflect(got, ERROR, 0)
    assert replies.tos.tolist() == [0, 0xB8]
    for head in (112, 120, 140):
        packet[head] |= tlv.INTEGRITY
    assert bytes(got.data[0, 112:160].data) == bytes(packet[112:])
    assert tlv.marks(got.data, layout)[0].tolist() == [-1, 0]


def test_an_hmac_tlv_that_is_missing_or_misplaced_breaks_integrity() -> None:
    bare = tlv.layout(0, tlvs=False, authenticated=True)
    padding, cos = hexed("80010002 abcd"), hexed("80040004 b8000000")

    def told(rest: bytes) -> bytes:
        return answered(keyed(), arrived([signed(KEY, 0, bare) + rest]))[0][112:]

    assert told(padding) == hexed("00010002 abcd")
    assert told(cos + padding) == hexed("a0040004 b8000000 a0010002 abcd")
    mac = authentication.digest(KEY, bytes(4), cos)
    assert told(cos + hexed("80080010") + mac + cos)[0] == 0xA0
    assert told(cos + hexed("80080010") + mac + padding)[0] == 0
