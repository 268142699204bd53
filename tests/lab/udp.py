"""UDP sockets of the lab's tests, inside namespaces or on loopback, driven from one thread."""

from __future__ import annotations

import select
import socket
import statistics
import time
from collections.abc import Sequence

from lab import namespace

_SO_RCVBUFFORCE = 33


def socket_at(address: str, inside: str | None = None, port: int = 0) -> socket.socket:
    """A UDP socket bound to the address, in a namespace when one is named."""

    def make() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((address, port))
        if inside is not None:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 8 << 20)
        return sock

    return make() if inside is None else namespace.inside(inside, make)


def round_trip_p50_us(near: socket.socket, far: socket.socket, count: int) -> float:
    """Send count datagrams from near to far and back, one after the other; the median round trip."""
    near.settimeout(2)
    far.settimeout(2)
    trips_ns = []
    for _ in range(count):
        begin_ns = time.monotonic_ns()
        near.sendto(b"x" * 44, far.getsockname())
        data, peer = far.recvfrom(2048)
        far.sendto(data, peer)
        near.recv(2048)
        trips_ns.append(time.monotonic_ns() - begin_ns)
    return statistics.median(trips_ns) / 1000


def received_of(near: socket.socket, far: socket.socket, count: int) -> int:
    """Send count datagrams one way, in small bursts; how many came."""
    came = 0
    far.setblocking(False)
    for number in range(count):
        near.sendto(number.to_bytes(4, "big"), far.getsockname())
        if number % 20 == 19:
            came += drain(far, 0.002)
    return came + drain(far, 0.3)


def drain(sock: socket.socket, quiet_s: float) -> int:
    """Read datagrams until none has come for quiet_s; how many came."""
    came = 0
    while select.select([sock], [], [], quiet_s)[0]:
        sock.recv(2048)
        came += 1
    return came


def close(socks: Sequence[socket.socket]) -> None:
    """Close them all."""
    for sock in socks:
        sock.close()
