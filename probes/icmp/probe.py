"""ICMP echo rounds: one echo to each target of a batch, and what became of it.

The packets of a round leave in parts of `PART`, one each `PART_NS`: so 1000 targets take 16 ms, and neither
the queues of this host nor those of a switch see them all at once.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence

from linkgauge.clock import NS_PER_S, Clock, SystemClock
from linkgauge.plan import PlanLink
from probes.echo import EchoRound
from probes.icmp.echo_socket import EchoSocket, NoPermission
from probes.icmp.round import Door, Round
from probes.icmp.targets import Targets

WARM_UP_NS = 300_000_000
"""Right after the first socket asks for them the kernel gives no receive stamps."""
_DISCARDED = ("dropped", "malformed", "foreign")


class IcmpProber:
    """Probes from the given local addresses, through one socket each.

    open_door(local, token, ident): opens the socket; raises NoPermission or OSError. An address that is not
    here yet is tried again in each round, its packets are `SEND_FAILED`. unmatched: replies to no packet of
    the round, so to one of an earlier round, or wrong in peer; ICMP errors about none of the last two.
    """

    def __init__(
        self,
        locals_: Sequence[str],
        clock: Clock | None = None,
        open_door: Callable[[str, bytes, int], Door] = EchoSocket,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._locals = tuple(dict.fromkeys(locals_))
        self._clock, self._open_door, self._sleep = clock or SystemClock(), open_door, sleep
        self._token, self._ident = secrets.token_bytes(8), 1 + secrets.randbelow(0xFFFF)
        self._doors: dict[str, Door] = {}
        self._targets = Targets.of([])
        self._serial = 0
        self._before: Round | None = None
        self._lock = threading.Lock()
        self.unavailable: str | None = None
        """Why nothing can be sent at all, in one sentence; None when it can."""
        self.unmatched = 0
        self.discarded = 0
        """Unmatched, and what the sockets dropped, malformed and foreign; as of the end of the last round."""
        self._ready_mono_ns = 0
        self._open()

    def round(self, links: Sequence[PlanLink], timeout_ns: int) -> EchoRound:
        """One echo from link.local to link.peer for each link; takes at most `timeout_ns` after the last.

        Rounds of several threads run one after the other. What came of the packets of the round before may
        still be corrected, in place: an ICMP error that came since makes a lost one unreachable or refused.
        """
        with self._lock:
            self._open()
            self._warm_up()
            if tuple(links) != self._targets.links:
                self._targets = Targets.of(links)
            first = self._serial
            self._serial += len(links)
            one = Round(self._doors, self._targets, first, timeout_ns, self._clock, self._sleep, self._before)
            out = one.run()
            self._before = one
            self.unmatched += one.unmatched
            self.discarded = self.unmatched + sum(map(self.count, _DISCARDED))
            return out

    def count(self, name: str) -> int:
        """Sum over the open sockets of a counter of `EchoSocket`: dropped, malformed, foreign, send_retried
        or send_failed."""
        return sum(int(getattr(door, name)) for door in self._doors.values())

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
            self._sleep(left_ns / NS_PER_S)
