"""The reflector on its sockets: takes datagrams in batches, answers those that deserve it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from linkgauge.clock import Clock
from probes.departures import Departures
from probes.sockets import BATCH, BatchSocket
from probes.stamp.reflector import Reflector
from probes.stamp.tlv_answers import Door

LONGEST = 9024
"""Octets of the longest packet that is answered: a jumbo frame's. An odd number of cache lines, so that the
rows of a batch do not all fall into the same few sets of the cache."""
_MOST_BATCHES = 16
"""Taken from one socket at a turn, so that a flood at one does not keep the others waiting."""


class Answering:
    """`reflector` bound at each (address, port) of `where`. Raises ConfigError when one cannot be bound."""

    def __init__(self, where: Sequence[tuple[str, int]], reflector: Reflector, clock: Clock) -> None:
        self._reflector, self._clock = reflector, clock
        self.sockets: list[BatchSocket] = []
        self.departures: list[Departures] = []
        self._doors: list[Door] = []
        try:
            for index, (address, port) in enumerate(where):
                sock = BatchSocket(address, port, transmit_stamps=True, data_size=LONGEST)
                self.sockets.append(sock)
                self.departures.append(Departures(sock, reflector))
                self._doors.append(Door(index, ipaddress.ip_address(address).packed, sock.port))
        except BaseException:
            self.close()
            raise

    def answer(self, error: int) -> None:
        """Answer what waits; error: this host's Error Estimate. Never blocks."""
        for sock, departures, door in zip(self.sockets, self.departures, self._doors, strict=True):
            departures.collect()
            for _ in range(_MOST_BATCHES):
                if self._answer_batch(sock, departures, door, error) < BATCH:
                    break

    def close(self) -> None:
        for departures in self.departures:
            departures.close()
        for sock in self.sockets:
            sock.close()

    def _answer_batch(self, sock: BatchSocket, departures: Departures, door: Door, error: int) -> int:
        """Take one batch; returns how many datagrams it had."""
        if (got := sock.receive()) is None:
            return 0
        now = self._clock.now()
        if not got.stamp_ns.all():
            got.stamp_ns[got.stamp_ns == 0] = now.wall_ns
        for replies in self._reflector.reflect(got, error, now.mono_ns, door):
            t3_ns = self._clock.now().wall_ns
            replies.stamp(t3_ns)
            numbers = sock.reply(replies.rows, replies.length, replies.tos)
            departures.sent(numbers, replies, t3_ns, now.mono_ns)
        if departures.on:
            departures.collect()
        return len(got.length)
