"""UDP sockets that work on batches: `recvmmsg` and `sendmmsg` into NumPy columns, with kernel time stamps.

A `BatchSocket` owns preallocated blocks; `receive`
returns views into them that are valid until the next call. Receive stamps are the kernel's
(SO_TIMESTAMPING, software); transmit stamps come back over the error queue, matched by the running number
that the kernel gives each datagram (SOF_TIMESTAMPING_OPT_ID), together with ICMP errors (IP_RECVERR).
Structure layouts are those of 64-bit Linux (LP64), checked when this file is imported.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import socket
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkgauge.errors import ConfigError
from probes import ancillary, bind_fault
from probes.raw_name import NAME_SIZE

BATCH = 256
"""Most datagrams that one call moves."""
DATA_SIZE = 2048
"""Octets kept of a datagram unless a socket asks for more; the rest is cut off."""
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024

_CONTROL_SIZE = 256
_MSG_TRUNC, _MSG_DONTWAIT, _MSG_ERRQUEUE = 0x20, 0x40, 0x2000
_SO_RCVBUFFORCE = 33
_RX_SOFTWARE = 0x18  # RX_SOFTWARE | SOFTWARE
_TX_RX_SOFTWARE_BY_ID = 0x89A  # TX_SOFTWARE | RX_SOFTWARE | SOFTWARE | OPT_ID | OPT_TSONLY
_IP_RECVTTL, _IP_RECVTOS = 12, 13
_IPV6_UNICAST_HOPS, _IPV6_RECVHOPLIMIT, _IPV6_RECVTCLASS = 16, 51, 66
_NO_PORT = (3 << 8 | 3, 1 << 8 | 4)  # ICMP and ICMPv6: the host is there, nobody listens
_RETRY = {
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.EPROTO,
    errno.EINTR,
}

_MMSG = np.dtype(
    {
        "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
_IOV = np.dtype([("base", "u8"), ("length", "u8")])
assert struct.calcsize("P") == 8 and struct.calcsize("l") == 8, "64-bit Linux is needed"  # noqa: PT018

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Received:
    """n datagrams; every column has n rows and is valid until the next call on the socket.

    data (n, data_size) uint8; length (n,) int64 octets as sent, above data_size when cut off;
    name (n, NAME_SIZE) uint8 raw source addresses;
    stamp_ns (n,) int64 kernel receive stamp, Unix ns, 0 = the kernel gave none;
    ttl (n,) uint8, 255 = unknown; tos (n,) uint8.
    """

    data: NDArray[np.uint8]
    length: NDArray[np.int64]
    name: NDArray[np.uint8]
    stamp_ns: NDArray[np.int64]
    ttl: NDArray[np.uint8]
    tos: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Returned:
    """What the error queue held.

    number (m,) int64 and stamp_ns (m,) int64: transmit stamps of the datagrams of those running numbers;
    refused (k, data_size) uint8: first octets of our own datagrams that "port unreachable" errors quoted,
    their length in refused_length (k,) int64. A packet with another ICMP error is just lost.
    """

    number: NDArray[np.int64]
    stamp_ns: NDArray[np.int64]
    refused: NDArray[np.uint8]
    refused_length: NDArray[np.int64]


class BatchSocket:
    """A bound UDP socket. Raises ConfigError when the address cannot be bound.

    transmit_stamps: ask the kernel for the time at which each datagram left (costs about a fifth more).
    """

    def __init__(
        self,
        address: str,
        port: int,
        *,
        transmit_stamps: bool = False,
        dscp: int = 0,
        data_size: int = DATA_SIZE,
    ) -> None:
        self.v6 = ipaddress.ip_address(address).version == 6
        self._sock = socket.socket(socket.AF_INET6 if self.v6 else socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self.dropped = 0  # by the kernel because the receive queue was full, as of the last receive
        self.unstamped = 0  # datagrams that came without a kernel stamp
        self.renumbered = 0  # how often the numbers of `send` began anew; those of before are void
        self._stamping = transmit_stamps
        self._configure(transmit_stamps, dscp)
        self._bind(address, port)
        self._in = _Blocks(BATCH, data_size)
        self._out = _Blocks(BATCH, data_size)
        self._sent = 0

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def port(self) -> int:
        """The bound port."""
        return int(self._sock.getsockname()[1])

    def close(self) -> None:
        self._sock.close()

    def receive(self) -> Received | None:
        """Take up to BATCH waiting datagrams; None when there are none. Never blocks."""
        count = self._receive(_MSG_DONTWAIT | _MSG_TRUNC)  # TRUNC: tell the true length
        if not count:
            return None
        columns = ancillary.parse(self._in.control[:count], self._in.headers[:count]["controllen"])
        self.dropped = max(self.dropped, columns.dropped)
        self.unstamped += int((columns.stamp_ns == 0).sum())
        head = self._in.headers[:count]
        return Received(
            self._in.data[:count],
            head["length"].astype(np.int64),
            self._in.names[:count],
            columns.stamp_ns,
            columns.ttl,
            columns.tos,
        )

    def returned(self) -> Returned | None:
        """Take up to BATCH entries of the error queue; None when it is empty. Never blocks."""
        count = self._receive(_MSG_DONTWAIT | _MSG_ERRQUEUE)
        if not count:
            return None
        columns = ancillary.parse(self._in.control[:count], self._in.headers[:count]["controllen"])
        stamped = columns.origin == ancillary.ORIGIN_TIMESTAMPING
        lengths = self._in.headers[:count]["length"].astype(np.int64)
        no_port = ~stamped & (lengths > 0) & np.isin(columns.reason, _NO_PORT)
        return Returned(
            columns.number[stamped],
            columns.stamp_ns[stamped],
            self._in.data[:count][no_port],
            lengths[no_port],
        )

    def send(
        self, packets: NDArray[np.uint8], names: NDArray[np.uint8], length: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Send row i of `packets` (n, w) uint8 to raw address row i of `names` (n, NAME_SIZE).

        length (n,): octets of each row to send; all w when left out. Returns (n,) int64: the running
        number that the kernel gave each datagram, -1 where it would not take it (full
        buffer, no route); such a row is skipped, the rest is sent.
        """
        numbers = np.full(len(packets), -1, np.int64)
        for first in range(0, len(packets), BATCH):
            part = slice(first, min(first + BATCH, len(packets)))
            self._out.load(packets[part], names[part], 28 if self.v6 else 16)
            if length is not None:
                self._out.shorten(length[part])
            self._send_loaded(numbers[part])
        if self._stamping and (numbers < 0).any():
            self._number_anew()
        return numbers

    def _number_anew(self) -> None:
        """The kernel may have numbered what it did not send: begin at 0, or stamps go to wrong packets."""
        self._sock.setsockopt(socket.SOL_SOCKET, ancillary.SO_TIMESTAMPING, _RX_SOFTWARE)
        while self.returned() is not None:
            pass
        self._sock.setsockopt(socket.SOL_SOCKET, ancillary.SO_TIMESTAMPING, _TX_RX_SOFTWARE_BY_ID)
        self._sent = 0
        self.renumbered += 1

    def _send_loaded(self, numbers: NDArray[np.int64]) -> None:
        count, at, retried = len(numbers), 0, False
        while at < count:
            done = _libc.sendmmsg(
                self.fileno(), ctypes.c_void_p(self._out.header_at(at)), count - at, _MSG_DONTWAIT
            )
            if done > 0:
                numbers[at : at + done] = np.arange(self._sent, self._sent + done)
                self._sent += done
                at, retried = at + done, False
            elif ctypes.get_errno() in _RETRY and not retried:
                retried = True  # an ICMP error of an earlier datagram is reported at the next call, once
            else:
                at, retried = at + 1, False

    def _receive(self, flags: int) -> int:
        self._in.reset()
        count = _libc.recvmmsg(self.fileno(), ctypes.c_void_p(self._in.header_at(0)), BATCH, flags, None)
        return max(int(count), 0)

    def _configure(self, transmit_stamps: bool, dscp: int) -> None:
        sock = self._sock
        for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):  # the first needs CAP_NET_ADMIN
            try:
                sock.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BUFFER_BYTES)
                break
            except PermissionError:
                continue
        sock.setsockopt(socket.SOL_SOCKET, ancillary.SO_RXQ_OVFL, 1)
        stamping = _TX_RX_SOFTWARE_BY_ID if transmit_stamps else _RX_SOFTWARE
        sock.setsockopt(socket.SOL_SOCKET, ancillary.SO_TIMESTAMPING, stamping)
        if self.v6:
            options = (
                (_IPV6_RECVHOPLIMIT, 1),
                (_IPV6_RECVTCLASS, 1),
                (_IPV6_UNICAST_HOPS, 255),
                (ancillary.IPV6_TCLASS, dscp << 2),
            )
            level = socket.IPPROTO_IPV6
        else:
            options = (
                (_IP_RECVTTL, 1),
                (_IP_RECVTOS, 1),
                (ancillary.IP_TTL, 255),
                (ancillary.IP_TOS, dscp << 2),
            )
            level = socket.IPPROTO_IP
        for option, value in options:
            sock.setsockopt(level, option, value)
        if transmit_stamps:
            sock.setsockopt(level, ancillary.IPV6_RECVERR if self.v6 else ancillary.IP_RECVERR, 1)

    def _bind(self, address: str, port: int) -> None:
        try:
            self._sock.bind((address, port))
        except OSError as err:
            self._sock.close()
            raise ConfigError(bind_fault.sentence(address, port, err)) from None


