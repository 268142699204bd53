"""The ICMP echo codec against vectors, scapy, scalar twins and whatever may come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest

from probes.icmp.packet import SIZE, Replies, checksum, quoted, replies, requests

TOKEN = b"\x01token\xff\x00"
WORD = st.integers(0, 0xFFFF)
SERIALS = st.lists(st.integers(0, 2**62), min_size=1, max_size=5)
VERSION = st.sampled_from([4, 6])
WIDTH = 128


def block(*messages: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The messages as a socket gives them: left over octets follow the end of each."""
    made = np.full((len(messages), WIDTH), 0xAA, np.uint8)
    for row, message in enumerate(messages):
        made[row, : min(len(message), WIDTH)] = np.frombuffer(message[:WIDTH], np.uint8)
    return made, np.array([len(message) for message in messages], np.int64)


def reply(version: int, ident: int, sequence: int, data: bytes) -> bytes:
    if version == 4:
        return bytes(ICMP(type=0, id=ident, seq=sequence) / data)
    return bytes(ICMPv6EchoReply(id=ident, seq=sequence, cksum=0, data=data))


def ours(version: int, ident: int, serial: int, token: bytes = TOKEN) -> bytes:
    return reply(version, ident, serial & 0xFFFF, token + serial.to_bytes(8, "big"))


@given(VERSION, WORD, SERIALS)
def test_scapy_builds_the_same_requests(version: int, ident: int, serials: list[int]) -> None:
    made = requests(version, ident, TOKEN, np.array(serials))
    for row, serial in enumerate(serials):
        data, sequence = TOKEN + serial.to_bytes(8, "big"), serial & 0xFFFF
        if version == 4:
            other = bytes(ICMP(type=8, id=ident, seq=sequence) / data)
        else:
            other = bytes(ICMPv6EchoRequest(id=ident, seq=sequence, cksum=0, data=data))
        assert made[row].tobytes() == other


def test_a_request_by_hand() -> None:
    # ~(0800 + 1234 + 0007 + 4 x 0000 + 3 x 0000 + 0007), in ones' complement
    made = requests(4, 0x1234, bytes(8), np.array([7]))[0].tobytes()
    assert made == bytes.fromhex("0800 e5bd 1234 0007 0000000000000000 0000000000000007")


@given(st.lists(st.binary(min_size=12, max_size=12), min_size=1, max_size=4))
def test_checksum_equals_the_scalar_twin(rows: list[bytes]) -> None:
    def twin(data: bytes) -> int:
        total = 0
        for at in range(0, len(data), 2):
            total += data[at] << 8 | data[at + 1]
            total = (total & 0xFFFF) + (total >> 16)
        return ~total & 0xFFFF

    made = checksum(np.array([list(row) for row in rows], np.uint8))
    assert made.tolist() == [twin(row) for row in rows]


@given(VERSION, WORD, SERIALS, st.integers(0, 3))
def test_replies_are_found(version: int, ident: int, serials: list[int], options: int) -> None:
    messages = [ours(version, ident, serial) for serial in serials]
    data, length = block(*messages)
    ping = replies(data, length, version, TOKEN, raw=False, ident=None)
    if version == 4:
        packets = [IP(proto=1, options=[b"\1" * 4] * options) / message for message in messages]
        data, length = block(*(bytes(one) for one in packets))
    raw = replies(data, length, version, TOKEN, raw=True, ident=ident)
    for found in (ping, raw):
        assert found.row.tolist() == list(range(len(serials)))
        assert found.serial.tolist() == serials
        assert (found.malformed, found.foreign) == (0, 0)


def on_ping_socket(version: int, *messages: bytes) -> Replies:
    return replies(*block(*messages), version, TOKEN, raw=False, ident=None)


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_no_reply_of_ours_is_counted(version: int) -> None:
    good = ours(version, 9, 5)
    found = on_ping_socket(
        version, good, good[:7], b"", good[:20], good + b"x", ours(version, 9, 5, b"12345678"),
        reply(version, 9, 6, good[8:]), bytes([3, 1]) + bytes(22), good,
    )  # fmt: skip
    assert found.row.tolist() == [0, 8]
    assert (found.malformed, found.foreign) == (2, 5)


@pytest.mark.parametrize("version", [4, 6])
def test_a_raw_socket_passes_over_the_replies_to_others(version: int) -> None:
    header = bytes(IP(src="10.0.0.1", dst="10.0.0.2", proto=1, len=44))[:20] if version == 4 else b""
    request = bytes([8 if version == 4 else 128]) + ours(version, 9, 5)[1:]
    rows = [ours(version, 8, 5), ours(version, 9, 5), request, ours(version, 9, 5, b"12345678")]
    data, length = block(*(header + row for row in rows))
    found = replies(data, length, version, TOKEN, raw=True, ident=9)
    assert found.row.tolist() == [1]
    assert (found.malformed, found.foreign) == (0, 1)


@given(st.integers(0, 8 * SIZE - 1), WORD, st.integers(0, 2**62))
def test_one_flipped_bit_is_no_reply(bit: int, ident: int, serial: int) -> None:
    wire = bytearray(bytes(IP(src="10.0.0.1", dst="10.0.0.2", proto=1, len=44))[:20] + ours(4, ident, serial))
    wire[20 + bit // 8] ^= 1 << bit % 8
    assert len(replies(*block(bytes(wire)), 4, TOKEN, raw=True, ident=ident).row) == 0


@pytest.mark.parametrize("head", ["", "45", "65" + 43 * "00", "44" + 43 * "00", "4f" + 27 * "00"])
def test_what_is_no_ipv4_packet_is_malformed(head: str) -> None:
    found = replies(*block(bytes.fromhex(head)), 4, TOKEN, raw=True, ident=9)
    assert (len(found.row), found.malformed) == (0, 1)


@given(st.lists(st.binary(max_size=WIDTH + 20), max_size=6), VERSION, st.booleans())
def test_nothing_that_comes_is_too_much(messages: list[bytes], version: int, raw: bool) -> None:
    data, length = block(*messages)
    found = replies(data, length, version, TOKEN, raw=raw, ident=9 if raw else None)
    assert len(found.row) == 0
    assert found.malformed + found.foreign <= len(messages)
    row, sequence, malformed = quoted(data, length, version, 9 if raw else None)
    assert len(row) == len(sequence) <= len(messages) - malformed


@pytest.mark.parametrize("version", [4, 6])
def test_what_errors_quote(version: int) -> None:
    made = [one.tobytes() for one in requests(version, 9, TOKEN, np.array([5, 0x1FFFF]))]
    other = requests(version, 8, TOKEN, np.array([6]))[0].tobytes()
    data, length = block(made[0], made[1][:8], made[0][:7], other, ours(version, 9, 5))
    row, sequence, malformed = quoted(data, length, version, 9)
    assert (row.tolist(), sequence.tolist(), malformed) == ([0, 1], [5, 0xFFFF], 1)
    assert quoted(data, length, version, None)[0].tolist() == [0, 1, 3]
