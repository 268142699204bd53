"""The source ports that a link's STAMP flows use, read from what arrives at the far end."""

from __future__ import annotations

import socket
import struct
import time
from collections import Counter

from lab import namespace

_ETH_P_IP = 0x0800
_UDP = 17
_LISTEN_S = 2.0
_LEAST = 2


def flow_ports(far_namespace: str, src: str, dst: str, port: int) -> list[int]:
    """Source ports, sorted, of what came from address src to dst:port within two seconds, at least twice."""
    return namespace.inside(far_namespace, lambda: _listen(src, dst, port))


def _listen(src: str, dst: str, port: int) -> list[int]:
    seen: Counter[int] = Counter()
    pair = socket.inet_aton(src) + socket.inet_aton(dst)
    deadline_s = time.monotonic() + _LISTEN_S
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP)) as sock:
        while (left_s := deadline_s - time.monotonic()) > 0:
            sock.settimeout(left_s)
            try:
                packet = sock.recv(128)
            except TimeoutError:
                break
            if len(packet) >= 28 and packet[9] == _UDP and packet[12:20] == pair:
                source, target = struct.unpack_from("!HH", packet, 4 * (packet[0] & 15))
                if target == port:
                    seen[source] += 1
    return sorted(each for each, count in seen.items() if count >= _LEAST)
