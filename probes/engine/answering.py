"""The reflector on its sockets: takes datagrams in batches, answers those that deserve it."""

from __future__ import annotations

import ipaddress
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from linkgauge.clock import Clock
from probes.engine.departures import Departures
from probes.sockets.arrival import Received
from probes.sockets.sockets import BATCH, BatchSocket
from probes.stamp.played_fault import PlayedFault
from probes.stamp.reflector import Reflector
from probes.stamp.tlv_answers import Door

LONGEST = 9024
"""Octets of the longest packet that is answered: a jumbo frame's. An odd number of cache lines, so that the
rows of a batch do not all fall into the same few sets of the cache."""
_MOST_BATCHES = 16
"""Taken from one socket at a turn, so that a flood at one does not keep the others waiting."""


class Drill(Protocol):
    """What stands between what comes and the reflector, while it is asked to (probes.engine.playing)."""

    @property
    def fault(self) -> PlayedFault | None: ...

    def look(self, mono_ns: int) -> None: ...

    def played(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Doorway:
    """One socket of a reflector. where: address and port as asked for; the door knows the real ones."""

    where: tuple[str, int]
    socket: BatchSocket
    departures: Departures
    door: Door

    def close(self) -> None:
        self.departures.close()
        self.socket.close()


class Answering:
    """`reflector` bound at each (address, port) of `where`. Raises ConfigError when one cannot be bound.

    playing: the drill that may stand between what comes and the reflector.
    """

    def __init__(
        self,
        where: Sequence[tuple[str, int]],
        reflector: Reflector,
        clock: Clock,
        playing: Drill | None = None,
    ) -> None:
        self._reflector, self._clock, self._playing = reflector, clock, playing
        self._numbers = count()
        self._doorways = self.open(where)

    @property
    def sockets(self) -> list[BatchSocket]:
        return [doorway.socket for doorway in self._doorways]

    @property
    def departures(self) -> list[Departures]:
        return [doorway.departures for doorway in self._doorways]

    def missing(self, where: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
        """Those where it does not answer."""
        there = {doorway.where for doorway in self._doorways}
        return [place for place in where if place not in there]

    def open(self, where: Sequence[tuple[str, int]]) -> list[Doorway]:
        """Bind further places, for `add`; from any thread. Raises ConfigError, nothing stays open then."""
        made: list[Doorway] = []
        try:
            for address, port in where:
                sock = BatchSocket(address, port, transmit_stamps=True, data_size=LONGEST)
                door = Door(next(self._numbers), ipaddress.ip_address(address).packed, sock.port)
                made.append(Doorway((address, port), sock, Departures(sock, self._reflector), door))
        except BaseException:
            for doorway in made:
                doorway.close()
            raise
        return made

    def add(self, doorways: Sequence[Doorway]) -> None:
        """Answer there, too."""
        self._doorways = [*self._doorways, *doorways]

    def beyond(self, wanted: Container[tuple[str, int]]) -> list[BatchSocket]:
        """The sockets of all other places."""
        return [doorway.socket for doorway in self._doorways if doorway.where not in wanted]

    def leave(self, sockets: Container[BatchSocket]) -> None:
        """Close these."""
        gone = [doorway for doorway in self._doorways if doorway.socket in sockets]
        self._doorways = [doorway for doorway in self._doorways if doorway.socket not in sockets]
        for doorway in gone:
            doorway.close()

    def answer(self, error: int) -> None:
        """Answer what waits; error: this host's Error Estimate. Never blocks."""
        for doorway in self._doorways:
            doorway.departures.collect()
            for _ in range(_MOST_BATCHES):
                if self._answer_batch(doorway, error) < BATCH:
                    break

    def close(self) -> None:
        for doorway in self._doorways:
            doorway.close()

    def _answer_batch(self, doorway: Doorway, error: int) -> int:
        """Take one batch; returns how many datagrams it had."""
        sock, departures = doorway.socket, doorway.departures
        if (got := sock.receive()) is None:
            return 0
        now = self._clock.now()
        if not got.stamp_ns.all():
            got.stamp_ns[got.stamp_ns == 0] = now.wall_ns
        if self._playing is not None and (fault := self._playing.fault) is not None:
            self._answer_copy(doorway, fault.passes(got, doorway.door.index, now.mono_ns), error)
            return len(got.length)
        for replies in self._reflector.reflect(got, error, now.mono_ns, doorway.door):
            t3_ns = self._clock.now().wall_ns
            replies.stamp(t3_ns)
            numbers = sock.reply(replies.rows, replies.length, replies.tos)
            departures.sent(numbers, replies, t3_ns, now.mono_ns)
        if departures.on:
            departures.collect()
        return len(got.length)

    def due_ns(self, latest_ns: int) -> int:
        """Monotonic time at which a datagram that a drill holds back is to be answered, or latest_ns."""
        fault = self._playing.fault if self._playing is not None else None
        due_ns = fault.due_ns if fault is not None else None
        return latest_ns if due_ns is None else min(due_ns, latest_ns)

    def drilled(self) -> int:
        """1 when a drill played a fault since the last call, else 0."""
        return int(self._playing is not None and self._playing.played())

    def answer_held(self, error: int) -> None:
        """Look after the drill: begin or end it, and answer what it has held back long enough."""
        if self._playing is None:
            return
        now_ns = self._clock.now().mono_ns
        self._playing.look(now_ns)
        while self._playing.fault is not None and (held := self._playing.fault.due(now_ns)) is not None:
            index, got = held
            for doorway in self._doorways:
                if doorway.door.index == index:
                    self._answer_copy(doorway, got, error)

    def _answer_copy(self, doorway: Doorway, got: Received, error: int) -> None:
        """Answer what is no longer in the socket's own block."""
        if not len(got.length):
            return
        now_ns = self._clock.now().mono_ns
        for replies in self._reflector.reflect(got, error, now_ns, doorway.door):
            t3_ns = self._clock.now().wall_ns
            replies.stamp(t3_ns)
            at = replies.rows
            longest = int(replies.length.max())
            numbers = doorway.socket.send(got.data[at, :longest], got.name[at], replies.length, replies.tos)
            doorway.departures.sent(numbers, replies, t3_ns, now_ns)
