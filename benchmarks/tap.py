"""Packets as they pass a device, with the kernel's stamps (AF_PACKET): the truth beside what tools report."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from lab import namespace

_ALL_PROTOCOLS, _OUTGOING = 3, 4
_SO_TIMESTAMPING, _RX_SOFTWARE = 37, 0x18
_IPV4, _ICMP, _UDP = 0x0800, 1, 17
_WARM_UP_S = 0.5
STAMP_PACKET_OCTETS = 44


@dataclass(frozen=True, slots=True)
class Passed:
    """A packet at a device. protocol: of IP; payload: octets after the IP header."""

    stamp_ns: int
    outgoing: bool
    protocol: int
    payload: bytes


@contextlib.contextmanager
def tap(space: str, device: str) -> Iterator[list[Passed]]:
    """Gather what passes a device of a namespace; the list is complete after the block."""
    sock = namespace.inside(space, lambda: _open(device))
    time.sleep(_WARM_UP_S)  # stamps are missing for a while after the first socket asked for them
    passed: list[Passed] = []
    ended = threading.Event()
    thread = threading.Thread(target=_gather, args=(sock, passed, ended))
    thread.start()
    try:
        yield passed
    finally:
        ended.set()
        thread.join()
        sock.close()


def stamp_truth_us(sender: list[Passed], reflector: list[Passed], port: int) -> dict[int, float]:
    """Sequence number: (T4 - T1) - (T3 - T2) of the one STAMP session at `port`, us."""
    t1, t4 = _stamps(sender, port, asked_outgoing=True)
    t2, t3 = _stamps(reflector, port, asked_outgoing=False)
    whole = t1.keys() & t2.keys() & t3.keys() & t4.keys()
    return {seq: ((t4[seq] - t1[seq]) - (t3[seq] - t2[seq])) / 1e3 for seq in whole}


def echo_truth_us(sender: list[Passed]) -> list[float | None]:
    """Round trip of each ICMP echo request in the order of sending, us; None when no reply was seen."""
    asked: dict[bytes, int] = {}
    answered: dict[bytes, int] = {}
    for one in sender:
        if one.protocol == _ICMP and len(one.payload) >= 8 and one.payload[0] in (0, 8):
            seen = asked if one.payload[0] == 8 else answered
            seen.setdefault(one.payload[4:8], one.stamp_ns)
    return [(answered[key] - at) / 1e3 if key in answered else None for key, at in asked.items()]


def _stamps(
    passed: list[Passed], port: int, *, asked_outgoing: bool
) -> tuple[dict[int, int], dict[int, int]]:
    """Stamps of requests and of replies by the sender's sequence number."""
    requests: dict[int, int] = {}
    replies: dict[int, int] = {}
    for one in passed:
        if one.protocol != _UDP or len(one.payload) < 8 + STAMP_PACKET_OCTETS:
            continue
        source, destination = struct.unpack_from(">HH", one.payload)
        if destination == port and one.outgoing == asked_outgoing:
            requests[struct.unpack_from(">I", one.payload, 8)[0]] = one.stamp_ns
        elif source == port and one.outgoing != asked_outgoing:
            replies[struct.unpack_from(">I", one.payload, 8 + 24)[0]] = one.stamp_ns
    return requests, replies


def _open(device: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL_PROTOCOLS))
    sock.bind((device, _ALL_PROTOCOLS))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _RX_SOFTWARE)
    sock.setblocking(False)
    return sock


def _gather(sock: socket.socket, passed: list[Passed], ended: threading.Event) -> None:
    while True:
        readable, _, _ = select.select([sock], [], [], 0.2)
        if not readable and ended.is_set():
            return
        while readable:
            try:
                data, control, _, (_, protocol, kind, *_rest) = sock.recvmsg(2048, 256)
            except BlockingIOError:
                break
            stamp_ns = _stamp_ns(control)
            if protocol == _IPV4 and stamp_ns and len(data) >= 20:
                header = 4 * (data[0] & 15)
                passed.append(Passed(stamp_ns, kind == _OUTGOING, data[9], data[header:]))


def _stamp_ns(control: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPING):
            second, nanosecond = struct.unpack_from("=qq", data)
            return int(second) * 1_000_000_000 + int(nanosecond)
    return 0
