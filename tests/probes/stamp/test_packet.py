"""Packet layouts and formulas against the vectors of RFC 8762, RFC 4656, RFC 5905 and scapy's layouts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.stamp import (
    STAMPSessionReflectorTestUnauthenticated,
    STAMPSessionSenderTestUnauthenticated,
)

from probes.stamp import packet

T1 = 0xE875470080000000  # 2023-08-05 10:05:20.5 UTC
T1_UNIX_NS = (0xE8754700 - 2_208_988_800) * 10**9 + 500_000_000


def test_request_layout() -> None:
    made = packet.requests(np.array([1]), np.array([7], np.uint16), 0x8001)
    made["t1"] = T1
    assert packet.octets(made)[0].tobytes() == bytes.fromhex("00000001e87547008000000080010007") + bytes(28)


def test_request_is_what_scapy_reads() -> None:
    made = packet.requests(np.array([2**32 + 5]), np.array([0x1234], np.uint16), 0x8587)
    made["t1"] = T1
    read = STAMPSessionSenderTestUnauthenticated(packet.octets(made)[0].tobytes())
    assert (read.seq, read.ssid) == (5, 0x1234)
    assert bytes(read.err_estimate) == bytes.fromhex("8587")


def test_reply_layout_and_scapy() -> None:
    asked = packet.requests(np.array([9]), np.array([7], np.uint16), 0x8001)
    asked["t1"] = T1
    block = packet.octets(asked)
    packet.turn(
        block,
        slice(None),
        packet.SIZE,
        np.array([3]),
        packet.ntp(np.array([T1_UNIX_NS])),
        np.array([250], np.uint8),
        0x8AD2,
    )
    packet.reflector_columns(block)["t3"] = T1 + 1
    wire = block[0].tobytes()
    assert wire == bytes.fromhex(
        "00000003e8754700800000018ad20007e87547008000000000000009e87547008000000080010000fa000000"
    )
    read = STAMPSessionReflectorTestUnauthenticated(wire)
    assert (read.seq, read.seq_sender, read.ttl_sender, read.ssid) == (3, 9, 250, 7)


def test_authenticated_request_layout() -> None:
    made = packet.requests(np.array([1]), np.array([7], np.uint16), 0x8001, packet.AUTHENTICATED_SIZE)
    made["t1"] = T1
    wanted = "00000001" + "00" * 12 + "e87547008000000080010007" + "00" * 84
    assert packet.octets(made)[0].tobytes() == bytes.fromhex(wanted)


@pytest.mark.parametrize("width", [112, 200])
def test_columns_are_a_view_of_wider_rows(width: int) -> None:
    block = np.zeros((3, width), np.uint8)
    packet.sender_columns(block, 112)["ssid"] = [1, 2, 3]
    packet.reflector_columns(block)["ttl"][1:] = 9
    assert block[:, 27].tolist() == [1, 2, 3]
    assert block[:, 40].tolist() == [0, 9, 9]


@given(st.integers(0, 2**62 // 10**9 * 10**9), st.integers(0, 60))
def test_ptp_round_trip_is_exact(unix_ns: int, tai_offset_s: int) -> None:
    unix_ns %= (2**32 - 61) * 10**9
    stamp = packet.ptp(np.array([unix_ns]), tai_offset_s)
    assert packet.unix_ns(stamp, np.array([0xC001], np.uint16), tai_offset_s).tolist() == [unix_ns]


def test_reflector_columns_reads_what_replies_wrote() -> None:
    block = np.zeros((2, 60), np.uint8)
    block[:, 3] = [1, 2]
    block[:, 40] = [254, 255]
    read = packet.reflector_columns(block)
    assert read["seq"].tolist() == [1, 2]
    assert read["ttl"].tolist() == [254, 255]


@given(st.integers(0, 2**62))
def test_ntp_round_trip_is_exact_to_a_nanosecond(unix_ns: int) -> None:
    # the era of a stamp is found by its pivot: 1968 to 2104
    unix_ns %= (2**32 + 2**31 - 2_208_988_800) * 10**9
    stamp = packet.ntp(np.array([unix_ns]))
    back = packet.unix_ns(stamp, np.array([0x8001], np.uint16))
    assert abs(int(back[0]) - unix_ns) <= 1


@given(st.integers(0, 2**62), st.integers(0, 60))
def test_one_stamp_is_as_columns_have_it(unix_ns: int, tai_offset_s: int) -> None:
    column = np.array([unix_ns])
    assert packet.one_stamp(unix_ns) == packet.ntp(column)[0]
    assert packet.one_stamp(unix_ns, tai_offset_s) == packet.ptp(column, tai_offset_s)[0]


def test_era_wraps_in_2036() -> None:
    last = (2**32 - 2_208_988_800) * 10**9 - 1
    stamps = packet.ntp(np.array([last, last + 1]))
    assert int(stamps[0]) >> 32 == 0xFFFFFFFF
    assert int(stamps[1]) == 0
    assert packet.unix_ns(stamps, np.zeros(2, np.uint16)).tolist()[1] == last + 1


def test_ptp_is_read_by_its_z_bit() -> None:
    stamp = np.array([(100 << 32) | 500_000_000], np.uint64)
    assert packet.unix_ns(stamp, np.array([0xC001], np.uint16), tai_offset_s=37).tolist() == [63_500_000_000]


@pytest.mark.parametrize(
    ("error_ns", "field"), [(1_000, 0x8587), (50_000, 0x8AD2), (1_000_000, 0x8F84), (16 * 10**9, 0x9D80)]
)
def test_error_estimate_vectors(error_ns: int, field: int) -> None:
    assert packet.error_estimate(error_ns, synchronised=True) == field
    told = packet.error_ns(np.array([field], np.uint16))[0]
    assert error_ns <= told <= error_ns * 1.02


def test_error_estimate_is_never_zero_and_says_when_unsynchronised() -> None:
    assert packet.error_estimate(0, synchronised=False) == 0x0001
    assert np.isnan(packet.error_ns(np.array([0x0001, 0x8100], np.uint16))).all()
    assert packet.is_corrupt(np.array([0x8100, 0x8001], np.uint16)).tolist() == [True, False]
