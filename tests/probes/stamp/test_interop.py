"""STAMP beside an implementation that is not ours: scapy's packet classes, on loopback.

scapy 2.8 knows the two unauthenticated packets and a generic TLV. Its names of TLV flags are bit-reversed, so
flags are numbers here; stamps are compared as octets.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scapy.contrib.stamp import (
    ErrorEstimate,
    STAMPSessionReflectorTestUnauthenticated,
    STAMPSessionSenderTestUnauthenticated,
    STAMPTestTLV,
)
from scapy.fields import RawVal

from linkgauge.clock import SystemClock, read_clock_quality
from probes.stamp import tlv
from probes.stamp.packet import octets, one_stamp, reflector_columns, requests, unix_ns
from probes.stamp.policy import Policy
from probes.standalone import StandaloneReflector, parse_allowed

ADDRESSES = ["127.0.0.1", "::1"]
ERROR = 0x8587


def peer(address: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    sock.settimeout(60)
    return sock


@pytest.fixture(params=ADDRESSES)
def address(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["stateful", "stateless"])
def ours(request: pytest.FixtureRequest, address: str) -> Iterator[tuple[str, int]]:
    """Our reflector on a port of its own."""
    made = StandaloneReflector(
        [(address, 0)],
        parse_allowed(ADDRESSES),
        SystemClock(),
        read_clock_quality,
        Policy(stateless=request.param),
    )
    stop = threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    yield address, made.ports[0]
    stop.set()
    thread.join()


def asked(home: tuple[str, int], *packets: Any) -> list[Any]:
    """scapy's requests answered, parsed by scapy; each reply is as long as its request."""
    replies = []
    with peer(home[0]) as sock:
        for packet in packets:
            sock.sendto(bytes(packet), home)
            data = sock.recv(65_535)
            assert len(data) == len(bytes(packet))
            replies.append(STAMPSessionReflectorTestUnauthenticated(data))
    return replies


def ours_is_stateless(request: pytest.FixtureRequest) -> bool:
    return bool(request.node.callspec.params["ours"])


def test_our_reflector_answers_scapy(ours: tuple[str, int], request: pytest.FixtureRequest) -> None:
    before_ns = time.time_ns()
    sent = [
        STAMPSessionSenderTestUnauthenticated(
            seq=seq, ssid=0x1234, err_estimate=ErrorEstimate(S=1, scale=5, multiplier=0x87)
        )
        for seq in (41, 42, 50)
    ]
    replies = asked(ours, *sent)
    first = 41 if ours_is_stateless(request) else 0
    assert replies[0].seq == first
    assert [reply.seq_sender for reply in replies] == [41, 42, 50]
    for packet, reply in zip(sent, replies, strict=True):
        assert reply.ssid == 0x1234
        assert (reply.mbz1, reply.mbz2) == (0, 0)
        assert 0 < reply.ttl_sender <= 255
        assert bytes(reply)[28:38] == bytes(packet)[4:14]
        assert reply.err_estimate.Z == 0
        assert reply.err_estimate.multiplier > 0
        t3, t2 = (int.from_bytes(bytes(reply)[at : at + 8], "big") for at in (4, 16))
        assert one_stamp(before_ns) <= t2 <= t3 <= one_stamp(time.time_ns())


def test_a_ptp_stamp_of_the_sender_comes_back_unchanged(ours: tuple[str, int]) -> None:
    stamp = RawVal(struct.pack(">II", 100, 999_999_999))  # scapy takes its PTP stamps for plain integers
    packet = STAMPSessionSenderTestUnauthenticated(
        seq=1, ts=stamp, err_estimate=ErrorEstimate(S=1, Z=1, multiplier=1)
    )
    (reply,) = asked(ours, packet)
    assert bytes(reply)[28:38] == bytes(packet)[4:14]
    assert reply.err_estimate_sender.Z == 1
    assert reply.err_estimate.Z == 0


