"""What the reflector writes into the TLVs of requests (RFC 8972 section 4), in place and in columns. Pure.

Packets whose TLVs have the same structure are answered together; our own agents' requests all have one.
A TLV that is unknown gets U, a malformed one M, and what follows a malformed one is not looked at. In
authenticated mode TLVs whose HMAC is wrong, missing or misplaced are reflected as they came, with I set.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

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
    keys: list[bytes] = field(repr=False)
    error: int
    door: Door


@dataclass(frozen=True, slots=True)
class _Kind:
    """Packets of one length and with the same headers: `octets` in `columns`, `told` as bytes.

    heads: where headers begin; flags: what each gets.
    """

    base: int
    end: int
    structure: Structure
    columns: NDArray[np.intp]
    octets: NDArray[np.uint8]
    told: bytes
    heads: NDArray[np.intp]
    flags: NDArray[np.uint8]

    @classmethod
    def of(cls, packet: bytes, base: int) -> _Kind:
        found = structure(packet, base)
        heads = np.array(found.heads, np.intp)
        columns = (heads[:, None] + np.arange(HEADER_SIZE)).ravel()
        octets = np.frombuffer(packet, np.uint8)[columns]
        flags = [part.flags for part in (*found.parts, *found.subs)]
        kind = (base, len(packet), found, columns, octets, octets.tobytes(), heads)
        return cls(*kind, np.array(flags, np.uint8))


class TlvAnswers:
    """Answers TLVs. dscp_allowed (64,) bool: classes in which a peer may have its replies sent.

    follow_ups: requests for Follow-Up Telemetry that a stateful reflector had.
    """

    def __init__(self, table: SessionTable, dscp_allowed: NDArray[np.bool_], stateless: bool) -> None:
        self._table, self._dscp_allowed, self._stateless = table, dscp_allowed, stateless
        self.follow_ups = 0
        self._allows_all = bool(dscp_allowed.all())
        self._last: _Kind | None = None
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
            kind = self._kind_of(block, batch, int(todo[0]))
            alike = batch.length[todo] == kind.end
            if len(kind.columns):
                octets = block[batch.rows[todo, None], kind.columns]
                alike &= (octets == kind.octets).all(axis=1)
                self._write_alike(block, batch, todo[alike], kind)
            todo = todo[~alike]

    def _kind_of(self, block: Block, batch: Batch, index: int) -> _Kind:
        """Of this packet; most often it is that of the last one."""
        packet, end, last = block[batch.rows[index]], int(batch.length[index]), self._last
        if last is None or (last.base, last.end) != (batch.base, end):
            last = None
        if last is None or packet[last.columns].tobytes() != last.told:
            last = self._last = _Kind.of(packet[:end].tobytes(), batch.base)
        return last

    def _write_alike(self, block: Block, batch: Batch, which: NDArray[np.intp], kind: _Kind) -> None:
        found, signed = kind.structure, batch.base == AUTHENTICATED_SIZE
        if signed:
            which = _verified(block, batch, which, found)
        rows = batch.rows[which]
        block[rows[:, None], kind.heads] = kind.flags
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
        rows, tos, out = batch.rows[which], batch.tos[which], batch.tos_out[which]
        asked = block[rows, part.at] >> 2
        value = asked.astype(np.uint32) << 26 | tos.astype(np.uint32) << 18
        wanted = asked << 2 | out & 3
        if not self._allows_all:
            allowed = self._dscp_allowed[asked]
            value |= (~allowed).astype(np.uint32) << 16
            wanted = np.where(allowed, wanted, out)
        batch.tos_out[which] = wanted
        block[:, part.at : part.at + 4].view(">u4")[rows, 0] = value

    def _direct_measurement(self, block: Block, batch: Batch, which: NDArray[np.intp], part: Part) -> None:
        """Packets of the session received and sent by this end, this one and its reply among them."""
        rows, sent = batch.rows[which], batch.number[which] + 1
        received = sent + self._table.withheld[batch.slots[which]]
        for at, count in ((part.at + 4, received), (part.at + 8, sent)):
            block[:, at : at + 4].view(">u4")[rows, 0] = count & 0xFFFF_FFFF

    def _follow_up(self, block: Block, batch: Batch, which: NDArray[np.intp], part: Part) -> None:
        """The last reply of the session whose true departure is known; zeros where there is none."""
        rows, slots = batch.rows[which], batch.slots[which]
        block[rows, part.at : part.at + part.size] = 0
        if self._stateless:
            return
        self.follow_ups += len(rows)
        stamp = self._table.left_stamp[slots]
        if not stamp.any():
            return
        known = stamp != 0
        rows, slots = rows[known], slots[known]
        block[:, part.at : part.at + 4].view(">u4")[rows, 0] = self._table.left_number[slots] & 0xFFFF_FFFF
        block[:, part.at + 4 : part.at + 12].view(">u8")[rows, 0] = stamp[known]
        block[rows, part.at + 12] = _SOFTWARE


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
