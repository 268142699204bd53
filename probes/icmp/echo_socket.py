"""The socket that carries ICMP echoes from one local address: a ping socket, or else a raw one.

A ping socket needs no privilege where net.ipv4.ping_group_range has the process's group; a raw socket needs
CAP_NET_RAW. Replies carry the kernel's receive stamp (SO_TIMESTAMPNS), errors come from the error queue.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass

from linkgauge.errors import ProtocolError
from probes.icmp import error_queue
from probes.icmp.packet import Echo, without_ip_header

_SO_TIMESTAMPNS, _SO_RXQ_OVFL = 35, 40
_SOL_RAW, _ICMP_FILTER = 255, 1
_ICMP6_FILTER = 1
_RECEIVE_BUFFER = 1 << 20
_DATA = struct.Struct("!8sQ")
_TIMESPEC, _U32 = struct.Struct("=qq"), struct.Struct("=I")


class NoPermission(Exception):
    """This process may open neither kind of socket; says what would mend it."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An answer. serial: the packet's, None for an ICMP error, which has only `sequence` (its low 16 bits).

    stamp_ns: when the kernel got a reply, Unix ns, 0 when it does not say.
    """

    peer: str
    sequence: int
    serial: int | None
    stamp_ns: int


class EchoSocket:
    """Echoes from `local`. token: 8 octets in each packet, by which replies to this program are known.

    Raises NoPermission, or OSError when the address is not here. malformed, foreign, dropped: datagrams that
    were no valid echo, replies to packets that were not sent here, datagrams lost in a full receive queue.
    A raw socket sees the replies to every program of the host: those with another identifier are no fault
    and are not counted.
    """

    def __init__(self, local: str, token: bytes, ident: int) -> None:
        self._local, self._token, self._ident = local, token, ident
        self._version = ipaddress.ip_address(local).version
        self._raw, self._socket = _open(self._version)
        self.malformed = self.foreign = self.dropped = 0
        try:
            self._prepare()
        except OSError:
            self._socket.close()
            raise

    def _prepare(self) -> None:
        sock = self._socket
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        error_queue.enable(sock)
        if self._raw and self._version == 4:
            only_replies = ~(1 << 0) & 0xFFFF_FFFF
            sock.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", only_replies))
        elif self._raw:
            blocked = [0xFFFF_FFFF] * 8
            blocked[129 // 32] &= ~(1 << 129 % 32)
            sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *blocked))
        sock.bind((self._local, 0))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, peer: str, serial: int) -> None:
        """Send one echo request; raises OSError when the kernel would not."""
        data = _DATA.pack(self._token, serial)
        message = Echo(self._version, False, self._ident, serial & 0xFFFF, data).pack()
        self._socket.sendto(message, (peer, 0))

    def receive(self) -> list[Arrival]:
        """Everything that has come: ICMP errors first, then replies. Never waits."""
        arrivals = []
        while (error := error_queue.take(self._socket)) is not None:
            arrivals += self._refusal(error)
        while (got := self._datagram()) is not None:
            arrivals += self._reply(*got)
        return arrivals

    def _datagram(self) -> tuple[bytes, str, int] | None:
        """Data, peer and receive stamp of the next datagram."""
        for _ in range(2):
            try:
                data, ancillary, _, name = self._socket.recvmsg(2048, 256)
                break
            except BlockingIOError:
                return None
            except OSError:
                continue  # the pending error of a packet sent, told by the error queue; it is told once
        else:
            return None
        stamp_ns = 0
        for level, kind, value in ancillary:
            if (level, kind, len(value)) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS, _TIMESPEC.size):
                whole_s, rest_ns = _TIMESPEC.unpack(value)
                stamp_ns = whole_s * 1_000_000_000 + rest_ns
            elif (level, kind, len(value)) == (socket.SOL_SOCKET, _SO_RXQ_OVFL, _U32.size):
                self.dropped = max(self.dropped, _U32.unpack(value)[0])
        return data, str(name[0]).partition("%")[0], stamp_ns

    def _reply(self, data: bytes, peer: str, stamp_ns: int) -> list[Arrival]:
        try:
            message = without_ip_header(data) if self._raw and self._version == 4 else data
            echo = Echo.parse(message, self._version)
        except ProtocolError:
            self.malformed += 1
            return []
        if self._raw and (not echo.reply or echo.ident != self._ident):
            return []
        if not echo.reply or len(echo.data) != _DATA.size or not echo.data.startswith(self._token):
            self.foreign += 1
            return []
        return [Arrival(peer, echo.sequence, _DATA.unpack(echo.data)[1], stamp_ns)]

    def _refusal(self, error: error_queue.ReturnedError) -> list[Arrival]:
        """An ICMP error by somebody else; this host's own means that no neighbour answered: a loss."""
        if error.offender is None or error.offender == self._local:
            return []
        try:
            echo = Echo.parse_quoted(error.quoted, self._version)
        except ProtocolError:
            self.malformed += 1
            return []
        if self._raw and echo.ident != self._ident:
            return []
        return [Arrival(error.peer, echo.sequence, None, 0)]


def _open(version: int) -> tuple[bool, socket.socket]:
    """(is raw, socket)"""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    try:
        return False, socket.socket(family, socket.SOCK_DGRAM, protocol)
    except PermissionError:
        pass
    try:
        return True, socket.socket(family, socket.SOCK_RAW, protocol)
    except PermissionError:
        raise NoPermission(
            "ICMP echo needs CAP_NET_RAW, or this process's group in the sysctl net.ipv4.ping_group_range; "
            "grant one of them"
        ) from None
