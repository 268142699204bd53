"""Control messages: layouts mixed in one batch, unknown ones skipped, broken ones survived."""

from __future__ import annotations

import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from probes import ancillary

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