class _Blocks:
    """Message headers, vectors, names, control and data of one batch, tied together once."""

    def __init__(self, size: int, data_size: int) -> None:
        self._data_size = data_size
        self.headers = np.zeros(size, _MMSG)
        self.data = np.zeros((size, data_size), np.uint8)
        self.names = np.zeros((size, NAME_SIZE), np.uint8)
        self.control = np.zeros((size, _CONTROL_SIZE), np.uint8)
        self._vectors = np.zeros(size, _IOV)
        rows = np.arange(size, dtype=np.uint64)
        self._vectors["base"] = self.data.ctypes.data + rows * np.uint64(data_size)
        self.headers["iov"] = self._vectors.ctypes.data + rows * np.uint64(_IOV.itemsize)
        self.headers["iovlen"] = 1
        self.headers["name"] = self.names.ctypes.data + rows * np.uint64(NAME_SIZE)
        self._control_at = self.control.ctypes.data + rows * np.uint64(_CONTROL_SIZE)

    def header_at(self, row: int) -> int:
        """Memory address of a row's header."""
        return int(self.headers.ctypes.data) + row * _MMSG.itemsize

    def reset(self) -> None:
        """Make ready to receive: the kernel overwrites the lengths."""
        self._vectors["length"] = self._data_size
        self.headers["namelen"] = NAME_SIZE
        self.headers["control"] = self._control_at
        self.headers["controllen"] = _CONTROL_SIZE

    def load(self, packets: NDArray[np.uint8], names: NDArray[np.uint8], name_size: int) -> None:
        """Make ready to send."""
        count, width = packets.shape
        self.data[:count, :width] = packets
        self.names[:count] = names
        self._vectors["length"][:count] = width
        self.headers["namelen"][:count] = name_size
        self.headers["control"][:count] = 0
        self.headers["controllen"][:count] = 0

    def shorten(self, length: NDArray[np.int64]) -> None:
        """Send only the first `length` octets of each row."""
        self._vectors["length"][: len(length)] = length
