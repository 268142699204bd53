"""The ICMP echo codec against vectors, every truncation, a scalar twin and scapy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoRequest

from linkgauge.errors import ProtocolError
from probes.icmp.packet import Echo, checksum, without_ip_header

WORD = st.integers(0, 0xFFFF)
ECHO = st.builds(Echo, st.sampled_from([4, 6]), st.booleans(), WORD, WORD, st.binary(max_size=64))

# checksums worked out by hand: ~(0x0800 + 0x1234 + 0x0007 + 0x6162 + 0x6300) and the same without 0x0800
VECTORS = [
    (Echo(4, False, 0x1234, 7, b"abc"), bytes.fromhex("0800 2162 1234 0007 616263")),
    (Echo(4, True, 0x1234, 7, b"abc"), bytes.fromhex("0000 2962 1234 0007 616263")),
    (Echo(6, False, 0x1234, 7, b"abc"), bytes.fromhex("8000 0000 1234 0007 616263")),
    (Echo(6, True, 0x1234, 7, b""), bytes.fromhex("8100 0000 1234 0007")),
]


@pytest.mark.parametrize(("echo", "wire"), VECTORS)
def test_vectors(echo: Echo, wire: bytes) -> None:
    assert echo.pack() == wire
    assert Echo.parse(wire, echo.version) == echo


@given(ECHO)
def test_what_is_packed_is_parsed(echo: Echo) -> None:
    assert Echo.parse(echo.pack(), echo.version) == echo
    assert Echo.parse_quoted(echo.pack()[:8], echo.version).sequence == echo.sequence


@given(ECHO)
def test_every_truncation_is_told(echo: Echo) -> None:
    wire = echo.pack()
    for length in range(8):
        with pytest.raises(ProtocolError, match=f"has {length} octets, needs 8"):
            Echo.parse(wire[:length], echo.version)


@given(ECHO, st.data())
def test_one_flipped_bit_is_noticed(echo: Echo, data: st.DataObject) -> None:
    wire = bytearray(Echo(4, echo.reply, echo.ident, echo.sequence, echo.data).pack())
    bit = data.draw(st.integers(0, 8 * len(wire) - 1))
    wire[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ProtocolError, match=r"wrong checksum|is no echo"):
        Echo.parse(bytes(wire), 4)


@pytest.mark.parametrize(
    ("kind", "code", "version"), [(3, 1, 4), (8, 1, 4), (128, 0, 4), (8, 0, 6), (1, 4, 6)]
)
def test_other_messages_are_no_echo(kind: int, code: int, version: int) -> None:
    with pytest.raises(ProtocolError, match=f"type {kind} code {code} is no echo"):
        Echo.parse(bytes([kind, code]) + bytes(10), version)


@given(st.binary(max_size=65))
def test_checksum_equals_the_scalar_twin(data: bytes) -> None:
    total = 0
    padded = data + b"\0" * (len(data) % 2)
    for at in range(0, len(padded), 2):
        total += padded[at] << 8 | padded[at + 1]
        total = (total & 0xFFFF) + (total >> 16)
    assert checksum(data) == ~total & 0xFFFF


@given(ECHO)
def test_scapy_builds_the_same_octets(echo: Echo) -> None:
    if echo.version == 4:
        other = bytes(ICMP(type=0 if echo.reply else 8, id=echo.ident, seq=echo.sequence) / echo.data)
    else:
        other = bytes(ICMPv6EchoRequest(id=echo.ident, seq=echo.sequence, cksum=0, data=echo.data))
        echo = Echo(6, False, echo.ident, echo.sequence, echo.data)
    assert other == echo.pack()


@given(st.binary(max_size=40), st.integers(0, 3))
def test_the_ip_header_is_taken_off(payload: bytes, options: int) -> None:
    packet = bytes(IP(src="10.0.0.1", dst="10.0.0.2", proto=1, options=[b"\1" * 4] * options) / payload)
    assert without_ip_header(packet) == payload


@pytest.mark.parametrize(
    "packet",
    [b"", bytes.fromhex("45") + bytes(18), bytes.fromhex("65") + bytes(19), bytes.fromhex("44") + bytes(19),
     bytes.fromhex("46") + bytes(19)],
)  # fmt: skip
def test_what_is_no_ipv4_packet_is_told(packet: bytes) -> None:
    with pytest.raises(ProtocolError, match="IPv4 packet"):
        without_ip_header(packet)
