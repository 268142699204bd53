"""The reflector on its sockets: takes datagrams in batches, answers those that deserve it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from linkgauge.clock import Clock
from probes.sockets import BatchSocket
from probes.stamp.packet import ntp
from probes.stamp.reflector import Reflector

LONGEST = 9216
"""Octets of the longest packet that is answered: a jumbo frame's."""


class Answering:
    """`reflector` bound at each (address, port) of `where`. Raises ConfigError when one cannot be bound."""

    def __init__(self, where: Sequence[tuple[str, int]], reflector: Reflector, clock: Clock) -> None:
        self._reflector, self._clock = reflector, clock
        self.sockets: list[BatchSocket] = []
        try:
            for address, port in where:
                self.sockets.append(BatchSocket(address, port, data_size=LONGEST))
        except BaseException:
            self.close()
            raise

    def answer(self, error: int) -> None:
        """Answer everything that waits; error: this host's Error Estimate. Never blocks."""
        for sock in self.sockets:
            while (got := sock.receive()) is not None:
                t2_ns = np.where(got.stamp_ns > 0, got.stamp_ns, self._clock.now().wall_ns)
                reply = self._reflector.reflect(got.data, got.length, got.name, t2_ns, got.ttl, error)
                if len(reply.packets):
                    t3 = ntp(np.full(len(reply.packets), self._clock.now().wall_ns, np.int64))
                    sock.send(reply.octets(t3), reply.names, reply.length)

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()
