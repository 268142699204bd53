"""UDP sockets that work on batches: `recvmmsg` and `sendmmsg` on NumPy blocks, with kernel time stamps.

Receive stamps are the kernel's (SO_TIMESTAMPING, software); transmit stamps come back over the error queue,
matched by the running number that the kernel gives each datagram (SOF_TIMESTAMPING_OPT_ID), together with
ICMP errors (IP_RECVERR). Nothing here waits, except once a call and at most a millisecond when the kernel's
send buffer is full. Packets are never fragmented (Don't Fragment is set).
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import select
import socket
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.errors import ConfigError
from probes.sockets import bind_fault, socket_option
from probes.sockets.ancillary import CONTROL_HEADER
from probes.sockets.arrival import Received, Returned, received, returned
from probes.sockets.message import MESSAGE, Inbox, Outgoing, options, row_addresses

BATCH = 256
"""Most datagrams that one call moves."""
DATA_SIZE = 2048
"""Octets kept of a datagram unless a socket asks for more; the rest is cut off."""
CONTROL_SIZE, ERROR_CONTROL_SIZE = 160, 256

_MSG_TRUNC, _MSG_DONTWAIT, _MSG_ERRQUEUE = 0x20, 0x40, 0x2000
_PENDING = {
    errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EPROTO, errno.EINTR,
}  # fmt: skip
"""An ICMP error of an earlier datagram is reported at the next call, once."""
_UNROUTED = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL, errno.EAFNOSUPPORT}
"""A datagram without a way out fails before it gets a number; otherwise one link without a route would cost
all others of its socket their transmit stamps."""
_FULL = {errno.EAGAIN, errno.ENOBUFS}
_FULL_WAIT_MS = 1

_libc = ctypes.CDLL(None, use_errno=True)
_recvmmsg, _sendmmsg = _libc.recvmmsg, _libc.sendmmsg
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)


class BatchSocket:
    """A bound UDP socket. Raises ConfigError when the address cannot be bound.

    transmit_stamps: ask the kernel for the time at which each datagram left. tos: TOS (traffic class) of
    datagrams that do not name their own. data_size: octets kept by `receive`.
    """

    def __init__(
        self,
        address: str,
        port: int,
        *,
        transmit_stamps: bool = False,
        tos: int = 0,
        data_size: int = DATA_SIZE,
    ) -> None:
        self.v6 = ipaddress.ip_address(address).version == 6
        self._sock = socket.socket(socket.AF_INET6 if self.v6 else socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._fd = self._sock.fileno()
        self.unstamped = 0  # datagrams that came without a kernel stamp
        self.renumbered = 0  # how often the numbers of `send` began anew; those of before are void
        self.send_retried = 0  # times that the send buffer was full for a moment
        self.send_failed = 0  # datagrams that the kernel would not take
        self.stamping = transmit_stamps
        socket_option.configure(self._sock, self.v6, transmit_stamps, tos)
        try:
            self._sock.bind((address, port))
        except OSError as err:
            self._sock.close()
            raise ConfigError(bind_fault.sentence(address, port, err)) from None
        self.port = int(self._sock.getsockname()[1])
        self.capacity = socket_option.capacity(self._sock)
        self._data_size = data_size
        self._inbox: Inbox | None = None
        self._errors: Inbox | None = None
        self._tos_control: NDArray[np.uint8] | None = None
        self._numbered = 0

    def fileno(self) -> int:
        return self._fd

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel dropped since the start, mostly because the receive queue was full."""
        return socket_option.drops(self._sock)

    def close(self) -> None:
        self._sock.close()

    def fill(self, inbox: Inbox, *, errors: bool = False) -> int:
        """Append waiting datagrams, or entries of the error queue, to an inbox; returns how many."""
        flags = _MSG_DONTWAIT | (_MSG_ERRQUEUE if errors else _MSG_TRUNC)  # TRUNC: tell the true length
        limit = min(BATCH, inbox.rows - inbox.used)
        count = int(_recvmmsg(self._fd, inbox.next_header(), limit, flags, None)) if limit else 0
        if count < 0 and ctypes.get_errno() in _PENDING:
            count = int(_recvmmsg(self._fd, inbox.next_header(), limit, flags, None))
        if count <= 0:
            return 0
        inbox.used += count
        return count

    def receive(self) -> Received | None:
        """Up to BATCH waiting datagrams, None when there are none; valid until the next call. Never waits."""
        inbox = self._inbox = self._inbox or Inbox(BATCH, self._data_size, CONTROL_SIZE)
        inbox.clear()
        if not (count := self.fill(inbox)):
            return None
        made = received(inbox, 0, count)
        self.unstamped += int((made.stamp_ns == 0).sum())
        return made

    def returned(self) -> Returned | None:
        """Up to BATCH entries of the error queue; None when it is empty; valid until the next call."""
        inbox = self._errors = self._errors or Inbox(BATCH, self._data_size, ERROR_CONTROL_SIZE)
        inbox.clear()
        count = self.fill(inbox, errors=True)
        return returned(inbox, 0, count) if count else None

    def transmit(self, outgoing: Outgoing, first: int, end: int) -> NDArray[np.int64] | None:
        """Send rows first..end of `outgoing`; None when all left, numbered from `next_number` as it was.

        Otherwise (end - first,) int64: the running number of each, -1 where the kernel would not take it;
        numbers have begun anew then where transmit stamps are on.
        """
        count = end - first
        done = _sendmmsg(self._fd, outgoing.header_at(first), count, _MSG_DONTWAIT)
        if done == count:
            self._numbered += count
            return None
        return self._send_rest(outgoing.header_at(first), count, max(int(done), 0))

    def transmit_rows(self, outgoing: Outgoing, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Send some rows of `outgoing`, at most BATCH; returns running numbers as `send` does."""
        headers = outgoing.headers[rows]
        return self._send_headers(headers)

    @property
    def next_number(self) -> int:
        """Running number of the next datagram."""
        return self._numbered

    def send(
        self,
        packets: NDArray[np.uint8],
        names: NDArray[np.uint8],
        length: NDArray[np.int64] | None = None,
        tos: NDArray[np.uint8] | None = None,
        hop_limit: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.int64]:
        """Send row i of `packets` (n, w) uint8 to raw address row i of `names` (n, NAME_SIZE).

        length (n,): octets of each row to send; all w when left out. tos, hop_limit (n,) uint8: of each, when
        not as the socket has them. Returns (n,) int64: the running number that the kernel gave each datagram,
        -1 where it would not take it (full buffer, no route, too large); the rest is sent.
        """
        count, width = packets.shape
        lengths = np.full(count, width, np.int64) if length is None else length
        outgoing = Outgoing(names, lengths, width, self.v6, tos, hop_limit)
        outgoing.data[:] = packets
        parts = [self._part(outgoing, at, min(at + BATCH, count)) for at in range(0, count, BATCH)]
        return np.concatenate([np.empty(0, np.int64), *parts])

    def _part(self, outgoing: Outgoing, first: int, end: int) -> NDArray[np.int64]:
        number = self._numbered
        odd = self.transmit(outgoing, first, end)
        return np.arange(number, number + end - first) if odd is None else odd

    def reply(
        self, rows: NDArray[np.intp], length: NDArray[np.int64], tos: NDArray[np.uint8]
    ) -> NDArray[np.int64]:
        """Send rows of the last `receive` back to where they came from, straight from its block.

        length, tos: of each. Returns running numbers as `send` does.
        """
        inbox = self._inbox
        if inbox is None or not len(rows):
            return np.empty(0, np.int64)
        with_tos = self._tos_control = (
            self._tos_control if self._tos_control is not None else _control(self.v6)
        )
        with_tos[: len(rows), CONTROL_HEADER.size] = tos
        headers = inbox.outgoing(rows, length)
        headers["control"] = row_addresses(with_tos[: len(rows)])
        headers["controllen"] = with_tos.shape[1]
        return self._send_headers(headers)

    def _send_headers(self, headers: NDArray[Any]) -> NDArray[np.int64]:
        first, count, at = self._numbered, len(headers), int(headers.ctypes.data)
        done = int(_sendmmsg(self._fd, at, count, _MSG_DONTWAIT))
        if done == count:
            self._numbered += count
            return np.arange(first, first + count)
        return self._send_rest(at, count, max(done, 0))

    def _send_rest(self, header_at: int, count: int, done: int) -> NDArray[np.int64]:
        """The kernel took only `done` of the messages at this address: try the others, skip what fails."""
        numbers = np.full(count, -1, np.int64)
        numbers[:done] = np.arange(self._numbered, self._numbered + done)
        self._numbered += done
        at, retried, waited, numbered = done, False, False, False
        while at < count:
            took = int(_sendmmsg(self._fd, header_at + at * MESSAGE.itemsize, count - at, _MSG_DONTWAIT))
            if took > 0:
                numbers[at : at + took] = np.arange(self._numbered, self._numbered + took)
                self._numbered += took
                at, retried = at + took, False
                continue
            fault = ctypes.get_errno()
            if fault in _FULL and not waited:
                waited = True  # once a call: a loop that waits for each packet would stand still
                self.send_retried += 1
                self._until_room()
            elif fault in _PENDING and not retried:
                retried = True
            else:
                at, retried, numbered = at + 1, False, numbered or fault not in _UNROUTED
        self.send_failed += int((numbers < 0).sum())
        if numbered and self.stamping:
            self.number_anew()
        return numbers

    def _until_room(self) -> None:
        poll = select.poll()  # select(2) takes no descriptor above 1023
        poll.register(self._fd, select.POLLOUT)
        poll.poll(_FULL_WAIT_MS)

    def number_anew(self) -> None:
        """Begin at 0: the kernel may have numbered what it did not send, and stamps went to wrong packets.

        Stamps that are under way are given up.
        """
        socket_option.stamp(self._sock, transmit=False)
        while self.returned() is not None:
            pass
        socket_option.stamp(self._sock, transmit=True)
        self._numbered = 0
        self.renumbered += 1


def _control(v6: bool) -> NDArray[np.uint8]:
    made = options(v6, np.zeros(BATCH, np.uint8), None, BATCH)
    assert made is not None
    return made
