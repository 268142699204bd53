"""ICMP echo rounds: one echo to each target of a batch, and what became of it."""

from __future__ import annotations

import ipaddress
import secrets
import selectors
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from linkgauge.clock import NS_PER_S, Clock, Instant, SystemClock
from linkgauge.wire import PlanLink
from probes.echo import EchoRound, Fate
from probes.icmp.echo_socket import Arrival, EchoSocket, NoPermission

WARM_UP_NS = 300_000_000
"""Right after the first socket asks for them the kernel's receive stamps are those of reading."""
_DRAIN_EVERY = 64


class EchoDoor(Protocol):
    """What carries echoes from one local address."""

    def send(self, peer: str, serial: int) -> None: ...
    def receive(self) -> list[Arrival]: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class IcmpProber:
    """Probes from the given local addresses, through one socket each.

    open_door(local, token, ident): opens the socket; raises NoPermission or OSError. An address that is not
    here yet is tried again in each round, its packets are `SEND_FAILED`. unmatched: replies to no packet of
    the round, so to one of an earlier round, or wrong in peer.
    """

    def __init__(
        self,
        locals_: Sequence[str],
        clock: Clock | None = None,
        open_door: Callable[[str, bytes, int], EchoDoor] = EchoSocket,
    ) -> None:
        self._locals, self._clock, self._open_door = (
            tuple(dict.fromkeys(locals_)),
            clock or SystemClock(),
            open_door,
        )
        self._token, self._ident = secrets.token_bytes(8), 1 + secrets.randbelow(0xFFFF)
        self._doors: dict[str, EchoDoor] = {}
        self._serial = 0
        self._lock = threading.Lock()
        self.unavailable: str | None = None
        """Why nothing can be sent at all, in one sentence; None when it can."""
        self.unmatched = 0
        self._ready_mono_ns = 0
        self._open()

    def round(self, links: Sequence[PlanLink], timeout_ns: int) -> EchoRound:
        """One echo from link.local to link.peer for each link; takes at most `timeout_ns` after the last.

        Rounds of several threads run one after the other.
        """
        with self._lock:
            self._open()
            self._warm_up()
            first = self._serial
            self._serial += len(links)
            return _Round(self, links, first, timeout_ns).run()

    def close(self) -> None:
        """Close the sockets when the round under way has ended; later rounds send nothing."""
        with self._lock:
            self._locals = ()
            for door in self._doors.values():
                door.close()
            self._doors.clear()

    def _open(self) -> None:
        for local in self._locals:
            if local in self._doors or self.unavailable:
                continue
            try:
                self._doors[local] = self._open_door(local, self._token, self._ident)
            except NoPermission as err:
                self.unavailable = str(err)
            except OSError:
                continue  # the address is not here: its packets count as not sent
            if self._ready_mono_ns == 0:
                self._ready_mono_ns = self._clock.now().mono_ns + WARM_UP_NS

    def _warm_up(self) -> None:
        left_ns = self._ready_mono_ns - self._clock.now().mono_ns
        if self._doors and left_ns > 0:
            time.sleep(left_ns / NS_PER_S)


class _Round:
    """The state of one round; row i has the serial first + i."""

    def __init__(self, prober: IcmpProber, links: Sequence[PlanLink], first: int, timeout_ns: int) -> None:
        self._prober, self._links, self._first, self._timeout_ns = prober, links, first, timeout_ns
        self._clock, self._doors = prober._clock, prober._doors
        self._peers = [_normal(link.peer) for link in links]
        self._out = EchoRound.unsent([link.link for link in links], self._clock.now().wall_ns)
        self._sent_mono_ns = [0] * len(links)
        self._open = 0

    def run(self) -> EchoRound:
        with selectors.DefaultSelector() as selector:
            for door in self._doors.values():
                self._take(door)  # what is left of earlier rounds
                selector.register(door, selectors.EVENT_READ)
            for row in range(len(self._links)):
                self._send(row)
                if row % _DRAIN_EVERY == _DRAIN_EVERY - 1:
                    self._wait(selector, 0)
            self._wait(selector, self._clock.now().mono_ns + self._timeout_ns)
        return self._out

    def _wait(self, selector: selectors.BaseSelector, deadline_mono_ns: int) -> None:
        """Take answers until the deadline, or until none is missing; with 0 what is there already."""
        while self._open:
            left_ns = deadline_mono_ns - self._clock.now().mono_ns
            for key, _ in selector.select(max(0, left_ns) / NS_PER_S):
                door = key.fileobj
                assert not isinstance(door, int)
                self._take(door)  # type: ignore[arg-type]  # only doors are registered
            if left_ns <= 0:
                return

    def _send(self, row: int) -> None:
        peer, door = self._peers[row], self._doors.get(self._links[row].local)
        if peer is None:
            self._out.fate[row] = Fate.UNRESOLVED
            return
        if door is None:
            return
        for _ in range(2):
            now = self._clock.now()
            self._out.sent_wall_ns[row], self._sent_mono_ns[row] = now.wall_ns, now.mono_ns
            try:
                door.send(peer, self._first + row)
            except OSError:
                self._take(door)  # an earlier packet's ICMP error fails this call instead: try again
                continue
            self._out.fate[row] = Fate.LOST
            self._open += 1
            return

    def _take(self, door: EchoDoor) -> None:
        for arrival in door.receive():
            now = self._clock.now()
            if arrival.serial is None:
                self._refused((arrival.sequence - self._first) & 0xFFFF, arrival.peer)
            else:
                self._replied(arrival.serial - self._first, arrival, now)

    def _replied(self, row: int, arrival: Arrival, now: Instant) -> None:
        if not 0 <= row < len(self._links) or self._peers[row] != _normal(arrival.peer):
            self._prober.unmatched += 1
        elif self._out.fate[row] == Fate.LOST:
            self._out.answered(
                row, Fate.REPLIED, self._delay_ns(row, arrival.stamp_ns, now), self._timeout_ns
            )
            self._open -= 1
        elif self._out.fate[row] in (Fate.REPLIED, Fate.LATE):
            self._out.duplicate[row] += 1

    def _refused(self, row: int, peer: str) -> None:
        if row < len(self._links) and self._peers[row] == _normal(peer) and self._out.fate[row] == Fate.LOST:
            self._out.fate[row] = Fate.REFUSED
            self._open -= 1

    def _delay_ns(self, row: int, stamp_ns: int, now: Instant) -> float:
        """By the kernel's stamp; but what the monotonic clock does not allow is a step of the wall clock."""
        bound_ns = now.mono_ns - self._sent_mono_ns[row]
        by_stamp_ns = stamp_ns - int(self._out.sent_wall_ns[row])
        return float(by_stamp_ns if stamp_ns and 0 <= by_stamp_ns <= bound_ns else bound_ns)


def _normal(address: str) -> str | None:
    """One text for one address; None when it is none."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return None
