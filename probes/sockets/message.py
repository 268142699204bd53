"""The kernel's structures for batches of datagrams (struct mmsghdr and what it points to), as NumPy blocks.

An `Inbox` has rows that recvmmsg fills one after another, an `Outgoing` rows that sendmmsg takes. Headers,
vectors, addresses, control and data are tied together once, so a call moves only pointers. The layout is that
of 64-bit Linux (LP64: x86_64 and aarch64 alike), checked when this file is imported.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.sockets.ancillary import CONTROL_HEADER
from probes.sockets.raw_name import NAME_SIZE

MESSAGE = np.dtype(
    {
        "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
"""struct mmsghdr."""
VECTOR = np.dtype([("base", "u8"), ("length", "u8")])
"""struct iovec."""
_IPV4_NAME = 16
_OPTION_SPACE = 24
"""A control message that carries one int, padded."""


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Msghdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Mmsghdr(ctypes.Structure):
    _fields_ = (("header", _Msghdr), ("length", ctypes.c_uint32))


def _check_layout() -> None:
    """The blocks must be what this machine's C compiler would lay out."""
    for name in ("name", "namelen", "iov", "iovlen", "control", "controllen", "flags"):
        if getattr(_Msghdr, name).offset != MESSAGE.fields[name][1]:  # type: ignore[index]
            raise ImportError(f"struct msghdr: {name} stands elsewhere here; 64-bit Linux is needed")
    sizes = (ctypes.sizeof(_Mmsghdr), _Mmsghdr.length.offset, ctypes.sizeof(_Iovec), struct.calcsize("P"))
    if sizes != (MESSAGE.itemsize, 56, VECTOR.itemsize, 8):
        raise ImportError("struct mmsghdr has another size here; 64-bit Linux is needed")


_check_layout()


class Inbox:
    """`rows` rows that are filled from the first on. data (rows, data_size), names (rows, NAME_SIZE) uint8.

    used: rows filled. What is not data of a row is left over from an earlier datagram.
    """

    def __init__(self, rows: int, data_size: int, control_size: int) -> None:
        self.rows, self.used, self._lent = rows, 0, False
        self.headers = np.zeros(rows, MESSAGE)
        self.data = np.zeros((rows, data_size), np.uint8)
        self.names = np.zeros((rows, NAME_SIZE), np.uint8)
        self.control = np.zeros((rows, control_size), np.uint8)
        self._vectors = np.zeros(rows, VECTOR)
        self._vectors["length"] = data_size
        _tie(self.headers, self._vectors, self.data, self.names)
        self.headers["control"] = row_addresses(self.control)
        self._make_ready(rows)
        self._at = int(self.headers.ctypes.data)

    def next_header(self) -> int:
        """Memory address of the first free row's header."""
        return self._at + self.used * MESSAGE.itemsize

    def clear(self) -> None:
        """Make the rows in use free again: the kernel overwrote their lengths, and so did `outgoing`."""
        self._make_ready(self.used)
        if self._lent:
            self._vectors["length"] = self.data.shape[1]
            self._lent = False
        self.used = 0

    def outgoing(self, rows: NDArray[np.intp], length: NDArray[np.int64]) -> NDArray[Any]:
        """Headers that send these rows back to their senders, `length` octets of each; to be sent at once."""
        self._vectors["length"][rows] = length
        self._lent = True
        return self.headers[rows]

    def _make_ready(self, rows: int) -> None:
        head = self.headers[:rows]
        head["namelen"] = NAME_SIZE
        head["controllen"] = self.control.shape[1]
        self.names[:rows, _IPV4_NAME:] = 0  # an IPv4 address leaves what an IPv6 one had written there


class Outgoing:
    """n datagrams that are sent again and again with other data.

    names (n, NAME_SIZE) uint8 raw addresses; length (n,) octets of each. data (n, width) uint8 is written by
    the owner. tos, hop_limit (n,) uint8: set on each datagram; None = as the socket has it.
    """

    def __init__(
        self,
        names: NDArray[np.uint8],
        length: NDArray[np.int64],
        width: int,
        v6: bool,
        tos: NDArray[np.uint8] | None = None,
        hop_limit: NDArray[np.uint8] | None = None,
    ) -> None:
        count = len(names)
        self.data = np.zeros((count, width), np.uint8)
        self.headers = np.zeros(count, MESSAGE)
        self._names = np.ascontiguousarray(names)
        self._vectors = np.zeros(count, VECTOR)
        self._vectors["length"] = length
        _tie(self.headers, self._vectors, self.data, self._names)
        self.headers["namelen"] = 28 if v6 else 16
        self._control = options(v6, tos, hop_limit, count)
        if self._control is not None:
            self.headers["control"] = row_addresses(self._control)
            self.headers["controllen"] = self._control.shape[1]
        self._at = int(self.headers.ctypes.data)

    def __len__(self) -> int:
        return len(self.headers)

    def header_at(self, row: int) -> int:
        """Memory address of a row's header."""
        return self._at + row * MESSAGE.itemsize


def options(
    v6: bool, tos: NDArray[np.uint8] | None, hop_limit: NDArray[np.uint8] | None, count: int
) -> NDArray[np.uint8] | None:
    """Control messages that set TOS (traffic class) and TTL (hop limit) of each of `count` datagrams."""
    wanted = [
        (41 if v6 else 0, kind, values)
        for kind, values in ((67 if v6 else 1, tos), (52 if v6 else 2, hop_limit))
        if values is not None
    ]
    if not wanted:
        return None
    control = np.zeros((count, _OPTION_SPACE * len(wanted)), np.uint8)
    for at, (level, kind, values) in enumerate(wanted):
        start = at * _OPTION_SPACE
        head = CONTROL_HEADER.pack(CONTROL_HEADER.size + 4, level, kind)
        control[:, start : start + CONTROL_HEADER.size] = np.frombuffer(head, np.uint8)
        number = control[:, start + CONTROL_HEADER.size : start + CONTROL_HEADER.size + 4]
        number[:] = values.astype("=i4").reshape(-1, 1).view(np.uint8)
    return control


def _tie(
    headers: NDArray[Any], vectors: NDArray[Any], data: NDArray[np.uint8], names: NDArray[np.uint8]
) -> None:
    vectors["base"] = row_addresses(data)
    headers["iov"] = row_addresses(vectors)
    headers["iovlen"] = 1
    headers["name"] = row_addresses(names)


def row_addresses(block: NDArray[Any]) -> NDArray[np.uint64]:
    """Memory address of each row."""
    return np.uint64(block.ctypes.data) + np.arange(len(block), dtype=np.uint64) * np.uint64(block.strides[0])
