"""Ports for servers that are started later, or again: nobody else takes them in the meantime.

A port that is free when it is looked up may be given to anybody's connection before a server is there. So
these lie outside the range that the kernel gives away by itself, and each is claimed until this process ends,
by the name of an abstract socket: other runs of the tests pass it by.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

_GIVEN_AWAY = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST, _HIGHEST = 20_000, 65_535  # below are the fixed ports of our programs and of labs on loopback
_MOST_TRIES = 1_000
_claims: list[socket.socket] = []


def own_port() -> int:
    """A port of 127.0.0.1, for TCP or UDP, that is this process's alone; nothing listens there."""
    first, last = map(int, _GIVEN_AWAY.read_text().split())
    outside: list[int] = [*range(_LOWEST, first), *range(last + 1, _HIGHEST + 1)]
    ports: list[int] = outside or list(range(_LOWEST, _HIGHEST + 1))
    for port in random.sample(ports, min(_MOST_TRIES, len(ports))):
        if _claimed(port) and _free(port):
            return port
    raise AssertionError(f"of {len(ports)} ports outside {first}-{last} none is free")


def own_ports(count: int) -> list[int]:
    """So many of them."""
    return [own_port() for _ in range(count)]


def _claimed(port: int) -> bool:
    """Whether it is ours now, until the process ends."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0linkgauge-test-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


def _free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            try:
                sock.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True
