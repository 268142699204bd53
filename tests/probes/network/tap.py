"""What passes an end of a cable, with the kernel's stamps: the truth about when and how it came."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from tests.probes.network.cable import PORT, Cable, link

_SO_TIMESTAMPNS, _SO_RCVBUFFORCE, _ETH_P_ALL = 35, 33, 3
_BUFFER_BYTES = 64 << 20
_SENDER_SEQ_AT = 24


@dataclass(frozen=True, slots=True)
class Seen:
    """A STAMP packet: its link, its number or that of the packet it answers, and when it passed, Unix ns."""

    link: str
    seq: int
    ns: int


class Tap:
    """Sees all packets at an end, on every device, from now on."""

    def __init__(self, cable: Cable, end: str) -> None:
        self._sock = cable.inside(end, self._open)
        self._requests: list[Seen] = []
        self._replies: list[Seen] = []

    def _open(self) -> socket.socket:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.setblocking(False)
        return sock

    def requests(self, of_link: str) -> list[Seen]:
        """Of a link, as they passed."""
        return [seen for seen in self._requests if seen.link == of_link]

    def replies(self, of_link: str) -> list[Seen]:
        """Of a link, as they passed."""
        return [seen for seen in self._replies if seen.link == of_link]

    def close(self) -> None:
        """Read what passed; nothing more is seen from then on."""
        while True:
            try:
                data, control, _, _ = self._sock.recvmsg(128, 128)
            except BlockingIOError:
                break
            self._take(data, control[0][2])
        self._sock.close()
        for seen in (self._requests, self._replies):
            seen.sort(key=lambda one: one.ns)

    def _take(self, data: bytes, stamp: bytes) -> None:
        four = data[0] >> 4 == 4
        udp_at, protocol = (20, data[9]) if four else (40, data[6])
        if protocol != socket.IPPROTO_UDP:
            return
        lane = data[14] if four else struct.unpack_from("!H", data, 10)[0]
        seconds, ns = struct.unpack("qq", stamp)
        source, target = struct.unpack_from("!HH", data, udp_at)
        for port, kept, at in ((target, self._requests, 0), (source, self._replies, _SENDER_SEQ_AT)):
            if port == PORT:
                seq = struct.unpack_from("!I", data, udp_at + 8 + at)[0]
                kept.append(Seen(link(lane, "v4" if four else "v6"), seq, seconds * 1_000_000_000 + ns))


def overtaken(numbers: Sequence[int]) -> list[int]:
    """Extents (RFC 4737, 4.2) of the packets that came after a later one; numbers: in the order they came."""
    return [
        at - next(i for i, other in enumerate(numbers) if other > number)
        for at, number in enumerate(numbers)
        if max(numbers[:at], default=-1) > number
    ]
