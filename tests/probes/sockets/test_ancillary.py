"""Control messages: layouts mixed in one batch, unknown ones skipped, broken ones survived."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probes.sockets import ancillary
from probes.sockets.raw_name import address_of, raw_name

STAMP = struct.pack("=QII6q", 64, 1, 37, 1_700_000_000, 123, 0, 0, 0, 0)
TTL = struct.pack("=QIIi4x", 20, 0, 2, 61)
TOS = struct.pack("=QIIB7x", 17, 0, 1, 0xB8)
OVERFLOW = struct.pack("=QIII4x", 20, 1, 40, 17)
OTHER = struct.pack("=QIIQ", 24, 1, 99, 5)
REPORT = struct.pack("=QIIIBBBBII16x", 48, 0, 11, 42, 4, 0, 0, 0, 0, 77)


def parse(*rows: bytes, errors: bool = False) -> ancillary.Controls:
    control = np.zeros((len(rows), 256), np.uint8)
    for at, row in enumerate(rows):
        control[at, : len(row)] = np.frombuffer(row, np.uint8)
    return ancillary.parse(control, np.array([len(row) for row in rows], np.uint64), errors)


def test_rows_of_different_layouts() -> None:
    columns = parse(STAMP + TTL + TOS, TTL + STAMP, b"", OTHER + STAMP + OVERFLOW, STAMP + TTL + TOS)
    stamp = 1_700_000_000 * 10**9 + 123
    assert columns.stamp_ns.tolist() == [stamp, stamp, 0, stamp, stamp]
    assert columns.ttl.tolist() == [61, 61, 255, 255, 61]
    assert columns.tos.tolist() == [0xB8, 0, 0, 0, 0xB8]
    assert columns.dropped == 17


def test_transmit_report() -> None:
    columns = parse(STAMP + REPORT, errors=True)
    assert columns.origin.tolist() == [ancillary.ORIGIN_TIMESTAMPING]
    assert columns.number.tolist() == [77]


@given(st.lists(st.binary(max_size=120), max_size=5))
def test_any_octets_are_survived(rows: list[bytes]) -> None:
    for errors in (False, True):
        assert len(parse(*rows, errors=errors).stamp_ns) == len(rows)


def row(level: int, kind: int, data: bytes) -> bytes:
    """One control message, padded."""
    made = struct.pack("=QII", 16 + len(data), level, kind) + data
    return made.ljust(-(-len(made) // 8) * 8, b"\0")


def error(origin: int, kind: int, code: int, info: int, data: int, offender: bytes) -> bytes:
    """struct sock_extended_err and the offender's sockaddr."""
    return struct.pack("=IBBBBII", 113, origin, kind, code, 0, info, data) + offender


def test_ipv6_tells_the_same() -> None:
    columns = parse(row(41, 52, struct.pack("=i", 61)) + row(41, 67, struct.pack("=i", 0xB8)))
    assert (columns.ttl.tolist(), columns.tos.tolist()) == ([61], [0xB8])


def test_icmp_errors_of_both_families() -> None:
    v4, v6 = raw_name("10.1.2.3", 0), raw_name("fd00::7", 0)
    columns = parse(
        row(0, 11, error(2, 3, 4, 1400, 0, v4[:16].tobytes())),
        STAMP + row(41, 25, error(3, 3, 0, 0, 0, v6[:28].tobytes())),
        errors=True,
    )
    assert columns.reason.tolist() == [3 << 8 | 4, 3 << 8]
    assert columns.origin.tolist() == [ancillary.ORIGIN_ICMP, ancillary.ORIGIN_ICMP6]
    assert columns.info.tolist() == [1400, 0]
    assert columns.stamp_ns.tolist() == [0, 1_700_000_000 * 10**9 + 123]
    assert [address_of(name) for name in columns.offender] == ["10.1.2.3", "fd00::7"]


@pytest.mark.parametrize(
    ("data", "at"), [(0, -1), (128, 128), (128 | 1 << 16, -1), (128 | 2 << 16, 128), (0xFFFF, 0xFFFF)]
)
def test_where_extensions_of_icmp_errors_begin(data: int, at: int) -> None:
    """struct sock_ee_data_rfc4884: length u16, flags u8 (1 = invalid), reserved."""
    columns = parse(row(0, 11, error(2, 11, 0, 0, data, bytes(16))), errors=True)
    assert columns.extension_at.tolist() == [at]


def test_errors_are_not_looked_for_where_there_are_none() -> None:
    columns = parse(STAMP + REPORT)
    assert columns.origin.shape == columns.number.shape == (0,)
    assert columns.offender.shape == (0, 32)


@given(st.lists(st.sampled_from([STAMP, TTL, TOS, OTHER, OVERFLOW, REPORT]), max_size=3), st.integers(0, 40))
@example([STAMP, STAMP], 40)
def test_a_message_that_was_cut_off_ends_the_row(parts: list[bytes], cut: int) -> None:
    whole = b"".join(parts)
    columns = parse(whole[: max(0, len(whole) - cut)], STAMP + TTL)
    assert columns.stamp_ns[1] == 1_700_000_000 * 10**9 + 123
    assert columns.ttl[1] == 61
