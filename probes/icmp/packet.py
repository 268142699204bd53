"""ICMP echo request and reply, IPv4 (RFC 792) and IPv6 (RFC 4443 section 4). Pure codec.

     0               1               2               3
    +---------------+---------------+-------------------------------+
    | type          | code = 0      | checksum                      |
    +---------------+---------------+-------------------------------+
    | identifier                    | sequence                      |
    +-------------------------------+-------------------------------+
    | data, returned unchanged ...

The checksum of ICMPv6 covers a pseudo-header with both addresses; the kernel sets and checks it on every
socket that carries ICMPv6, so it is 0 in what is packed and is not looked at in what is parsed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from linkgauge.errors import ProtocolError

_HEADER = struct.Struct("!BBHHH")
_V4_LEAST = 20
_REQUEST = {4: 8, 6: 128}
_REPLY = {4: 0, 6: 129}


@dataclass(frozen=True, slots=True)
class Echo:
    """An echo request or reply. version: 4 or 6; ident, sequence: 0..65535; data: what is to come back."""

    version: int
    reply: bool
    ident: int
    sequence: int
    data: bytes

    def pack(self) -> bytes:
        """The ICMP message without IP header."""
        kind = (_REPLY if self.reply else _REQUEST)[self.version]
        bare = _HEADER.pack(kind, 0, 0, self.ident, self.sequence) + self.data
        if self.version == 6:
            return bare
        return bare[:2] + checksum(bare).to_bytes(2, "big") + bare[4:]

    @classmethod
    def parse(cls, message: bytes, version: int) -> Echo:
        """Read an ICMP message without IP header.

        Raises ProtocolError when it is short, is no echo, or (IPv4) its checksum is wrong.
        """
        echo = cls.parse_quoted(message, version)
        if version == 4 and checksum(message) != 0:
            raise ProtocolError(f"ICMP message of {len(message)} octets has a wrong checksum")
        return echo

    @classmethod
    def parse_quoted(cls, message: bytes, version: int) -> Echo:
        """Read an echo that an ICMP error quotes: it may be cut after 8 octets, so no checksum holds."""
        if len(message) < _HEADER.size:
            raise ProtocolError(f"ICMP message has {len(message)} octets, needs {_HEADER.size}")
        kind, code, _, ident, sequence = _HEADER.unpack_from(message)
        if code != 0 or kind not in (_REQUEST[version], _REPLY[version]):
            raise ProtocolError(f"ICMPv{version} message of type {kind} code {code} is no echo")
        return cls(version, kind == _REPLY[version], ident, sequence, message[_HEADER.size :])


def without_ip_header(packet: bytes) -> bytes:
    """The payload of an IPv4 packet, as raw sockets return it (RFC 791 section 3.1); raises ProtocolError."""
    if len(packet) < _V4_LEAST:
        raise ProtocolError(f"IPv4 packet has {len(packet)} octets, needs {_V4_LEAST}")
    version, length = packet[0] >> 4, 4 * (packet[0] & 0xF)
    if version != 4 or not _V4_LEAST <= length <= len(packet):
        raise ProtocolError(
            f"IPv4 packet of {len(packet)} octets has version {version}, header length {length}"
        )
    return packet[length:]


def checksum(data: bytes) -> int:
    """Internet checksum (RFC 1071): 0 over data that carries its own right checksum."""
    padded = data + b"\0" if len(data) % 2 else data
    # a number in base 2**16 is congruent to the sum of its digits modulo 2**16 - 1
    total = int.from_bytes(padded, "big")
    folded = total % 0xFFFF
    return 0xFFFF - (folded if folded or not total else 0xFFFF)
