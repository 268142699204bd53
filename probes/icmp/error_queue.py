"""ICMP errors that come back to a socket (IP_RECVERR, ip(7)), one at a time: for connections."""

from __future__ import annotations

import socket
import struct

from probes.sockets import ancillary

_RECVERR = {
    socket.AF_INET: (socket.IPPROTO_IP, ancillary.IP_RECVERR),
    socket.AF_INET6: (socket.IPPROTO_IPV6, ancillary.IPV6_RECVERR),
}
_EXTENDED = struct.Struct("=IBBBxII")


def enable(sock: socket.socket) -> None:
    """Have ICMP errors queued on a socket of AF_INET or AF_INET6; raises OSError."""
    level, option = _RECVERR[socket.AddressFamily(sock.family)]
    sock.setsockopt(level, option, 1)


def take(sock: socket.socket) -> int | None:
    """type << 8 | code of the next ICMP error that waits, None when none does."""
    while True:
        try:
            _, control, _, _ = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except OSError:
            return None  # an empty queue, or an error of the socket itself that its next call tells again
        for level, kind, data in control:
            if (level, kind) in _RECVERR.values() and len(data) >= _EXTENDED.size:
                _, origin, icmp_type, code, _, _ = _EXTENDED.unpack_from(data)
                if origin in (ancillary.ORIGIN_ICMP, ancillary.ORIGIN_ICMP6):
                    return int(icmp_type << 8 | code)
