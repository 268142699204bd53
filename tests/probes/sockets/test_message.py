"""The kernel's structures as blocks: layouts, what is tied to what, and options of single datagrams."""

from __future__ import annotations

import ctypes
import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from probes.sockets import ancillary, message
from probes.sockets.arrival import received, returned
from probes.sockets.message import MESSAGE, VECTOR, Inbox, Outgoing, options
from probes.sockets.raw_name import NAME_SIZE, raw_name

STAMP = struct.pack("=QIIqq", 32, 1, 37, 1_700_000_000, 123)
TTL = struct.pack("=QIIi4x", 20, 0, 2, 61)


def words(address: int, count: int) -> list[int]:
    """Eight octets each from memory, as numbers."""
    return list((ctypes.c_uint64 * count).from_address(address))


def octets(address: int, count: int) -> bytes:
    return ctypes.string_at(address, count)


def test_a_layout_of_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    message._check_layout()
    assert MESSAGE.names is not None
    moved = np.dtype([(name, "u4") for name in MESSAGE.names])
    monkeypatch.setattr(message, "MESSAGE", moved)
    with pytest.raises(ImportError, match="64-bit Linux is needed"):
        message._check_layout()


@pytest.mark.parametrize("v6", [False, True])
def test_headers_of_outgoing_datagrams_point_to_their_rows(v6: bool) -> None:
    names = np.stack([raw_name("fd00::1" if v6 else "10.0.0.1", port) for port in (7, 8, 9)])
    outgoing = Outgoing(names, np.array([4, 2, 0]), 6, v6)
    outgoing.data[:] = np.arange(18, dtype=np.uint8).reshape(3, 6)
    assert len(outgoing) == 3
    for row, length in enumerate([4, 2, 0]):
        name, namelen, vectors, count, control, controllen, _, _ = words(outgoing.header_at(row), 8)
        assert octets(name, NAME_SIZE) == names[row].tobytes()
        assert (namelen & 0xFFFF_FFFF, count, control, controllen) == (28 if v6 else 16, 1, 0, 0)
        base, size = words(vectors, 2)
        assert size == length
        assert octets(base, 6) == bytes(range(6 * row, 6 * row + 6))


@pytest.mark.parametrize(("v6", "level", "tos", "limit"), [(False, 0, 1, 2), (True, 41, 67, 52)])
def test_options_of_single_datagrams(v6: bool, level: int, tos: int, limit: int) -> None:
    a, b = np.array([0xB8, 2], np.uint8), np.array([1, 255], np.uint8)
    assert options(v6, None, None, 2) is None
    both = options(v6, a, b, 2)
    assert both is not None
    for row in range(2):
        expected = [(tos, int(a[row])), (limit, int(b[row]))]
        told = [struct.unpack_from("=QIIi", both[row].tobytes(), at) for at in (0, 24)]
        assert told == [(20, level, kind, value) for kind, value in expected]
    alone = options(v6, None, b, 2)
    assert alone is not None
    assert alone.shape == (2, 24)
    assert struct.unpack_from("=QIIi", alone[1].tobytes()) == (20, level, limit, 255)


def put(inbox: Inbox, row: int, data: bytes, control: bytes, name: NDArray[np.uint8]) -> None:
    """What the kernel does."""
    inbox.data[row, : len(data)] = np.frombuffer(data, np.uint8)
    inbox.control[row, : len(control)] = np.frombuffer(control, np.uint8)
    inbox.names[row] = name
    inbox.headers["controllen"][row], inbox.headers["length"][row] = len(control), len(data)
    inbox.headers["namelen"][row] = 16


def test_an_inbox_is_filled_read_in_parts_and_made_ready_again() -> None:
    inbox = Inbox(4, 64, 160)
    at = inbox.next_header()
    for row in range(3):
        put(inbox, row, bytes([row] * (10 + row)), STAMP + TTL, raw_name("10.0.0.1", row))
    inbox.used = 3
    assert inbox.next_header() == at + 3 * MESSAGE.itemsize
    got = received(inbox, 1, 3)
    assert got.length.tolist() == [11, 12]
    assert got.data[:, 0].tolist() == [1, 2]
    assert got.name[:, 3].tolist() == [1, 2]
    assert got.stamp_ns.tolist() == [1_700_000_000 * 10**9 + 123] * 2
    assert got.ttl.tolist() == [61, 61]
    inbox.clear()
    assert inbox.next_header() == at
    assert set(inbox.headers["controllen"].tolist()) == {160}
    assert set(inbox.headers["namelen"].tolist()) == {NAME_SIZE}


def test_rows_lent_to_a_reply_get_their_room_back() -> None:
    inbox = Inbox(3, 64, 160)
    inbox.used = 2
    headers = inbox.outgoing(np.array([1]), np.array([44]))
    base, size = words(int(headers["iov"][0]), 2)
    assert (base, size) == (inbox.data[1].ctypes.data, 44)
    inbox.clear()
    assert words(int(inbox.headers["iov"][1]), 2)[1] == 64
    assert VECTOR.itemsize == 16


def report_of(origin: int, kind: int, code: int, info: int, data: int, offender: bytes = bytes(16)) -> bytes:
    """Control data of an entry of the error queue (struct sock_extended_err and the offender)."""
    body = struct.pack("=IBBBBII", 111, origin, kind, code, 0, info, data) + offender
    return STAMP + struct.pack("=QII", 16 + len(body), 0, ancillary.IP_RECVERR) + body


def test_an_error_queue_is_told_apart_into_stamps_and_icmp_errors() -> None:
    inbox = Inbox(8, 64, 256)
    offender = raw_name("10.9.9.9", 0)[:16].tobytes()
    entries = [
        report_of(ancillary.ORIGIN_TIMESTAMPING, 0, 0, 0, 77),
        report_of(ancillary.ORIGIN_ICMP, 3, 4, 1400, 0, offender),
        report_of(1, 0, 0, 0, 5),  # a fault of this host's own, for instance EMSGSIZE
        report_of(ancillary.ORIGIN_ICMP, 11, 0, 0, 128, offender),
        report_of(ancillary.ORIGIN_TIMESTAMPING, 0, 0, 0, 78),
    ]
    for row, control in enumerate(entries):
        put(inbox, row, bytes([row] * 8), control, raw_name("10.0.0.1", 862))
    made = returned(inbox, 0, len(entries))
    assert made.number.tolist() == [77, 78]
    assert made.errors.reason.tolist() == [3 << 8 | 4, 11 << 8]
    assert made.errors.info.tolist() == [1400, 0]
    assert made.errors.data[:, 0].tolist() == [1, 3]
    assert made.errors.extension_at.tolist() == [-1, 128]
    assert [name[4:8].tolist() for name in made.errors.offender] == [[10, 9, 9, 9]] * 2
    assert (made.errors.stamp_ns > 0).all()
    kept = made.errors.take(np.array([False, True]))
    assert kept.reason.tolist() == [11 << 8]


def test_taking_rows_copies_them() -> None:
    inbox = Inbox(2, 64, 160)
    put(inbox, 0, b"a", STAMP, raw_name("10.0.0.1", 1))
    put(inbox, 1, b"b", STAMP, raw_name("10.0.0.1", 2))
    got = received(inbox, 0, 2).take(np.array([1]))
    inbox.data[:] = 0
    assert got.data[0, 0] == ord("b")
    assert len(got.ttl) == len(got.tos) == len(got.stamp_ns) == 1
