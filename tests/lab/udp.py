"""UDP sockets of the lab's tests, inside namespaces or on loopback, driven from one thread."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Sequence

from lab import namespace

PATIENCE_S = 60.0
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35


def socket_at(address: str, inside: str | None = None, port: int = 0) -> socket.socket:
    """A UDP socket bound to the address, in a namespace when one is named."""

    def make() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((address, port))
        if inside is not None:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 8 << 20)
        return sock

    return make() if inside is None else namespace.inside(inside, make)


def round_trips_us(near: socket.socket, far: socket.socket, count: int) -> list[float]:
    """Send count datagrams from near to far and back, one after the other; the round trips, rising.

    From the call that sends to the kernel's stamp of the arrival, both ways: how soon we are woken is not in
    it. The first stamps may be missing; then it is.
    """
    for sock in (near, far):
        sock.settimeout(PATIENCE_S)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    trips_us = []
    for _ in range(count):
        way_ns = []
        for here, there in ((near, far), (far, near)):
            begin_ns = time.time_ns()
            here.sendto(b"x" * 44, there.getsockname())
            _, control, _, _ = there.recvmsg(2048, 64)
            end_ns = time.time_ns()
            for _, _, stamp in control:
                seconds, ns = struct.unpack("qq", stamp)
                end_ns = seconds * 1_000_000_000 + ns
            way_ns.append(end_ns - begin_ns)
        trips_us.append(sum(way_ns) / 1_000)
    return sorted(trips_us)


def received_of(
    near: socket.socket, far: socket.socket, count: int, lost: Callable[[], int] = lambda: 0
) -> int:
    """Send count datagrams one way, in small bursts; how many came.

    lost: how many were lost in all by now. Ends when what came and what was lost since is all, or when that
    is not so for PATIENCE_S.
    """
    came, lost_before = 0, lost()
    far.setblocking(False)
    for number in range(count):
        near.sendto(number.to_bytes(4, "big"), far.getsockname())
        if number % 20 == 19:
            came += drain(far, 0.002)
    deadline_s = time.monotonic() + PATIENCE_S
    while came + lost() - lost_before < count and time.monotonic() < deadline_s:
        came += drain(far, 0.02)
    return came + drain(far, 0.02)


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