def test_our_reflector_answers_tlvs_of_scapy(ours: tuple[str, int]) -> None:
    def generic(kind: int, value: bytes, length: int | None = None) -> STAMPTestTLV:
        size = len(value) if length is None else length
        return STAMPTestTLV(flags=tlv.UNRECOGNISED, type=kind, len=size, value=value)

    packet = STAMPSessionSenderTestUnauthenticated(
        seq=7,
        tlv_objects=[
            generic(1, b"\xaa" * 5),
            generic(3, bytes(4)),
            generic(4, bytes(4)),
            generic(200, b"\x01\x02"),
            generic(5, b"\0\0\0\x63" + bytes(8)),
            generic(4, bytes(3)),
            generic(1, b"left as it is"),
        ],
    )
    (reply,) = asked(ours, packet)
    told = [(int(each.flags), each.type, bytes(each.value)) for each in reply.tlv_objects]
    assert told[0] == (0, 1, b"\xaa" * 5)
    assert told[1][:2] == (0, 3)
    assert told[1][2][1::2] == b"\x02\x02"
    assert told[2][:2] == (0, 4)
    assert told[3] == (tlv.UNRECOGNISED, 200, b"\x01\x02")
    assert told[4] == (0, 5, bytes.fromhex("00000063 00000001 00000001"))
    assert told[5][:2] == (tlv.MALFORMED, 4)
    assert told[6] == (tlv.UNRECOGNISED, 1, b"left as it is")


class ScapyReflector:
    """Stateful, of scapy's classes alone; it answers Class of Service and leaves other TLVs as they are."""

    def __init__(self, address: str) -> None:
        self.sock = peer(address)
        self.sock.settimeout(0.1)
        self.home = (address, self.sock.getsockname()[1])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.sock.close()

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            try:
                data, sender = self.sock.recvfrom(65_535)
            except TimeoutError:
                continue
            self.sock.sendto(self._reply(data, number), sender)
            number += 1

    def _reply(self, data: bytes, number: int) -> bytes:
        request = STAMPSessionSenderTestUnauthenticated(data)
        for each in request.tlv_objects:
            if each.type == 4:
                each.flags = 0
                each.value = ((each.value[0] >> 2) << 26 | 46 << 20 | 3 << 18).to_bytes(4, "big")
        reply = STAMPSessionReflectorTestUnauthenticated(
            seq=number,
            err_estimate=ErrorEstimate(S=1, scale=5, multiplier=0x87),
            ssid=request.ssid,
            seq_sender=request.seq,
            err_estimate_sender=request.err_estimate,
            ttl_sender=250,
            tlv_objects=request.tlv_objects,
        )
        made = bytearray(bytes(reply))
        made[28:36] = data[4:12]  # not by way of scapy's decimal seconds, which round
        made[4:12] = made[16:24] = one_stamp(time.time_ns()).to_bytes(8, "big")
        return bytes(made)


@pytest.fixture
def theirs(address: str) -> Iterator[ScapyReflector]:
    made = ScapyReflector(address)
    yield made
    made.close()


@pytest.mark.parametrize(("size", "tlvs"), [(0, False), (0, True), (300, True)])
def test_our_codec_reads_replies_of_scapy(theirs: ScapyReflector, size: int, tlvs: bool) -> None:
    layout = tlv.layout(size, tlvs=tlvs, authenticated=False)
    packets = requests(np.arange(2**32 - 1, 2**32 + 2), np.full(3, 0xBEEF, np.uint16), ERROR)
    t1_ns = time.time_ns()
    packets["t1"] = one_stamp(t1_ns)
    block = np.zeros((3, layout.size), np.uint8)
    with peer(theirs.home[0]) as sock:
        for row, head in enumerate(octets(packets)):
            sock.sendto(bytes(head.data) + tlv.tail(layout, 10), theirs.home)
            data = sock.recv(2000)
            assert len(data) == layout.size
            block[row] = np.frombuffer(data, np.uint8)
    read = reflector_columns(block)
    assert read["seq"].tolist() == [0, 1, 2]
    assert read["sender_seq"].tolist() == [2**32 - 1, 0, 1]
    assert read["ssid"].tolist() == [0xBEEF] * 3
    assert read["ttl"].tolist() == [250] * 3
    assert read["sender_error"].tolist() == [ERROR] * 3
    error = read["error"].astype(np.uint16)
    t2_ns = unix_ns(read["t2"].astype(np.uint64), error)
    assert (np.abs(unix_ns(read["t1"].astype(np.uint64), error) - t1_ns) <= 1).all()
    assert ((t2_ns >= t1_ns - 1) & (t2_ns <= time.time_ns())).all()
    dscp, ecn = tlv.marks(block, layout)
    assert dscp.tolist() == [46 if tlvs else -1] * 3
    assert ecn.tolist() == [3 if tlvs else -1] * 3
    assert not tlv.follow_up(block, layout, error)[2].any(), "scapy's reflector does not know this TLV"
