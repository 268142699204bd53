"""The socket that carries ICMP echoes from one local address, batch by batch: a ping socket, or a raw one.

A ping socket needs no privilege where net.ipv4.ping_group_range has the process's group; a raw socket needs
CAP_NET_RAW. Both kinds give the kernel's stamps of what leaves and what comes (SO_TIMESTAMPING, matched by
the running number of SOF_TIMESTAMPING_OPT_ID), and both tell ICMP errors by the error queue (IP_RECVERR).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import ipaddress
import select
import socket
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from probes.icmp import error_queue, packet, reply_filter
from probes.icmp.arrivals import Arrivals, Replies, Returns, joined
from probes.sockets import ancillary, socket_option
from probes.sockets.message import Inbox, Outgoing

BATCH = 256
"""Most messages that one call moves."""
_DATA_SIZE, _CONTROL_SIZE = 128, 256
_MSG_TRUNC, _MSG_DONTWAIT, _MSG_ERRQUEUE = 0x20, 0x40, 0x2000
_SO_RCVBUFFORCE = 33
_FULL = (errno.EAGAIN, errno.ENOBUFS)
_FULL_WAIT_MS, _FULL_WAITS = 1, 5
_NUMBERS = 1 << 32
"""The kernel's running numbers have 32 bits."""

_libc = ctypes.CDLL(None, use_errno=True)
_recvmmsg, _sendmmsg = _libc.recvmmsg, _libc.sendmmsg


class NoPermission(Exception):
    """This process may open neither kind of socket; says what would mend it."""


