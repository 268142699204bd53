"""One round of ICMP echoes: sends, gathers, and judges what became of each packet, in columns."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S, Clock
from linkgauge.code import Unfit
from probes.echo import EchoRound, Fate
from probes.icmp.arrivals import Arrivals, Replies, Returns
from probes.icmp.targets import Targets

PART, PART_NS = 64, 1_000_000
"""So many packets leave together, and then none for the rest of that time."""
_GATHER_S = 0.001
"""The kernel stamps what comes, so nothing is lost by letting more of it come before it is read."""
_TAKE_AFTER = 128
"""So many answers with their stamps fit into the receive queue that a process without privilege gets."""
_LOOKS = 64
"""Most batches taken from one socket at once, so that a flood cannot hold up the round."""

Ints = NDArray[np.int64]


class Door(Protocol):
    """What carries echoes from one local address, see `EchoSocket`."""

    @property
    def dropped(self) -> int: ...
    def send(self, names: NDArray[np.uint8], serial: Ints) -> Ints: ...
    def receive(self) -> Arrivals | None: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class Round:
    """The state of one round; row i has the serial first + i.

    before: the round before this one. Routers look for a host for about 3 s before they say that it is not
    there, so their errors may come when a round is over: they correct it afterwards, in place.
    """

    def __init__(
        self,
        doors: Mapping[str, Door],
        targets: Targets,
        first: int,
        timeout_ns: int,
        clock: Clock,
        sleep: Callable[[float], None],
        before: Round | None = None,
    ) -> None:
        self._doors, self._targets, self._first = doors, targets, first
        self._timeout_ns, self._clock, self._sleep = timeout_ns, clock, sleep
        count = len(targets.links)
        self._out = EchoRound.unsent([link.link for link in targets.links], clock.now().wall_ns)
        self._out.fate[targets.unresolved] = Fate.UNRESOLVED
        self._waiting = np.zeros(count, np.bool_)
        self._called_mono_ns, self._called_wall_ns, self._into_call_ns = np.zeros((3, count), np.int64)
        self._came_mono_ns, self._came_wall_ns, self._left_wall_ns = np.zeros((3, count), np.int64)
        self._sent: dict[Door, list[tuple[Ints, NDArray[np.intp]]]] = {}
        self._stamps: dict[Door, list[Returns]] = {}
        self._before = before
        self.unmatched = 0

    def run(self) -> EchoRound:
        """Send, wait, judge."""
        with selectors.DefaultSelector() as selector:
            for door in self._doors.values():
                selector.register(door, selectors.EVENT_READ)
            self._take()  # what is left of earlier rounds
            dropped = sum(door.dropped for door in self._doors.values())
            self._send()
            self._wait(selector, self._clock.now().mono_ns + self._timeout_ns)
        if sum(door.dropped for door in self._doors.values()) > dropped:
            self._out.unfit[:] |= Unfit.RECEIVE_DROPPED.value
        self._judge()
        self._before = None
        return self._out

    def _send(self) -> None:
        due_mono_ns = untaken = 0
        for local, rows in self._targets.rows.items():
            if (door := self._doors.get(local)) is None:
                continue
            for at in range(0, len(rows), PART):
                if (early_ns := due_mono_ns - self._clock.now().mono_ns) > 0:
                    self._sleep(early_ns / NS_PER_S)
                if untaken >= _TAKE_AFTER:
                    self._take()
                    untaken = 0
                due_mono_ns = self._clock.now().mono_ns + PART_NS
                self._send_part(door, rows[at : at + PART])
                untaken += PART

    def _send_part(self, door: Door, rows: NDArray[np.intp]) -> None:
        before = self._clock.now()
        numbers = door.send(self._targets.name[rows], self._first + rows)
        took_ns = self._clock.now().mono_ns - before.mono_ns
        self._called_mono_ns[rows], self._called_wall_ns[rows] = before.mono_ns, before.wall_ns
        self._into_call_ns[rows] = took_ns * np.arange(len(rows)) // len(rows)
        sent = numbers >= 0
        self._sent.setdefault(door, []).append((numbers[sent], rows[sent]))
        self._out.fate[rows[sent]] = Fate.LOST
        self._waiting[rows[sent]] = True

    def _wait(self, selector: selectors.BaseSelector, deadline_mono_ns: int) -> None:
        """Take answers until the deadline, or until none is missing; second copies have a moment to come."""
        left_ns = 1
        while left_ns > 0:
            left_ns = deadline_mono_ns - self._clock.now().mono_ns
            if self._waiting.any():
                selector.select(max(0, left_ns) / NS_PER_S)
            self._sleep(_GATHER_S)
            self._take()
            if not self._waiting.any():
                return

    def _take(self) -> None:
        for door in self._doors.values():
            for _ in range(_LOOKS):
                if (arrivals := door.receive()) is None:
                    break
                self._replied(arrivals.replies)
                self._returned(door, arrivals.returns)

    def _replied(self, replies: Replies) -> None:
        row, known = self._rows(replies.serial - self._first, replies.name)
        self.unmatched += int((~known).sum())
        stamp_ns, out = replies.stamp_ns[known], self._out
        fresh = np.zeros(len(row), np.bool_)
        fresh[np.unique(row, return_index=True)[1]] = True
        fresh &= np.isin(out.fate[row], (Fate.LOST, Fate.UNREACHABLE))
        out.fate[row[fresh]] = Fate.REPLIED
        self._came_wall_ns[row[fresh]] = stamp_ns[fresh]
        self._came_mono_ns[row[fresh]] = self._clock.now().mono_ns
        self._waiting[row[fresh]] = False
        np.add.at(out.duplicate, row[~fresh & (out.fate[row] == Fate.REPLIED)], 1)

    def _returned(self, door: Door, returns: Returns) -> None:
        strange = self._told(returns, np.ones(len(returns.sequence), np.bool_))
        if self._before is not None:
            strange = self._before._told(returns, strange)
        self.unmatched += int(strange.sum())
        self._stamps.setdefault(door, []).append(returns)

    def _told(self, returns: Returns, some: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Note some of the ICMP errors; says which of them are about no packet of this round."""
        at = np.flatnonzero(some)
        row, known = self._rows((returns.sequence[at] - self._first) & 0xFFFF, returns.name[at])
        told = np.where(returns.refused[at[known]], Fate.REFUSED, Fate.UNREACHABLE)
        lost = self._out.fate[row] == Fate.LOST
        self._out.fate[row[lost]] = told[lost]
        self._waiting[row] = False
        strange = some.copy()
        strange[at[known]] = False
        return strange

    def _rows(self, row: Ints, name: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """(rows of those that are targets of this round at that address, which those are)."""
        known = (row >= 0) & (row < len(self._waiting))
        known[known] = self._targets.are(row[known], name[known])
        return row[known], known

    def _judge(self) -> None:
        """Delays by the kernel's stamps; what the monotonic clock rules out is a step of the wall clock."""
        for door, sent in self._sent.items():
            self._match_stamps(sent, self._stamps.get(door, []))
        out, replied = self._out, self._out.fate == Fate.REPLIED
        within_ns = self._came_mono_ns - self._called_mono_ns
        after_ns = self._left_wall_ns - self._called_wall_ns
        out.stamped[:] = (self._left_wall_ns > 0) & (after_ns >= 0) & (~replied | (after_ns <= within_ns))
        called = self._called_wall_ns > 0
        left_ns = np.where(out.stamped, self._left_wall_ns, self._called_wall_ns + self._into_call_ns)
        out.sent_wall_ns[called] = left_ns[called]
        delay_ns = self._came_wall_ns - left_ns
        sound = (self._came_wall_ns > 0) & (delay_ns >= 0) & (delay_ns <= within_ns)
        out.rtt_ns[replied] = np.where(sound, delay_ns, within_ns)[replied]
        out.fate[replied & (out.rtt_ns > self._timeout_ns)] = Fate.LATE

    def _match_stamps(self, sent: list[tuple[Ints, NDArray[np.intp]]], returns: list[Returns]) -> None:
        """Numbers rise in the order of sending."""
        numbers = np.concatenate([numbers for numbers, _ in sent])
        rows = np.concatenate([rows for _, rows in sent])
        number = np.concatenate([np.empty(0, np.int64), *(one.number for one in returns)])
        stamp_ns = np.concatenate([np.empty(0, np.int64), *(one.stamp_ns for one in returns)])
        at = np.searchsorted(numbers, number)
        at[at == len(numbers)] = 0
        known = numbers[at] == number if len(numbers) else np.zeros(len(number), np.bool_)
        self._left_wall_ns[rows[at[known]]] = stamp_ns[known]
