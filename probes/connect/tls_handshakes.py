"""One TLS handshake with each of many targets at once: how long it took, and which certificate was shown.

The time is that from the ClientHello to the arrival of what ended the handshake here, by the kernel's receive
stamp: the TCP connect before it, this host's arithmetic and its queue are not part of it, the far end's
arithmetic is. A connection on which this host had to send a segment again counts as lost, like a TCP probe.
"""

from __future__ import annotations

import collections
import selectors
import socket
import ssl
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from linkgauge.clock import NS_PER_S, Clock, Instant
from linkgauge.plan import PlanLink
from probes.connect import connection
from probes.echo import EchoRound, Fate
from probes.sockets import ancillary, socket_option

MOST = 16
"""Handshakes under way; those that are connected meanwhile wait for their turn."""
_POLL_EVERY = 16
_READ_SIZE, _CONTROL_SIZE = 1 << 16, 256
_TIMESPEC = struct.Struct("=qq")


@dataclass(slots=True)
class _Shake:
    """A handshake under way. came_wall_ns, came_mono_ns: when the last data had come, and had been read."""

    sock: socket.socket
    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    begun: Instant
    came_wall_ns: int = 0
    came_mono_ns: int = 0

    @classmethod
    def begin(cls, sock: socket.socket, context: ssl.SSLContext, begun: Instant) -> _Shake:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        return cls(sock, context.wrap_bio(incoming, outgoing), incoming, outgoing, begun)

    def read(self, clock: Clock) -> None:
        """Take what came; raises OSError."""
        data, control, _, _ = self.sock.recvmsg(_READ_SIZE, _CONTROL_SIZE)
        now = clock.now()
        self.came_wall_ns, self.came_mono_ns = _stamp_ns(control) or now.wall_ns, now.mono_ns
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    def go_on(self) -> bool:
        """Say whether the handshake has come to its end, and send what is due; raises OSError."""
        try:
            self.tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            done = False
        if due := self.outgoing.read():
            self.sock.send(due)
        return done

    @property
    def took_ns(self) -> int:
        """By the stamp; what the monotonic clock rules out is a step of the wall clock."""
        most_ns = self.came_mono_ns - self.begun.mono_ns
        stamped_ns = self.came_wall_ns - self.begun.wall_ns
        return stamped_ns if 0 < stamped_ns <= most_ns else most_ns


class Handshakes:
    """The state of one go; run it once.

    out: as EchoRound says; sent_wall_ns is that of the ClientHello. der: certificates, b"" where none was
    shown. untrusted: rows whose certificate `context` would not have.
    """

    def __init__(
        self, links: Sequence[PlanLink], port: int, context: ssl.SSLContext, timeout_ns: int, clock: Clock
    ) -> None:
        self._links, self._port, self._context = links, port, context
        self._timeout_ns, self._clock = timeout_ns, clock
        self.out = EchoRound.unsent([link.link for link in links], clock.now().wall_ns)
        self.der = [b""] * len(links)
        self.untrusted: set[int] = set()
        self._selector = selectors.DefaultSelector()
        self._sockets: dict[int, socket.socket] = {}
        # deadlines by row, in order, for all wait equally long
        self._connecting: dict[int, int] = {}
        self._shaking: dict[int, int] = {}
        self._connected: collections.deque[int] = collections.deque()
        self._shakes: dict[int, _Shake] = {}

    def run(self) -> None:
        """Takes at most `timeout_ns` for each connect, and as much for each handshake."""
        with self._selector:
            try:
                for row in range(len(self._links)):
                    self._connect(row)
                    if row % _POLL_EVERY == _POLL_EVERY - 1:
                        self._step(0)
                while self._sockets:
                    self._step(self._left_ns())
            finally:
                for sock in self._sockets.values():
                    sock.close()

    def _connect(self, row: int) -> None:
        sock = connection.prepare(self._links[row])
        if isinstance(sock, Fate):
            self.out.fate[row] = sock
            return
        now = self._clock.now()
        self.out.sent_wall_ns[row] = now.wall_ns
        if sock.connect_ex((self._links[row].peer, self._port)) not in connection.BEGUN:
            sock.close()
            return
        socket_option.stamp(sock, transmit=False)
        self.out.fate[row] = Fate.LOST
        self._sockets[row] = sock
        self._connecting[row] = now.mono_ns + self._timeout_ns
        self._selector.register(sock, selectors.EVENT_WRITE, row)

    def _left_ns(self) -> int:
        deadlines = [next(iter(table.values())) for table in (self._connecting, self._shaking) if table]
        return max(0, min(deadlines) - self._clock.now().mono_ns) if deadlines else 0

    def _step(self, wait_ns: int) -> None:
        events = self._selector.select(wait_ns / NS_PER_S)
        now = self._clock.now()
        for key, _ in events:
            row = int(key.data)
            if row in self._connecting:
                self._end_connect(row)
            elif row in self._shaking:
                self._go_on(row, read=True)
        for table in (self._connecting, self._shaking):
            while table and (first := next(iter(table.items())))[1] <= now.mono_ns:
                self._close(first[0])
        while self._connected and len(self._shaking) < MOST:
            self._begin(self._connected.popleft())

    def _end_connect(self, row: int) -> None:
        fate, _ = connection.outcome(self._sockets[row])
        if fate is not Fate.REPLIED:
            self.out.fate[row] = fate
            self._close(row)
            return
        del self._connecting[row]
        self._selector.unregister(self._sockets[row])
        self._connected.append(row)

    def _begin(self, row: int) -> None:
        now = self._clock.now()
        self.out.sent_wall_ns[row] = now.wall_ns
        self._shaking[row] = now.mono_ns + self._timeout_ns
        self._shakes[row] = _Shake.begin(self._sockets[row], self._context, now)
        self._selector.register(self._sockets[row], selectors.EVENT_READ, row)
        self._go_on(row, read=False)

    def _go_on(self, row: int, *, read: bool) -> None:
        shake = self._shakes[row]
        try:
            if read:
                shake.read(self._clock)
            if not shake.go_on():
                return
        except ssl.SSLCertVerificationError:
            self.untrusted.add(row)
        except OSError as err:
            if err.errno not in connection.UNANSWERED:
                self.out.fate[row] = Fate.NO_TLS
        else:
            self._finished(row, shake)
        self._close(row)

    def _finished(self, row: int, shake: _Shake) -> None:
        self.der[row] = shake.tls.getpeercert(binary_form=True) or b""
        if not connection.handshake(shake.sock)[1]:
            self.out.answered(row, Fate.REPLIED, shake.took_ns, self._timeout_ns)
        # the far end should see a handshake that came to its end: so no reset
        shake.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes(8))

    def _close(self, row: int) -> None:
        sock = self._sockets.pop(row)
        for table in (self._connecting, self._shaking, self._shakes):
            table.pop(row, None)
        self._selector.unregister(sock)
        sock.close()


def _stamp_ns(control: list[tuple[int, int, bytes]]) -> int:
    """The kernel's receive stamp, Unix ns, 0 without one."""
    for level, kind, data in control:
        if (level, kind) == (ancillary.SOL_SOCKET, ancillary.SO_TIMESTAMPING) and len(data) >= _TIMESPEC.size:
            whole_s, rest_ns = _TIMESPEC.unpack_from(data)
            return int(whole_s * NS_PER_S + rest_ns)
    return 0
