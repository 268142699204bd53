"""Packets as they arrive at a device, with the kernel's stamps (AF_PACKET): the truth beside what is told.

Only arrivals are looked at. A tap on what leaves takes its stamp and then holds the packet up for its own
work (3 microseconds on an idle machine), before the device gets it; a tap on what arrives comes after the
stamp. So a departure is seen at the other end of the cable.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab import namespace

_ALL_PROTOCOLS = 3
_SOL_PACKET, _IGNORE_OUTGOING = 263, 23
_SO_TIMESTAMPING, _RX_SOFTWARE = 37, 0x18
_IPV4, _ICMP, _UDP = 0x0800, 1, 17
_WARM_UP_S, _LOOK_S = 0.5, 0.05
STAMP_PACKET_OCTETS = 44


@dataclass(frozen=True, slots=True)
class Passed:
    """A packet that arrived. protocol: of IP; payload: octets after the IP header."""

    stamp_ns: int
    protocol: int
    payload: bytes


@contextlib.contextmanager
def tap(space: str, device: str) -> Iterator[list[Passed]]:
    """Gather what arrives at a device of a namespace; the list is complete after the block."""
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


def stamp_truth_us(passed: Sequence[list[Passed]], port: int) -> dict[int, float]:
    """Sequence number: (T4 - T1) - (T3 - T2) of the one STAMP session at `port`, us.

    passed: as the packets left the sender, came to the reflector, left it, and came to the sender.
    """
    left_sender, at_reflector, left_reflector, at_sender = passed
    t1, t2 = request_stamps(left_sender, port), request_stamps(at_reflector, port)
    t3, t4 = _replies(left_reflector, port), _replies(at_sender, port)
    whole = t1.keys() & t2.keys() & t3.keys() & t4.keys()
    return {seq: ((t4[seq] - t1[seq]) - (t3[seq] - t2[seq])) / 1e3 for seq in whole}


def echo_truth_us(left_sender: list[Passed], at_sender: list[Passed]) -> list[float | None]:
    """Round trip of each ICMP echo request in the order of sending, us; None when no reply was seen."""
    asked, answered = _echoes(left_sender, 8), _echoes(at_sender, 0)
    return [(answered[key] - at) / 1e3 if key in answered else None for key, at in asked.items()]


def _echoes(passed: list[Passed], kind: int) -> dict[bytes, int]:
    """Stamps of ICMP packets of a type by identifier and sequence number."""
    stamps: dict[bytes, int] = {}
    for one in passed:
        if one.protocol == _ICMP and len(one.payload) >= 8 and one.payload[0] == kind:
            stamps.setdefault(one.payload[4:8], one.stamp_ns)
    return stamps


def request_stamps(passed: list[Passed], port: int) -> dict[int, int]:
    """Stamps of requests to `port` by sequence number."""
    return {_word(one, 8): one.stamp_ns for one in passed if _is_stamp(one) and _port(one, 2) == port}


def _replies(passed: list[Passed], port: int) -> dict[int, int]:
    """Stamps of replies from `port` by the sender's sequence number."""
    return {_word(one, 8 + 24): one.stamp_ns for one in passed if _is_stamp(one) and _port(one, 0) == port}


def _is_stamp(one: Passed) -> bool:
    return one.protocol == _UDP and len(one.payload) >= 8 + STAMP_PACKET_OCTETS


def _port(one: Passed, at: int) -> int:
    return int.from_bytes(one.payload[at : at + 2])


def _word(one: Passed, at: int) -> int:
    return int.from_bytes(one.payload[at : at + 4])


def _open(device: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL_PROTOCOLS))
    sock.bind((device, _ALL_PROTOCOLS))
    sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _RX_SOFTWARE)
    sock.setblocking(False)
    return sock


def _gather(sock: socket.socket, passed: list[Passed], ended: threading.Event) -> None:
    """Look from time to time: to wake a waiting reader would hold each packet up."""
    done = False
    while not done:
        time.sleep(_LOOK_S)
        done = ended.is_set()
        with contextlib.suppress(BlockingIOError):
            while True:
                data, control, _, (_, protocol, *_rest) = sock.recvmsg(2048, 256)
                stamp_ns = _stamp_ns(control)
                if protocol == _IPV4 and stamp_ns and len(data) >= 20:
                    header = 4 * (data[0] & 15)
                    passed.append(Passed(stamp_ns, data[9], data[header:]))


def _stamp_ns(control: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPING):
            second, nanosecond = struct.unpack_from("=qq", data)
            return int(second) * 1_000_000_000 + int(nanosecond)
    return 0
