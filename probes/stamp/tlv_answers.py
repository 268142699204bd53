"""What the reflector writes into the TLVs of requests (RFC 8972 section 4), in place and in columns. Pure.

Packets whose TLVs have the same structure are answered together; our own agents' requests all have one.
A TLV that is unknown gets U, a malformed one M, and what follows a malformed one is not looked at. In
authenticated mode TLVs whose HMAC is wrong, missing or misplaced are reflected as they came, with I set.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.stamp.authentication import DIGEST_SIZE, digest_of_tlvs
from probes.stamp.packet import AUTHENTICATED_SIZE, Block
from probes.stamp.session_table import SessionTable
from probes.stamp.tlv import HEADER_SIZE, INTEGRITY, MALFORMED, UNRECOGNISED, Type
from probes.stamp.tlv_structure import ADDRESS_SIZE, DESTINATION_IP, Part, Structure, structure

_NTP_SYNCHRONISED, _FREE_RUNNING = 1, 5
_SOFTWARE = 2
"""Method of a stamp: software, local (RFC 8972 section 4.3)."""
_S_BIT = 0x8000


@dataclass(frozen=True, slots=True)
class Door:
    """Where requests came in: an own address (4 or 16 octets, zeros = any) and port; index: its number."""

    index: int
    address: bytes
    port: int


@dataclass(frozen=True, slots=True)
class Batch:
    """k requests that are answered, as columns (k,); `tos_out` is written.

    rows: in the block. name (k, NAME_SIZE): raw sources. tos: as received. slots: of their sessions.
    number: of the reply in its session's count. keys: of each in authenticated mode. error: of this host.
    """

    base: int
    rows: NDArray[np.intp]
    length: NDArray[np.int64]
    name: NDArray[np.uint8]
    tos: NDArray[np.uint8]
    tos_out: NDArray[np.uint8]
    slots: NDArray[np.intp]
    number: NDArray[np.int64]
    keys: list[bytes]
    error: int
    door: Door


class TlvAnswers:
    """Answers TLVs. dscp_allowed (64,) bool: classes in which a peer may have its replies sent."""

    def __init__(self, table: SessionTable, dscp_allowed: NDArray[np.bool_], stateless: bool) -> None:
        self._table, self._dscp_allowed, self._stateless = table, dscp_allowed, stateless
        self._write: dict[int, Callable[[Block, Batch, NDArray[np.intp], Part], None]] = {
            Type.LOCATION: self._location,
            Type.TIMESTAMP_INFORMATION: self._timestamp_information,
            Type.CLASS_OF_SERVICE: self._class_of_service,
            Type.DIRECT_MEASUREMENT: self._direct_measurement,
            Type.FOLLOW_UP: self._follow_up,
        }

    def write(self, block: Block, batch: Batch) -> None:
        """Answer all TLVs; the base packets are replies already but for T3 and HMAC."""
        todo = np.flatnonzero(batch.length > batch.base)
        while len(todo):
            first, end = batch.rows[todo[0]], int(batch.length[todo[0]])
            found = structure(block[first, :end].tobytes(), batch.base)
            alike = batch.length[todo] == end
            if heads := found.heads:
                columns = (np.array(heads)[:, None] + np.arange(HEADER_SIZE)).ravel()
                octets = block[batch.rows[todo, None], columns]
                alike &= (octets == octets[0]).all(axis=1)
                self._write_alike(block, batch, todo[alike], found)
            todo = todo[~alike]

    def _write_alike(self, block: Block, batch: Batch, which: NDArray[np.intp], found: Structure) -> None:
        signed = batch.base == AUTHENTICATED_SIZE
        if signed:
            which = _verified(block, batch, which, found)
        rows = batch.rows[which]
        flags = [UNRECOGNISED if p.kind == Type.HMAC and not signed else p.flags for p in found.parts]
        flags += [sub.flags for sub in found.subs]
        block[rows[:, None], found.heads] = np.array(flags, np.uint8)
        for part in found.parts:
            if part.kind in self._write and not part.flags:
                self._write[part.kind](block, batch, which, part)
            elif part.kind == Type.FOLLOW_UP and part.flags & MALFORMED:
                block[rows, part.at : part.at + min(part.size, 12)] = 0
        for sub in found.subs:
            if not sub.flags:
                _address(block, batch, which, sub)
        if signed and found.hmac is not None:
            _sign(block, batch, which, found.hmac)

    def _location(self, block: Block, batch: Batch, which: NDArray[np.intp], part: Part) -> None:
        """Destination and source port as received."""
        rows = batch.rows[which]
        block[rows, part.at : part.at + 2] = np.frombuffer(batch.door.port.to_bytes(2, "big"), np.uint8)
        block[rows, part.at + 2 : part.at + 4] = batch.name[which, 2:4]

    def _timestamp_information(self, block: Block, batch: Batch, which: NDArray[np.intp], part: Part) -> None:
        source = _NTP_SYNCHRONISED if batch.error & _S_BIT else _FREE_RUNNING
        block[batch.rows[which], part.at : part.at + 4] = np.array(
            [source, _SOFTWARE, source, _SOFTWARE], np.uint8
        )

    def _class_of_service(self, block: Block, batch: Batch, which: NDArray[np.intp], part: Part) -> None:
        """The class asked for where allowed, else the one received and RP = 1 (RFC 8972 section 4.4)."""
        rows, tos = batch.rows[which], batch.tos[which].astype(np.uint32)
        asked = block[rows, part.at] >> 2
        allowed = self._dscp_allowed[asked]
        value = asked.astype(np.uint32) << 26 | tos << 18 | np.where(allowed, 0, 1 << 16).astype(np.uint32)
        block[rows, part.at : part.at + 4] = value.astype(">u4").view(np.uint8).reshape(-1, 4)
        out = batch.tos_out[which]
        batch.tos_out[which] = np.where(allowed, asked << 2 | out & 3, out)

    def _direct_measurement(self, block: Block, batch: Batch, which: NDArray[np.intp], part: Part) -> None:
        """Packets of the session received and sent by this end, this one and its reply among them."""
        rows, sent = batch.rows[which], batch.number[which] + 1
        received = sent + self._table.withheld[batch.slots[which]]
        for at, count in ((part.at + 4, received), (part.at + 8, sent)):
            block[rows, at : at + 4] = _big_endian(count)

    def _follow_up(self, block: Block, batch: Batch, which: NDArray[np.intp], part: Part) -> None:
        """The last reply of the session whose true departure is known; zeros where there is none."""
        rows, slots = batch.rows[which], batch.slots[which]
        stamp = self._table.left_stamp[slots]
        known = (stamp != 0) & (not self._stateless)
        value = np.zeros((len(rows), part.size), np.uint8)
        value[:, :4] = _big_endian(self._table.left_number[slots])
        value[:, 4:12] = stamp.astype(">u8").view(np.uint8).reshape(-1, 8)
        value[:, 12] = _SOFTWARE
        block[rows, part.at : part.at + part.size] = value * known[:, None]


def _verified(block: Block, batch: Batch, which: NDArray[np.intp], found: Structure) -> NDArray[np.intp]:
    """Those whose TLVs hold; the others get the I flag."""
    held = np.full(len(which), not found.needs_hmac)
    if (part := found.hmac) is not None:
        for place, index in enumerate(which):
            octets = block[batch.rows[index]].data
            wanted = digest_of_tlvs(
                octets[48:52], octets[batch.base :], part.at - batch.base, batch.keys[index]
            )
            held[place] = hmac.compare_digest(wanted, octets[part.at : part.at + DIGEST_SIZE])
    block[batch.rows[which[~held], None], found.heads] |= INTEGRITY
    good: NDArray[np.intp] = which[held]
    return good


def _sign(block: Block, batch: Batch, which: NDArray[np.intp], part: Part) -> None:
    for index in which:
        octets = block[batch.rows[index]].data
        octets[part.at : part.at + DIGEST_SIZE] = digest_of_tlvs(
            octets[:4], octets[batch.base :], part.at - batch.base, batch.keys[index]
        )


def _address(block: Block, batch: Batch, which: NDArray[np.intp], sub: Part) -> None:
    """Tell the address asked for, in the sub-TLV of its family."""
    rows = batch.rows[which]
    size = len(batch.door.address)
    if sub.kind == DESTINATION_IP:
        told = np.frombuffer(batch.door.address, np.uint8)
        if not told.any():
            block[rows, sub.at - HEADER_SIZE] = UNRECOGNISED
            return
    else:
        told = batch.name[which, 4:8] if size == 4 else batch.name[which, 8:24]
    block[rows, sub.at - HEADER_SIZE + 1] = sub.kind + (1 if size == 4 else 2)
    block[rows, sub.at : sub.at + ADDRESS_SIZE] = 0
    block[rows, sub.at : sub.at + size] = told


def _big_endian(count: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Numbers (n,) modulo 2**32 as (n, 4) octets."""
    octets: NDArray[np.uint8] = (count & 0xFFFF_FFFF).astype(">u4").view(np.uint8).reshape(-1, 4)
    return octets
