"""ICMP echo, IPv4 (RFC 792) and IPv6 (RFC 4443 section 4), whole batches as columns. Pure codec.

     0               1               2               3
    +---------------+---------------+-------------------------------+
    | type          | code = 0      | checksum                      |
    +---------------+---------------+-------------------------------+
    | identifier                    | sequence                      |
    +-------------------------------+-------------------------------+
    | token, 8 octets: replies to this program are known by it ...
    | serial, 8 octets; the sequence is its low 16 bits ...

Every echo is SIZE octets long. The checksum of ICMPv6 covers a pseudo-header with both addresses; the kernel
sets and checks it on every socket that carries ICMPv6, so it is 0 in what is packed and is not looked at in
what is parsed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HEADER_SIZE, TOKEN_SIZE = 8, 8
SIZE = HEADER_SIZE + TOKEN_SIZE + 8
REQUEST = {4: 8, 6: 128}
REPLY = {4: 0, 6: 129}
REFUSALS = {
    4: tuple(3 << 8 | code for code in (2, 3, 9, 10, 13)),
    6: (*(1 << 8 | code for code in (1, 4, 5, 6)), 4 << 8 | 1),
}
"""type << 8 | code of the errors by which a host or a filter on the way says that it will not have a packet:
no such protocol or port, prohibited (RFC 1812 section 5.2.7.1, RFC 4443 section 3). Any other error, no route
and time exceeded among them, tells of a packet that the network lost."""
_V4_LEAST = 20

Block = NDArray[np.uint8]
Ints = NDArray[np.int64]


def requests(version: int, ident: int, token: bytes, serial: Ints) -> Block:
    """Echo requests without IP header, (n, SIZE) uint8. token: 8 octets; serial (n,) int64, not negative."""
    out = np.zeros((len(serial), SIZE), np.uint8)
    words = out.view(">u2")
    words[:, 0] = REQUEST[version] << 8
    words[:, 2] = ident
    words[:, 3] = serial & 0xFFFF
    out[:, HEADER_SIZE : HEADER_SIZE + TOKEN_SIZE] = np.frombuffer(token, np.uint8)
    out.view(">i8")[:, -1] = serial
    if version == 4:
        words[:, 1] = checksum(out)
    return out


def checksum(messages: Block) -> NDArray[np.uint16]:
    """Internet checksum (RFC 1071) of each row, (n,) uint16; messages (n, w) uint8, w even.

    0 for a row that carries its own right checksum.
    """
    total = np.ascontiguousarray(messages).view(">u2").sum(axis=1, dtype=np.uint64)
    total = (total & 0xFFFF) + (total >> 16)  # of fewer than 2**16 words: folded twice it fits
    total = (total & 0xFFFF) + (total >> 16)
    made: NDArray[np.uint16] = (~total & 0xFFFF).astype(np.uint16)
    return made


@dataclass(frozen=True, slots=True)
class Replies:
    """Replies to this program in a batch: row (k,) in the batch, serial (k,) int64.

    malformed: rows that are no valid ICMP message; foreign: replies that are not to a packet of this token.
    """

    row: NDArray[np.intp]
    serial: Ints
    malformed: int
    foreign: int


def replies(
    block: Block, length: Ints, version: int, token: bytes, *, raw: bool, ident: int | None
) -> Replies:
    """Find the replies in a batch: block (n, w) uint8, length (n,) octets that came, more than w when cut.

    raw: of a raw socket; over IPv4 its rows begin with the IP header, and nobody has checked their checksum.
    ident: replies with another identifier, which are to other programs, and requests are passed over; None
    on a ping socket, where the kernel does that.
    """
    at, fits = np.zeros(len(block), np.int64), length >= HEADER_SIZE
    if raw and version == 4:
        at = 4 * (block[:, 0].astype(np.int64) & 0xF)
        fits = (block[:, 0] >> 4 == 4) & (at >= _V4_LEAST) & (length >= at + HEADER_SIZE)
        fits &= at + SIZE <= block.shape[1]
    malformed = int((~fits).sum())
    row = np.flatnonzero(fits)
    message = block[row[:, None], at[row, None] + np.arange(SIZE)] if at.any() else block[row, :SIZE]
    words = message.view(">u2")
    mine = np.ones(len(row), np.bool_)
    if ident is not None:
        mine = (words[:, 0] == REPLY[version] << 8) & (words[:, 2] == ident)
    ours = mine & (words[:, 0] == REPLY[version] << 8) & (length[row] - at[row] == SIZE)
    ours &= (message[:, HEADER_SIZE : HEADER_SIZE + TOKEN_SIZE] == np.frombuffer(token, np.uint8)).all(axis=1)
    serial = message.view(">i8")[:, -1].astype(np.int64)
    ours &= serial & 0xFFFF == words[:, 3]
    foreign = int((mine & ~ours).sum())
    if raw and version == 4:
        sound = checksum(message) == 0
        malformed += int((ours & ~sound).sum())
        ours &= sound
    return Replies(row[ours], serial[ours], malformed, foreign)


def quoted(
    block: Block, length: Ints, version: int, ident: int | None
) -> tuple[NDArray[np.intp], NDArray[np.int64], int]:
    """What ICMP errors quote of requests: (row (k,) in the batch, sequence (k,) int64, number of malformed).

    block (n, w >= 8) uint8, length (n,): from the ICMP header on, perhaps cut after 8 octets. ident: quotes
    of other programs' packets are passed over; None on a ping socket.
    """
    words = np.ascontiguousarray(block[:, :HEADER_SIZE]).view(">u2")
    fits = length >= HEADER_SIZE
    mine = fits & (words[:, 0] == REQUEST[version] << 8)
    if ident is not None:
        mine &= words[:, 2] == ident
    row = np.flatnonzero(mine)
    return row, words[row, 3].astype(np.int64), int((~fits).sum())