class EchoSocket:
    """Echoes from `local`. token: 8 octets in each packet, by which replies to this program are known.

    Raises NoPermission, or OSError when the address is not here. Counters since the opening: malformed,
    foreign: datagrams that were no valid echo, or replies to packets that were not sent here; send_retried:
    times that the send buffer was full for a moment; send_failed: packets that the kernel would not take. A
    raw socket lets in the replies to packets of its identifier only: those to other programs are no fault.
    """

    def __init__(self, local: str, token: bytes, ident: int) -> None:
        self._token = token
        self._version = ipaddress.ip_address(local).version
        self.raw, self._socket = _open(self._version)
        self._ident = ident if self.raw else None
        self.malformed = self.foreign = self.send_retried = self.send_failed = 0
        self._replies = Inbox(BATCH, _DATA_SIZE, _CONTROL_SIZE)
        self._errors = Inbox(BATCH, _DATA_SIZE, _CONTROL_SIZE)
        self._numbered = 0
        self._kept: list[Returns] = []
        try:
            self._prepare(local, ident)
        except OSError:
            self._socket.close()
            raise

    def _prepare(self, local: str, ident: int) -> None:
        sock = self._socket
        sock.setblocking(False)
        if self.raw:
            reply_filter.attach(sock, self._version, ident)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, socket_option.RECEIVE_BUFFER_BYTES)
        with contextlib.suppress(PermissionError):  # above the host's limit only with CAP_NET_ADMIN
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, socket_option.RECEIVE_BUFFER_BYTES)
        error_queue.enable(sock)
        socket_option.stamp(sock, transmit=True)
        sock.bind((local, 0))

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel dropped since the opening because the receive queue was full."""
        return socket_option.drops(self._socket)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, names: NDArray[np.uint8], serial: NDArray[np.int64]) -> NDArray[np.int64]:
        """Send one echo request to each raw address: names (n, NAME_SIZE) uint8, serial (n,).

        Returns (n,) int64: the number by which its transmit stamp will be known, -1 where the kernel would
        not take the packet (no route, forbidden, no room for 5 ms). Waits only while there is no room.
        """
        count = len(serial)
        outgoing = Outgoing(names, np.full(count, packet.SIZE), packet.SIZE, self._version == 6)
        outgoing.data[:] = packet.requests(self._version, self._ident or 0, self._token, serial)
        numbers = np.full(count, -1, np.int64)
        self._forget_fault()
        at, waits, tried = 0, 0, False
        while at < count:
            most = min(BATCH, count - at)
            took = self._call(_sendmmsg, outgoing.header_at(at), most, _MSG_DONTWAIT)
            if took > 0:
                numbers[at : at + took] = self._numbered + np.arange(took)
                self._numbered += took
                at, tried = at + took, False
            elif -took in _FULL and waits < _FULL_WAITS:
                waits += 1
                self.send_retried += 1
                poll = select.poll()  # select(2) takes no descriptor above 1023
                poll.register(self, select.POLLOUT)
                poll.poll(_FULL_WAIT_MS)
            elif tried:
                self.send_failed += 1
                at, tried = at + 1, False
            else:
                tried = True  # perhaps the ICMP error of another packet, which is told once
            if took < most:
                self._number_anew()
        return numbers

    def receive(self) -> Arrivals | None:
        """Up to BATCH replies and as many entries of the error queue; None: there is neither. Never waits."""
        self._forget_fault()
        self._fill(self._replies, _MSG_TRUNC)
        self._fill(self._errors, _MSG_ERRQUEUE)  # last, so that a packet's stamp comes with its reply
        if not (self._replies.used or self._errors.used or self._kept):
            return None
        kept, self._kept = self._kept, []
        return Arrivals(self._parse_replies(), joined([*kept, self._parse_returns()]))

    def _parse_replies(self) -> Replies:
        inbox = self._replies
        head, data = inbox.headers[: inbox.used], inbox.data[: inbox.used]
        columns = ancillary.parse(inbox.control[: inbox.used], head["controllen"])
        lengths = head["length"].astype(np.int64)
        found = packet.replies(data, lengths, self._version, self._token, raw=self.raw, ident=self._ident)
        self.malformed += found.malformed
        self.foreign += found.foreign
        return Replies(inbox.names[found.row], found.serial, columns.stamp_ns[found.row])

    def _parse_returns(self) -> Returns:
        inbox = self._errors
        head, data = inbox.headers[: inbox.used], inbox.data[: inbox.used]
        columns = ancillary.parse(inbox.control[: inbox.used], head["controllen"], errors=True)
        stamped = columns.origin == ancillary.ORIGIN_TIMESTAMPING
        icmp = np.flatnonzero(np.isin(columns.origin, (ancillary.ORIGIN_ICMP, ancillary.ORIGIN_ICMP6)))
        lengths = head["length"].astype(np.int64)[icmp]
        found, sequence, malformed = packet.quoted(data[icmp], lengths, self._version, self._ident)
        self.malformed += malformed
        row = icmp[found]
        return Returns(
            columns.number[stamped] + self._numbered // _NUMBERS * _NUMBERS,
            columns.stamp_ns[stamped],
            inbox.names[row],
            sequence,
            np.isin(columns.reason[row], packet.REFUSALS[self._version]),
        )

    def _fill(self, inbox: Inbox, flags: int) -> int:
        """Take what waits; says how much."""
        inbox.clear()
        count = self._call(_recvmmsg, inbox.next_header(), inbox.rows, flags | _MSG_DONTWAIT, None)
        inbox.used = max(count, 0)
        return inbox.used

    def _call(self, function: Callable[..., int], at: int, *words: int | None) -> int:
        """Messages that the kernel took or gave, or -errno."""
        done = function(self.fileno(), ctypes.c_void_p(at), *words)
        return done if done >= 0 else -ctypes.get_errno()

    def _forget_fault(self) -> None:
        """The ICMP error of an earlier packet would fail the next call; the error queue tells it too."""
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def _number_anew(self) -> None:
        """The kernel may have numbered what it did not send: it begins at 0, or stamps go to wrong packets.

        Of our own numbers the low 32 bits are the kernel's, the rest counts how often this was done.
        """
        socket_option.stamp(self._socket, transmit=False)
        while self._fill(self._errors, _MSG_ERRQUEUE):
            self._kept.append(self._parse_returns())
        socket_option.stamp(self._socket, transmit=True)
        self._numbered = (self._numbered // _NUMBERS + 1) * _NUMBERS


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
