"""TCP connect rounds: one handshake to each target, and what became of it.

The round trip is the kernel's own measure of the handshake (TCP_INFO tcpi_rtt, tcp(7)), from SYN to SYN-ACK
by its own clock, so nothing of this process is in it. Where there is none, and for a reset, it is the time
until this process saw connect end, which is tens of microseconds more. The fate is that of the first SYN:
when the kernel had to send it again, one packet of the handshake was lost, and the sample is a loss even
though the connection came up later. Connections are closed with a reset, so that no TIME_WAIT is left behind.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Sequence

from linkgauge.clock import NS_PER_S, Clock, SystemClock
from linkgauge.plan import PlanLink
from probes.connect import connection
from probes.echo import EchoRound, Fate

_POLL_EVERY = 16


class TcpProber:
    """Connects to `port` of each target."""

    discarded = 0
    """The kernel knows to which connection belongs what comes."""

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
        sock = connection.prepare(link)
        if isinstance(sock, Fate):
            self._out.fate[row] = sock
            return
        now = self._clock.now()
        self._out.sent_wall_ns[row], self._sent_mono_ns[row] = now.wall_ns, now.mono_ns
        if sock.connect_ex((link.peer, self._port)) not in connection.BEGUN:
            sock.close()
            return
        self._out.fate[row] = Fate.LOST
        self._open[row] = sock
        selector.register(sock, selectors.EVENT_WRITE, row)

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
        fate, by_tcp = connection.outcome(sock)
        rtt_ns, again = connection.handshake(sock)
        if again:
            return  # stays lost
        if not by_tcp:
            self._out.fate[row] = fate
            return
        exact = fate is Fate.REPLIED and 0 < rtt_ns <= took_ns
        self._out.answered(row, fate, rtt_ns if exact else took_ns, self._timeout_ns)
