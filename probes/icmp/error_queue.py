"""ICMP errors that come back to a socket (IP_RECVERR, ip(7)), one at a time, with who sent them."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_ORIGIN_ICMP, _ORIGIN_ICMP6 = 2, 3
_EXTENDED = struct.Struct("=IBBBxII")
_SOCKADDR_V4, _SOCKADDR_V6 = struct.Struct("=HH4s"), struct.Struct("=HHI16s")


@dataclass(frozen=True, slots=True)
class ReturnedError:
    """An error to a packet that this socket sent.

    peer: where the packet went. offender: address of who answered with ICMP; None for an error made by this
    host without one. quoted: what the error quotes of the packet, from its ICMP or TCP header on.
    """

    peer: str
    offender: str | None
    quoted: bytes


def enable(sock: socket.socket) -> None:
    """Have ICMP errors queued on a socket of AF_INET or AF_INET6; raises OSError."""
    level, option = _RECVERR[socket.AddressFamily(sock.family)]
    sock.setsockopt(level, option, 1)


def take(sock: socket.socket) -> ReturnedError | None:
    """The next error that waits, None when none does."""
    try:
        quoted, ancillary, _, name = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    except OSError:
        return None  # an empty queue, or an error of the socket itself that its next call tells again
    peer = str(name[0]).partition("%")[0] if name else ""
    for level, kind, data in ancillary:
        if (level, kind) in _RECVERR.values() and len(data) >= _EXTENDED.size:
            return ReturnedError(peer, _offender(data), quoted)
    return ReturnedError(peer, None, quoted)


def _offender(data: bytes) -> str | None:
    origin = _EXTENDED.unpack_from(data)[1]
    rest = data[_EXTENDED.size :]
    if origin == _ORIGIN_ICMP and len(rest) >= _SOCKADDR_V4.size:
        return socket.inet_ntop(socket.AF_INET, _SOCKADDR_V4.unpack_from(rest)[2])
    if origin == _ORIGIN_ICMP6 and len(rest) >= _SOCKADDR_V6.size:
        return socket.inet_ntop(socket.AF_INET6, _SOCKADDR_V6.unpack_from(rest)[3])
    return None
