"""TCP connections that probe: how one begins without waiting, and what the kernel says of how it ended."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct

from linkgauge.clock import NS_PER_US
from linkgauge.plan import PlanLink
from probes.echo import Fate
from probes.icmp import error_queue
from probes.icmp.packet import REFUSALS

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: close with RST at once."""
BEGUN = (0, errno.EINPROGRESS, errno.ECONNREFUSED)
"""Results of connect_ex after which `outcome` will tell more."""
_RTT_AT, _RETRANSMITS_AT, _INFO_SIZE = 68, 100, 104
_U32 = struct.Struct("=I")
_CONNECTED = (0, errno.ECONNRESET, errno.EPIPE)
"""Errors of a socket that was connected: the far end may have closed it already."""
UNANSWERED = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT)
"""Without an ICMP error: nobody answered."""


def prepare(link: PlanLink) -> socket.socket | Fate:
    """A socket of link.local that does not wait and resets on close; or why there is none."""
    try:
        version = ipaddress.ip_address(link.peer).version
    except ValueError:
        return Fate.UNRESOLVED
    try:
        sock = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    except OSError:
        return Fate.SEND_FAILED  # no descriptor left
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        # the port is chosen at connect, so that thousands of targets can share one local port
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
        error_queue.enable(sock)
        sock.bind((link.local, 0))
    except OSError:
        sock.close()
        return Fate.SEND_FAILED
    return sock


def outcome(sock: socket.socket) -> tuple[Fate, bool]:
    """What became of connect, once the socket is writable: (REPLIED when connected, by TCP itself).

    The second is False where an ICMP error, or no answer at all, ended it.
    """
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error in _CONNECTED:
        return Fate.REPLIED, True
    if (told := _told_by_icmp(sock)) is not None:
        return told, False
    if error == errno.ECONNREFUSED:
        return Fate.REFUSED, True
    return (Fate.LOST if error in UNANSWERED else Fate.SEND_FAILED), False


def handshake(sock: socket.socket) -> tuple[int, bool]:
    """(round trip by the kernel in ns, 0 = unknown; whether a segment had to be sent more than once)."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
    if len(info) < _INFO_SIZE:
        return 0, False
    rtt_us, retransmits = _U32.unpack_from(info, _RTT_AT)[0], _U32.unpack_from(info, _RETRANSMITS_AT)[0]
    return rtt_us * NS_PER_US, retransmits > 0


def _told_by_icmp(sock: socket.socket) -> Fate | None:
    """What an ICMP error says, None without one."""
    told = None
    while (reason := error_queue.take(sock)) is not None:
        version = 4 if sock.family == socket.AF_INET else 6
        told = Fate.REFUSED if reason in REFUSALS[version] else Fate.UNREACHABLE
    return told
