"""Socket addresses as the kernel writes them, and back. Pure."""

from __future__ import annotations

import ipaddress
import struct
import sys

import numpy as np
from numpy.typing import NDArray

NAME_SIZE = 32
"""Octets of a raw address: sockaddr_in6 has 28, sockaddr_in 16; the rest is zero, so that words compare."""
HOST = slice(4, 24)
"""Octets of a raw name that tell the host, of either family."""
_AF_INET, _AF_INET6 = 2, 10


def raw_name(address: str, port: int) -> NDArray[np.uint8]:
    """An address as the kernel writes it: (NAME_SIZE,) uint8 sockaddr_in or sockaddr_in6."""
    ip = ipaddress.ip_address(address)
    if ip.version == 4:
        raw = struct.pack("=H", _AF_INET) + struct.pack("!H4s8x", port, ip.packed)
    else:
        raw = struct.pack("=H", _AF_INET6) + struct.pack("!HI16sI", port, 0, ip.packed, 0)
    return np.frombuffer(raw.ljust(NAME_SIZE, b"\0"), np.uint8)


def address_of(name: NDArray[np.uint8]) -> str:
    """The address in a raw name, as text; "" for a family that is not IP."""
    raw = name.tobytes()
    family = int.from_bytes(raw[:2], sys.byteorder)
    if family == _AF_INET:
        return str(ipaddress.IPv4Address(raw[4:8]))
    return str(ipaddress.IPv6Address(raw[8:24])) if family == _AF_INET6 else ""


def host_of(octets: bytes) -> str:
    """The address in the octets HOST of a raw name, as text."""
    return str(ipaddress.IPv6Address(octets[4:]) if any(octets[4:]) else ipaddress.IPv4Address(octets[:4]))
