"""Batches of datagrams as a socket would give them, for tests of the reflector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.sockets.raw_name import raw_name
from probes.stamp import authentication, tlv
from probes.stamp.packet import octets, requests
from probes.stamp.reflector import Reflector
from probes.stamp.replies import Replies

ERROR = 0x8001
T2_NS = 10**18
WIDTH = 512


@dataclass(frozen=True)
class Arrived:
    """Columns as `probes.stamp.replies.Arrivals` has them."""

    data: NDArray[np.uint8]
    length: NDArray[np.int64]
    name: NDArray[np.uint8]
    stamp_ns: NDArray[np.int64]
    ttl: NDArray[np.uint8]
    tos: NDArray[np.uint8]


def arrived(
    datagrams: Sequence[bytes],
    ports: Sequence[int] | int = 5000,
    address: str = "10.0.0.1",
    tos: int = 0,
    width: int = WIDTH,
) -> Arrived:
    """One batch; what lies behind a datagram in its row is left over from an earlier one (0xAB)."""
    n = len(datagrams)
    block = np.full((n, width), 0xAB, np.uint8)
    for row, octets_ in enumerate(datagrams):
        kept = octets_[:width]
        block[row, : len(kept)] = np.frombuffer(kept, np.uint8)
    each = [ports] * n if isinstance(ports, int) else list(ports)
    return Arrived(
        block,
        np.array([len(octets_) for octets_ in datagrams], np.int64),
        np.array([raw_name(address, port) for port in each], np.uint8).reshape(n, 32),
        np.full(n, T2_NS),
        np.full(n, 254, np.uint8),
        np.full(n, tos, np.uint8),
    )


def request(seq: int = 0, ssid: int = 7, rest: bytes = b"", base: int = 44, error: int = ERROR) -> bytes:
    """One unauthenticated request, T1 = 0x1122334455667788."""
    made = requests(np.array([seq]), np.array([ssid], np.uint16), error, base)
    made["t1"] = 0x1122334455667788
    return bytes(octets(made)[0].data) + rest


def signed(key: bytes, seq: int = 0, made: tlv.Layout | None = None, dscp: int = 0, ssid: int = 7) -> bytes:
    """One authenticated request."""
    layout = made or tlv.layout(0, tlvs=True, authenticated=True)
    packet = request(seq, ssid, tlv.tail(layout, dscp), layout.base)
    block = np.frombuffer(packet, np.uint8)[None].copy()
    authentication.sign(block, layout, key, np.array([0]))
    return bytes(block[0].data)


def answered(reflector: Reflector, got: Arrived, t3_ns: int = T2_NS + 1000, mono_ns: int = 0) -> list[bytes]:
    """The replies as they would leave, in order of their rows; each is as long as its request."""
    made: dict[int, bytes] = {}
    for replies in reflector.reflect(got, ERROR, mono_ns):
        replies.stamp(t3_ns)
        for row, length in zip(replies.rows.tolist(), replies.length.tolist(), strict=True):
            assert length == got.length[row]
            made[row] = got.data[row, :length].tobytes()
    return [made[row] for row in sorted(made)]


def tos_out(made: Sequence[Replies]) -> list[int]:
    """TOS of each reply."""
    return [int(tos) for replies in made for tos in replies.tos]
