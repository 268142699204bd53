"""Where the TLVs of one packet stand and which are as they should be (RFC 8972 section 4). Pure.

Two packets of the same length whose headers are alike have the same structure, so it is found once for all of
them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from probes.stamp.packet import AUTHENTICATED_SIZE
from probes.stamp.tlv import HEADER_SIZE, MALFORMED, UNRECOGNISED, Type

_EXACT: dict[int, int] = {
    Type.CLASS_OF_SERVICE: 4,
    Type.DIRECT_MEASUREMENT: 12,
    Type.FOLLOW_UP: 16,
    Type.HMAC: 16,
}
_AT_LEAST: dict[int, int] = {Type.EXTRA_PADDING: 0, Type.LOCATION: 4, Type.TIMESTAMP_INFORMATION: 4}

DESTINATION_IP, SOURCE_IP = 4, 7
"""Sub-TLVs of Location that ask for an address; the reflector answers with the next number for IPv4, the one
after it for IPv6 (RFC 8972 section 4.2.1)."""
ADDRESS_SIZE = 16
MOST_PARTS = 8
"""TLVs looked at in one packet, sub-TLVs included: what each costs, any peer may ask for; what follows is
reflected as it came, its U flags as the sender set them."""


@dataclass(frozen=True, slots=True)
class Part:
    """One TLV: kind; where its value begins; octets of it that are in the packet; flags that it gets.

    A part with flags is reflected as it came but for them.
    """

    kind: int
    at: int
    size: int
    flags: int


@dataclass(frozen=True, slots=True)
class Structure:
    """parts in order; subs: sub-TLVs of Location."""

    parts: tuple[Part, ...]
    subs: tuple[Part, ...]

    @property
    def heads(self) -> list[int]:
        """Where each header begins, those of sub-TLVs too."""
        return [part.at - HEADER_SIZE for part in (*self.parts, *self.subs)]

    @property
    def hmac(self) -> Part | None:
        """The HMAC TLV, None where there is none in its place: after all others but Extra Padding."""
        for place, part in enumerate(self.parts):
            if part.kind == Type.HMAC and not part.flags:
                rest = self.parts[place + 1 :]
                return part if all(other.kind == Type.EXTRA_PADDING for other in rest) else None
        return None

    @property
    def needs_hmac(self) -> bool:
        """Whether authenticated mode wants an HMAC TLV: for all but Extra Padding (RFC 8972 section 4.8)."""
        return any(part.kind != Type.EXTRA_PADDING for part in self.parts)


def structure(packet: bytes, base: int) -> Structure:
    """TLVs of a packet behind its first `base` octets.

    The first malformed one is the last that is looked at. One to three octets at the end are no TLV.
    """
    parts = _walk(packet, base, len(packet), _fault if base == AUTHENTICATED_SIZE else _fault_without_key)
    subs: list[Part] = []
    for part in parts:
        if part.kind == Type.LOCATION and not part.flags:
            room = MOST_PARTS - len(parts) - len(subs)
            subs += _walk(packet, part.at + 4, part.at + part.size, _fault_of_sub, room)
    return Structure(tuple(parts), tuple(subs))


def _walk(
    packet: bytes, at: int, end: int, fault: Callable[[int, int], int], most: int = MOST_PARTS
) -> list[Part]:
    parts: list[Part] = []
    while at + HEADER_SIZE <= end and len(parts) < most:
        kind, length = packet[at + 1], int.from_bytes(packet[at + 2 : at + HEADER_SIZE], "big")
        room = end - at - HEADER_SIZE
        flags = fault(kind, length) | (MALFORMED if length > room else 0)
        parts.append(Part(kind, at + HEADER_SIZE, min(length, room), flags))
        if flags & MALFORMED:
            break
        at += HEADER_SIZE + length
    return parts


def _fault(kind: int, length: int) -> int:
    if kind in _EXACT:
        return 0 if length == _EXACT[kind] else MALFORMED
    if kind in _AT_LEAST:
        return 0 if length >= _AT_LEAST[kind] else MALFORMED
    return UNRECOGNISED


def _fault_without_key(kind: int, length: int) -> int:
    """Unauthenticated: an HMAC cannot be checked, so it is a type like any unknown one."""
    return UNRECOGNISED if kind == Type.HMAC else _fault(kind, length)


def _fault_of_sub(kind: int, length: int) -> int:
    """Of a sub-TLV of Location: only addresses are told, no MAC address."""
    if kind in (DESTINATION_IP, SOURCE_IP):
        return 0 if length == ADDRESS_SIZE else MALFORMED
    return UNRECOGNISED
