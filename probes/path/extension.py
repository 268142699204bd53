"""MPLS labels that a router tells in the extension of an ICMP error (RFC 4884 section 7, RFC 4950). Pure.

The structure is checked here, octet by octet, before scapy reads a label stack, so that nothing a router
sends raises; what is malformed is counted and left. scapy is imported when the first label stack comes: it
costs a tenth of a second and some 30 MB, which agents whose networks tell no labels never pay. A router tells
the same labels again and again, so they are read once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache

NO_LABELS = "-"
_HEADER, _OBJECT = struct.Struct("!BxH"), struct.Struct("!HBB")
_MPLS_STACK = (1, 1)
LEGACY_AT, LEGACY_AT_V6 = 128 - 20 - 8, 128 - 40 - 8
"""Offset behind the quoted UDP header at which a router puts an extension that tells no length: it quotes 128
octets (RFC 4884 section 5.5)."""


class Extensions:
    """Reads extensions. malformed: how many could not be read, whole or in part."""

    def __init__(self) -> None:
        self.malformed = 0

    def labels(self, data: bytes, at: int, *, v6: bool) -> str:
        """Labels that an error told, outermost first, as "24001,16"; `NO_LABELS` where it told none.

        data: what follows the quoted UDP header. at: where the kernel says that the extension begins, -1 = it
        does not say: then a router that does not tell how much it quotes is understood all the same (RFC 4884
        section 5.5): it quotes 128 octets, and version and checksum must be right.
        """
        if at < 0:
            structure = data[LEGACY_AT_V6 if v6 else LEGACY_AT :]
            if structure[2:4] == b"\0\0" or not _is_extension(structure):
                return NO_LABELS
        else:
            structure = data[at:]
        labels = _read(structure)
        self.malformed += labels is None
        return labels or NO_LABELS


@lru_cache(maxsize=4096)
def _read(structure: bytes) -> str | None:
    """Labels of all stacks, "" for none; None for a structure that is malformed."""
    if not _is_extension(structure):
        return None
    try:
        stacks = [body for kind, body in _objects(structure) if kind == _MPLS_STACK]
        return ",".join(str(label) for stack in stacks for label in _stack(stack))
    except ValueError:
        return None


def _is_extension(structure: bytes) -> bool:
    """Version 2, and the checksum right or left out (zero)."""
    if len(structure) < _HEADER.size:
        return False
    version, checksum = _HEADER.unpack_from(structure)
    return version >> 4 == 2 and (checksum == 0 or _sum(structure) == 0xFFFF)


def _sum(octets: bytes) -> int:
    """One's complement sum of 16-bit words (RFC 1071)."""
    padded = octets + b"\0" * (len(octets) % 2)
    total: int = sum(word for (word,) in struct.iter_unpack("!H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _objects(structure: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """((class, type), octets with their header) of each object; ValueError for a length that cannot be."""
    at = _HEADER.size
    while at < len(structure):
        if at + _OBJECT.size > len(structure):
            raise ValueError("an object is cut off in its header")
        length, number, kind = _OBJECT.unpack_from(structure, at)
        if length < _OBJECT.size or at + length > len(structure):
            raise ValueError(f"an object claims {length} octets")
        yield (number, kind), structure[at : at + length]
        at += length


def _stack(item: bytes) -> list[int]:
    """The labels of one MPLS object down to the bottom of the stack; ValueError where it has none."""
    entries = item[_OBJECT.size :]
    bottom = next((at for at in range(0, len(entries) - 3, 4) if entries[at + 2] & 1), None)
    if bottom is None:
        raise ValueError("a label stack has no bottom")
    from scapy.contrib.mpls import MPLS, ICMPExtension_MPLS

    length = _OBJECT.size + bottom + 4  # what follows the bottom is no label
    parsed = ICMPExtension_MPLS(_OBJECT.pack(length, *_MPLS_STACK) + entries[: bottom + 4])
    layer, labels = parsed.stack[0], []
    while isinstance(layer, MPLS):
        labels.append(int(layer.label))
        layer = layer.payload
    return labels
