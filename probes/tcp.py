"""TCP connect rounds: one handshake to each target, and what became of it.

The round trip is the kernel's own measure of the handshake (TCP_INFO tcpi_rtt, tcp(7)), from SYN to SYN-ACK
by its own clock, so nothing of this process is in it. Where there is none, and for a reset, it is the time
until this process saw connect end, which is tens of microseconds more. The fate is that of the first SYN:
when the kernel had to send it again, one packet of the handshake was lost, and the sample is a loss even
though the connection came up later. Connections are closed with a reset, so that no TIME_WAIT is left behind.
"""

from __future__ import annotations

import errno
import ipaddress
import selectors
import socket
import struct
from collections.abc import Sequence

from linkgauge.clock import NS_PER_S, NS_PER_US, Clock, SystemClock
from linkgauge.wire import PlanLink
from probes.echo import EchoRound, Fate
from probes.icmp import error_queue
from probes.icmp.packet import REFUSALS

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: close with RST at once."""
_RTT_AT, _RETRANSMITS_AT, _INFO_SIZE = 68, 100, 104
_U32 = struct.Struct("=I")
_POLL_EVERY = 16
_CONNECTED = (0, errno.ECONNRESET, errno.EPIPE)
"""Errors of a socket that was connected: the far end may have closed it already."""
_UNANSWERED = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT)
"""Without an ICMP error of somebody else: the neighbour did not answer, or nobody did."""


class TcpProber:
    """Connects to `port` of each target."""

    def __init__(self, port: int, clock: Clock | None = None) -> None:
        self._port, self._clock = port, clock or SystemClock()

    def round(self, links: Sequence[PlanLink], timeout_ns: int) -> EchoRound:
        """One handshake from link.local to link.peer for each link; at most `timeout_ns` after the last."""
        return _Round(links, self._port, timeout_ns, self._clock).run()

    def close(self) -> None:
        """Nothing stays open between rounds."""


class _Round:
    """The state of one round: a socket per row that is still connecting."""

    def __init__(self, links: Sequence[PlanLink], port: int, timeout_ns: int, clock: Clock) -> None:
        self._links, self._port, self._timeout_ns, self._clock = links, port, timeout_ns, clock
        self._out = EchoRound.unsent([link.link for link in links], clock.now().wall_ns)
        self._sent_mono_ns = [0] * len(links)
        self._open: dict[int, socket.socket] = {}

    def run(self) -> EchoRound:
        with selectors.DefaultSelector() as selector:
            try:
                for row in range(len(self._links)):
                    self._connect(row, selector)
                    if row % _POLL_EVERY == _POLL_EVERY - 1:
                        self._wait(selector, 0)
                self._wait(selector, self._clock.now().mono_ns + self._timeout_ns)
            finally:
                for sock in self._open.values():
                    sock.close()
        return self._out

    def _connect(self, row: int, selector: selectors.BaseSelector) -> None:
        link = self._links[row]
        try:
            version = ipaddress.ip_address(link.peer).version
        except ValueError:
            self._out.fate[row] = Fate.UNRESOLVED
            return
        try:
            sock = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        except OSError:
            return  # no descriptor left: not sent
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            # the port is chosen at connect, so that thousands of targets can share one local port
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            error_queue.enable(sock)
            sock.bind((link.local, 0))
            now = self._clock.now()
            self._out.sent_wall_ns[row], self._sent_mono_ns[row] = now.wall_ns, now.mono_ns
            failure = sock.connect_ex((link.peer, self._port))
        except OSError:
            sock.close()
            return
        if failure in (0, errno.EINPROGRESS, errno.ECONNREFUSED):
            self._out.fate[row] = Fate.LOST
            self._open[row] = sock
            selector.register(sock, selectors.EVENT_WRITE, row)
        else:
            sock.close()

    def _wait(self, selector: selectors.BaseSelector, deadline_mono_ns: int) -> None:
        """Take what has ended until the deadline, or until nothing is missing; with 0 what is there."""
        while self._open:
            left_ns = deadline_mono_ns - self._clock.now().mono_ns
            for key, _ in selector.select(max(0, left_ns) / NS_PER_S):
                row = int(key.data)
                sock = self._open.pop(row)
                selector.unregister(sock)
                self._ended(row, sock)
                sock.close()
            if left_ns <= 0:
                return

    def _ended(self, row: int, sock: socket.socket) -> None:
        took_ns = self._clock.now().mono_ns - self._sent_mono_ns[row]
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        rtt_ns, again = _handshake(sock)
        if again:
            return  # stays lost
        if error in _CONNECTED:
            within = 0 < rtt_ns <= took_ns
            self._out.answered(row, Fate.REPLIED, rtt_ns if within else took_ns, self._timeout_ns)
        elif (told := _told_by_icmp(sock)) is not None:
            self._out.fate[row] = told
        elif error == errno.ECONNREFUSED:
            self._out.answered(row, Fate.REFUSED, took_ns, self._timeout_ns)
        elif error not in _UNANSWERED:
            self._out.fate[row] = Fate.SEND_FAILED


def _handshake(sock: socket.socket) -> tuple[int, bool]:
    """(round trip of the handshake in ns, 0 = unknown; whether the SYN was sent more than once)."""
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
