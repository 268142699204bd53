"""Far ends on loopback, plans that point to them, and waiting for what must come."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from linkgauge.clock import NS_PER_S, SystemClock
from linkgauge.plan import PLAN_VERSION, Plan, PlanLink
from probes.engine.answering import Answering
from probes.sockets.arrival import Received
from probes.sockets.raw_name import raw_name
from probes.sockets.sockets import BatchSocket
from probes.stamp.packet import error_estimate
from probes.stamp.policy import Policy
from probes.stamp.reflector import Reflector

MS = 1_000_000
HOME4, HOME6 = "127.64.210.1", "::1"
FAR4, FAR6 = "127.64.210.2", "::1"
SYNCED = error_estimate(10_000, synchronised=True)
PATIENCE_S = 60.0


def free_port(address: str) -> int:
    """A UDP port that nobody has there just now."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        return int(sock.getsockname()[1])


def until(done: Callable[[], bool], what: str = "it did not come", patience_s: float = PATIENCE_S) -> None:
    """Look until it is so; fails when it takes too long."""
    deadline = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.002)


def await_stamps(home: str) -> None:
    """The kernel begins to stamp a while after the first socket asked for it: wait for that."""
    sock = BatchSocket(home, 0)

    def stamped() -> bool:
        sock.send(np.zeros((1, 44), np.uint8), raw_name(home, sock.port)[None])
        got = sock.receive()
        return got is not None and bool(got.stamp_ns[0] > 0)

    until(stamped, "the kernel does not stamp")
    sock.close()


def stamp_plan(port: int, peers: Sequence[str] = (FAR4,), home: str = HOME4, **changed: Any) -> Plan:
    """A link from `home` to each peer, 10 ms between packets, windows of a second."""
    links = [PlanLink(f"n1>n{at}@net", home, peer) for at, peer in enumerate(peers, 2)]
    made = Plan(
        PLAN_VERSION, "n1", NS_PER_S, links, list(peers), [home], 10 * MS, 300 * MS, port, [0],
        0, 0, 0, 0, 0, 0, 0, 0, [],
    )  # fmt: skip
    return msgspec.structs.replace(made, **changed)


class FarEnd:
    """A reflector at one address; answers when told to."""

    def __init__(
        self,
        address: str = FAR4,
        port: int = 0,
        policy: Policy | None = None,
        keys: Mapping[str, bytes] | None = None,
    ) -> None:
        self.reflector = Reflector(lambda name: True, policy, keys)
        self._answering = Answering([(address, port)], self.reflector, SystemClock())
        self.port = self._answering.sockets[0].port

    def answer(self, packets: int) -> None:
        """Answer until so many packets were answered in all."""

        def enough() -> bool:
            self._answering.answer(SYNCED)
            return self.reflector.reflected >= packets

        until(enough, f"fewer than {packets} packets came to the far end")

    def close(self) -> None:
        self._answering.close()


class Listener:
    """Takes packets and does not answer."""

    def __init__(self, address: str = FAR4) -> None:
        self.socket = BatchSocket(address, 0)
        self.port = self.socket.port

    def take(self, packets: int = 0) -> list[tuple[int, int, int]]:
        """SSID, number and source port of each packet that waits; waits for so many at least."""
        came: list[tuple[int, int, int]] = []

        def enough() -> bool:
            while (got := self.socket.receive()) is not None:
                came.extend(_read(got))
            return len(came) >= packets

        until(enough, f"fewer than {packets} packets came")
        return came

    def one(self) -> Received:
        """The first batch that comes."""
        came: list[Received] = []

        def found() -> bool:
            got = self.socket.receive()
            came.extend([] if got is None else [got])
            return bool(came)

        until(found, "no packet came")
        return came[0]

    def close(self) -> None:
        self.socket.close()


def _read(got: Received) -> list[tuple[int, int, int]]:
    ssid = got.data[:, 14:16].copy().view(">u2")[:, 0].tolist()
    seq = got.data[:, :4].copy().view(">u4")[:, 0].tolist()
    port = got.name[:, 2:4].copy().view(">u2")[:, 0].tolist()
    return list(zip(ssid, seq, port, strict=True))
