"""Options of the UDP sockets that measure: kernel stamps, what arrives with a datagram, room for many."""

from __future__ import annotations

import socket
import struct

from probes.sockets import ancillary

RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
SEND_BUFFER_BYTES = 4 * 1024 * 1024
DATAGRAM_BYTES = 2_304
"""What the kernel charges a small datagram in a receive buffer, generously."""
_RX_SOFTWARE = 0x18  # RX_SOFTWARE | SOFTWARE
_TX_RX_SOFTWARE_BY_ID = 0x89A  # TX_SOFTWARE | RX_SOFTWARE | SOFTWARE | OPT_ID | OPT_TSONLY
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32
_IP_MTU_DISCOVER, _IP_RECVTTL, _IP_RECVTOS, _IP_RECVERR_RFC4884 = 10, 12, 13, 26
_IPV6_UNICAST_HOPS, _IPV6_MTU_DISCOVER, _IPV6_RECVERR_RFC4884 = 16, 23, 31
_IPV6_RECVHOPLIMIT, _IPV6_RECVTCLASS = 51, 66
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")
_PROBE = 3
"""Of MTU_DISCOVER: set Don't Fragment, and never mind what the kernel knows of the path's MTU."""


def configure(sock: socket.socket, v6: bool, transmit_stamps: bool, tos: int) -> None:
    """Set everything that a measuring socket needs. transmit_stamps: of each datagram. tos: default TOS."""
    _enlarge(sock, _SO_RCVBUFFORCE, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    _enlarge(sock, _SO_SNDBUFFORCE, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    stamp(sock, transmit_stamps)
    if v6:
        level, optional = socket.IPPROTO_IPV6, _IPV6_RECVERR_RFC4884
        options: tuple[tuple[int, int], ...] = (
            (socket.IPV6_V6ONLY, 1),
            (_IPV6_RECVHOPLIMIT, 1),
            (_IPV6_RECVTCLASS, 1),
            (_IPV6_UNICAST_HOPS, 255),
            (_IPV6_MTU_DISCOVER, _PROBE),
            (ancillary.IPV6_TCLASS, tos),
            (ancillary.IPV6_RECVERR, 1),
        )
    else:
        level, optional = socket.IPPROTO_IP, _IP_RECVERR_RFC4884
        options = (
            (_IP_RECVTTL, 1),
            (_IP_RECVTOS, 1),
            (_IP_MTU_DISCOVER, _PROBE),
            (ancillary.IP_TTL, 255),
            (ancillary.IP_TOS, tos),
            (ancillary.IP_RECVERR, 1),
        )
    for option, value in options:
        sock.setsockopt(level, option, value)
    try:
        sock.setsockopt(level, optional, 1)
    except OSError:
        return  # kernels before 5.9 have it not: labels of hops are then not told


def stamp(sock: socket.socket, transmit: bool) -> None:
    """Ask for kernel stamps: of what arrives, and with `transmit` of what leaves, numbered from 0 anew."""
    flags = _TX_RX_SOFTWARE_BY_ID if transmit else _RX_SOFTWARE
    sock.setsockopt(socket.SOL_SOCKET, ancillary.SO_TIMESTAMPING, flags)


def capacity(sock: socket.socket) -> int:
    """How many small datagrams the receive queue holds at least."""
    return max(1, sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // DATAGRAM_BYTES)


def drops(sock: socket.socket) -> int:
    """How many datagrams the kernel dropped at this socket (SO_MEMINFO, its own count of overflows)."""
    told = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    return int(_MEMINFO.unpack(told)[-1]) if len(told) == _MEMINFO.size else 0


def _enlarge(sock: socket.socket, force: int, plain: int, size: int) -> None:
    for option in (force, plain):  # the first needs CAP_NET_ADMIN
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, size)
            return
        except PermissionError:
            continue
