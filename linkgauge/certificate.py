"""What an X.509 certificate says of itself (RFC 5280 section 4.1): whose it is, from when until when. Pure.

A small strict reader of DER (X.690) that goes no further than the subject, because these facts are wanted of
certificates that nobody trusts as well, and the standard library tells them only of trusted ones. Nothing
here checks a signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from linkgauge.errors import ProtocolError

MAX_SIZE = 1 << 16
"""Octets of the largest certificate that is read."""
MAX_SUBJECT = 200
_INTEGER, _OID, _UTC_TIME, _TIME, _SEQUENCE, _SET, _VERSION = 0x02, 0x06, 0x17, 0x18, 0x30, 0x31, 0xA0
_ENCODINGS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}
_ATTRIBUTES = {3: "CN", 6: "C", 7: "L", 8: "ST", 10: "O", 11: "OU"}
"""By the last number of their object identifier 2.5.4.n (RFC 4514 section 3)."""
_ATTRIBUTE_ARC = bytes((0x55, 0x04))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Certificate:
    """subject: as "CN=...,O=...", at most MAX_SUBJECT characters, "" when it names nobody.

    not_before_ns, not_after_ns: Unix ns; it is valid between them.
    """

    subject: str
    not_before_ns: int
    not_after_ns: int

    @classmethod
    def parse(cls, der: bytes) -> Certificate:
        """Read a certificate; raises ProtocolError when it is none, or larger than MAX_SIZE."""
        if len(der) > MAX_SIZE:
            raise ProtocolError(f"certificate of {len(der)} octets is larger than {MAX_SIZE}")
        fields = _Reader(_Reader(_Reader(der).take(_SEQUENCE)).take(_SEQUENCE))
        if fields.next_tag == _VERSION:
            fields.take(_VERSION)
        for tag in (_INTEGER, _SEQUENCE, _SEQUENCE):  # serial number, algorithm, issuer
            fields.take(tag)
        validity = _Reader(fields.take(_SEQUENCE))
        not_before_ns, not_after_ns = _time_ns(validity), _time_ns(validity)
        return cls(_name(fields.take(_SEQUENCE)), not_before_ns, not_after_ns)


class _Reader:
    """Elements one after another; raises ProtocolError when they do not fit."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def next_tag(self) -> int | None:
        """None at the end."""
        return self._data[self._at] if self._at < len(self._data) else None

    def take(self, *tags: int) -> bytes:
        """The content of the next element, which must have one of these tags."""
        tag = self.next_tag
        if tag not in tags:
            raise ProtocolError(f"certificate: element {tag} where one of {tags} belongs")
        start, length = self._length(self._at + 1)
        if start + length > len(self._data):
            raise ProtocolError(f"certificate: element of {length} octets is cut off")
        self._at = start + length
        return self._data[start : self._at]

    def _length(self, at: int) -> tuple[int, int]:
        """(where the content starts, its octets); DER: in as few octets as it takes, never indefinite."""
        first = self._data[at] if at < len(self._data) else 0x80
        if first < 0x80:
            return at + 1, first
        octets = self._data[at + 1 : at + 1 + (first & 0x7F)]
        length = int.from_bytes(octets, "big")
        shortest = (length.bit_length() + 7) // 8
        if (
            not 1 <= len(octets) <= 4
            or len(octets) != first & 0x7F
            or length < 0x80
            or shortest != len(octets)
        ):
            raise ProtocolError("certificate: the length of an element is not DER")
        return at + 1 + len(octets), length


def _time_ns(reader: _Reader) -> int:
    """RFC 5280 section 4.1.2.5: of UTCTime the years 50 to 99 are those of the last century."""
    short = reader.next_tag == _UTC_TIME
    digits = reader.take(_UTC_TIME, _TIME)
    if short:
        digits = (b"19" if digits[:2] >= b"50" else b"20") + digits
    if len(digits) != 15 or not digits[:14].isdigit() or digits[14:] != b"Z":
        raise ProtocolError(f"certificate: {digits!r} is no time")
    try:
        moment = datetime.strptime(digits.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as err:
        raise ProtocolError(f"certificate: {digits!r} is no time ({err})") from None
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _name(content: bytes) -> str:
    """A distinguished name as text; attributes without a known short name are left out."""
    parts = []
    sets = _Reader(content)
    while sets.next_tag is not None:
        attributes = _Reader(sets.take(_SET))
        while attributes.next_tag is not None:
            attribute = _Reader(attributes.take(_SEQUENCE))
            oid = attribute.take(_OID)
            encoding = _ENCODINGS.get(attribute.next_tag or 0)
            if oid[:-1] == _ATTRIBUTE_ARC and oid[-1] in _ATTRIBUTES and encoding:
                value = attribute.take(*_ENCODINGS).decode(encoding, "replace")
                parts.append(f"{_ATTRIBUTES[oid[-1]]}={value}")
    text = ",".join(parts)[:MAX_SUBJECT]
    return "".join(one if one.isprintable() else "?" for one in text)
