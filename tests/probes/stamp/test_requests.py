"""Requests octet by octet, against packets packed one at a time."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from probes.stamp import tlv
from probes.stamp.authentication import verify
from probes.stamp.packet import one_stamp
from probes.stamp.requests import Requests
from probes.stamp.tlv import Layout, layout

ERROR = 0x8123
T1_NS = 1_800_000_000_123_456_789
KEY = b"0123456789abcdef"


def made(
    layouts: list[Layout], train: int = 1, keys: list[bytes | None] | None = None
) -> tuple[NDArray[np.uint8], Requests]:
    block = np.zeros((len(layouts) * train, max(one.size for one in layouts)), np.uint8)
    dscp = [8 * row for row in range(len(layouts))]
    requests = Requests(block, layouts, dscp, keys or [None] * len(layouts), train)
    requests.set_ssid(np.repeat(np.arange(500, 500 + len(layouts), dtype=np.uint16), train))
    requests.set_error(ERROR)
    return block, requests


def plain(seq: int, ssid: int, shape: Layout, dscp: int) -> bytes:
    """Scalar twin: RFC 8762 section 4.2.1 and our TLVs."""
    head = struct.pack("!IQHH28x", seq % 2**32, one_stamp(T1_NS), ERROR, ssid)
    return head + tlv.tail(shape, dscp)


@given(st.integers(0, 2**33), st.lists(st.integers(0, 300), min_size=1, max_size=5), st.booleans())
def test_requests_equal_the_scalar_twin(seq: int, sizes: list[int], tlvs: bool) -> None:
    layouts = [layout(size, tlvs=tlvs, authenticated=False) for size in sizes]
    block, requests = made(layouts)
    requests.write(0, len(layouts), seq, T1_NS)
    for row, shape in enumerate(layouts):
        assert block[row, : shape.size].tobytes() == plain(seq, 500 + row, shape, 8 * row)
        assert not block[row, shape.size :].any()


@given(st.integers(0, 2**33), st.integers(0, 6))
def test_a_train_is_numbered_on(seq: int, exponent: int) -> None:
    train, shape = 1 << exponent, layout(0, tlvs=True, authenticated=False)
    block, requests = made([shape] * 2, train)
    requests.write(0, 2 * train, seq, T1_NS)
    for row in range(2 * train):
        session, place = divmod(row, train)
        assert block[row].tobytes() == plain(seq + place, 500 + session, shape, 8 * session)


def test_only_the_rows_named_are_written() -> None:
    shape = layout(0, tlvs=True, authenticated=False)
    block, requests = made([shape] * 4)
    requests.write(1, 3, 7, T1_NS)
    assert block[:, :4].tolist() == [[0] * 4, [0, 0, 0, 7], [0, 0, 0, 7], [0] * 4]
    requests.write_each(np.array([0, 3]), np.array([9, 2**32 + 1]), T1_NS)
    assert block[0].tobytes() == plain(9, 500, shape, 0)
    assert block[3].tobytes() == plain(1, 503, shape, 24)
    assert block[1].tobytes() == plain(7, 501, shape, 8)


@pytest.mark.parametrize("train", [1, 4])
@pytest.mark.parametrize("size", [0, 300])
def test_authenticated_requests_are_signed_anew_each_time(train: int, size: int) -> None:
    shape = layout(size, tlvs=True, authenticated=True)
    keys = [KEY, b"another", None]
    block, requests = made([shape] * 3, train, list(keys))
    length = np.full(len(block), shape.size)
    for seq in (0, 2**32 - 2):
        requests.write(0, len(block), seq, T1_NS + seq)
        for session, key in enumerate(keys):
            rows = slice(session * train, (session + 1) * train)
            copy = block[rows].copy()
            held = verify(copy, length[rows], shape, key or KEY)
            assert held.tolist() == [key is not None] * train
            assert key is None or (copy == block[rows]).all(), "an HMAC TLV that is wrong gets its I flag"
            assert not verify(block[rows].copy(), length[rows], shape, b"wrong").any()
            numbers = block[rows, :4].copy().view(">u4")[:, 0].tolist()
            assert numbers == [(seq + place) % 2**32 for place in range(train)]
            assert block[rows, 16:24].copy().view(">u8")[:, 0].tolist() == [one_stamp(T1_NS + seq)] * train


def test_single_rows_are_signed_too() -> None:
    shape = layout(0, tlvs=True, authenticated=True)
    block, requests = made([shape] * 2, 1, [KEY, KEY])
    requests.write_each(np.array([1]), np.array([5]), T1_NS)
    assert verify(block.copy(), np.full(2, shape.size), shape, KEY).tolist() == [False, True]


def test_the_error_estimate_stands_in_all_packets_from_now_on() -> None:
    for authenticated, at in ((False, 12), (True, 24)):
        block, requests = made([layout(0, tlvs=True, authenticated=authenticated)] * 2, 2)
        requests.set_error(0x0102)
        assert block[:, at : at + 2].tolist() == [[1, 2]] * 4


def test_no_sessions() -> None:
    requests = Requests(np.zeros((0, 44), np.uint8), [], [], [], 1)
    requests.set_ssid(np.empty(0, np.uint16))
    requests.set_error(1)
