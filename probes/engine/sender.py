"""All STAMP sessions of an agent on their sockets: sends what is due in batches, gathers what comes back.

The sessions of one socket (a local address and source port) are rows of one block of ready-made packets. What
arrives stays as octets in one inbox, where the kernel put it with its stamps, until `digest` takes it into
the table of sessions: so a tick costs little more than its system calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import Clock, Instant
from probes.engine.flights import Flights
from probes.sockets.arrival import Received, received, returned
from probes.sockets.message import Inbox
from probes.sockets.port import Port
from probes.sockets.sockets import BATCH, CONTROL_SIZE, ERROR_CONTROL_SIZE
from probes.stamp.sessions import Discard, Sessions
from probes.stamp.timetable import PoissonTimes, Wheel

REPLY_SIZE = 192
"""Octets kept of a reply: all but its padding."""
ERROR_SIZE = 640
_SEND_AT_ONCE = 512
_NEVER_NS = 1 << 62
_MOST_ERRORS = 8_192
_MOST_BATCHES = 64
"""Taken from one socket at a time, so that a flood does not hold the loop."""
LONGEST_UNREAD_NS = 200_000_000
"""What has arrived is taken from the kernel so often, when packets are sent or somebody waits for it."""
LONGEST_UNDIGESTED_NS = 500_000_000

Ints = NDArray[np.int64]
Check = Callable[[Received], NDArray[np.bool_]]


class Sender:
    """sessions: the table, its rows in the order of `wheel`. ports: where they leave; each row has one.

    poisson: sends by these times instead of the wheel's. latest_ns: what is due longer is missed, not sent.
    check: says which received datagrams are authentic. flights: packets of sweeps, which leave here too.
    """

    def __init__(
        self,
        sessions: Sessions,
        ports: Sequence[Port],
        wheel: Wheel,
        start_mono_ns: int,
        latest_ns: int,
        *,
        rows: int,
        flights: Flights,
        poisson: PoissonTimes | None = None,
        check: Check | None = None,
    ) -> None:
        self.sessions, self.ports, self.wheel = sessions, ports, wheel
        self._start_mono_ns, self._latest_ns = start_mono_ns, latest_ns
        self._flights, self._poisson, self._check = flights, poisson, check
        self._kept = np.ones(len(sessions), np.bool_)
        self._runs = _runs(wheel, ports, self._kept)
        self._tick = wheel.next_used(0)
        self._inbox = Inbox(rows, REPLY_SIZE, CONTROL_SIZE)
        self._errors = Inbox(min(max(rows, 512), _MOST_ERRORS), ERROR_SIZE, ERROR_CONTROL_SIZE)
        self._inbox_runs: list[tuple[int, int]] = []
        self._error_runs: list[tuple[int, int]] = []
        self._read_mono_ns = self._digested_mono_ns = self._hurried_until_ns = 0
        self.held: Callable[[], object] | None = None
        """While somebody else reads the table nothing is digested; this waits until he is done."""
        self.unstamped = 0

    def next_due_ns(self) -> int:
        """Monotonic time at which there is something to send, or to read where that is urgent."""
        if not len(self.sessions):
            return _NEVER_NS
        due_ns = self.wheel.due_ns(self._tick, self._start_mono_ns)
        if self._poisson is not None:
            due_ns = self._poisson.wake_ns()
        if self._read_mono_ns < self._hurried_until_ns:
            return min(due_ns, self._read_mono_ns + LONGEST_UNREAD_NS)
        return due_ns

    def begin(self, mono_ns: int) -> None:
        """Have it start so much later than it was made for."""
        self._start_mono_ns += mono_ns
        if self._poisson is not None:
            self._poisson.due_ns += mono_ns

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Send no more for the other sessions; what is under way from them is still awaited."""
        self._kept = kept
        self._runs = _runs(self.wheel, self.ports, kept)

    def hurry(self, until_mono_ns: int) -> None:
        """Until then take what comes without waiting for the next packets to be sent."""
        self._hurried_until_ns = until_mono_ns

    def set_error(self, error: int) -> None:
        """This host's Error Estimate, in all packets from now on."""
        for port in self.ports:
            port.requests.set_error(error)

    def send_due(self, now: Instant, clock: Clock) -> int:
        """Send what is due; returns how late the latest packet was, ns."""
        if not len(self.sessions):
            return 0
        if self._poisson is not None:
            return self._send_poisson(self._poisson, now, clock)
        lag_ns = 0
        while (late_ns := now.mono_ns - self.wheel.due_ns(self._tick, self._start_mono_ns)) >= 0:
            runs = self._runs[self._tick % self.wheel.slots]
            if late_ns > self._latest_ns:
                for _, first, end, _ in runs:
                    self.sessions.missed[first:end] += self.wheel.train
            else:
                for run in runs:
                    self._send_run(*run, clock)
            lag_ns = max(lag_ns, late_ns)
            self._tick = self.wheel.next_used(self._tick + 1)
        return lag_ns

    def _send_run(self, at: int, first: int, end: int, row: int, clock: Clock) -> None:
        """Sessions first..end - 1, from row `row` of the block of port `at` on."""
        port, train, sessions = self.ports[at], self.wheel.train, self.sessions
        count, seq = (end - first) * train, int(sessions.next_seq[first])
        step = train * max(1, _SEND_AT_ONCE // train)
        for begin in range(row, row + count, step):
            stop = min(begin + step, row + count)
            session = first + (begin - row) // train
            t1_ns = clock.now().wall_ns
            port.requests.write(begin, stop, seq, t1_ns)
            odd = port.transmit(begin, stop, seq)
            sessions.sent(session, session + (stop - begin) // train, t1_ns, train)
            if not port.socket.stamping:
                sessions.spread(session, session + (stop - begin) // train, clock.now().wall_ns, train)
            if odd is not None:
                failed = np.flatnonzero(odd < 0) + begin
                sessions.failed(port.session[failed], seq + port.place[failed])

    def _send_poisson(self, times: PoissonTimes, now: Instant, clock: Clock) -> int:
        lag_ns = max(0, now.mono_ns - times.next_ns())
        rows, late = times.due(now.mono_ns, self._latest_ns)
        rows, late = rows[self._kept[rows]], late[self._kept[late]]
        np.add.at(self.sessions.missed, late, 1)
        for port in self.ports:
            mine = np.flatnonzero(np.isin(port.session, rows)) if len(rows) else rows
            if not len(mine):
                continue
            t1_ns = clock.now().wall_ns
            seq = self.sessions.sent_one_each(port.session[mine], t1_ns)
            port.requests.write_each(mine, seq, t1_ns)
            odd = port.transmit_rows(mine, seq)
            if (odd < 0).any():
                self.sessions.failed(port.session[mine][odd < 0], seq[odd < 0])
        return lag_ns

    def read(self, mono_ns: int, force: bool = False) -> None:
        """Take from the kernel what has come, when it is time to; digest it from time to time."""
        full = any(port.unread > port.socket.capacity // 4 for port in self.ports)
        if not (force or full or mono_ns - self._read_mono_ns >= LONGEST_UNREAD_NS):
            return
        self._read_mono_ns = mono_ns
        for at, port in enumerate(self.ports):
            self._empty(at, port, self._errors, self._error_runs, errors=True)
            self._empty(at, port, self._inbox, self._inbox_runs, errors=False)
            port.unread = 0
        if self.held is None and (force or mono_ns - self._digested_mono_ns >= LONGEST_UNDIGESTED_NS):
            self._digested_mono_ns = mono_ns
            self.digest()

    def _empty(self, at: int, port: Port, inbox: Inbox, runs: list[tuple[int, int]], *, errors: bool) -> None:
        for _ in range(_MOST_BATCHES):
            if inbox.used == inbox.rows:
                self.digest()
            room = min(BATCH, inbox.rows - inbox.used)
            count = port.socket.fill(inbox, errors=errors)
            if count:
                runs.append((at, count))
            if count < room:
                return

    def close(self) -> None:
        for port in self.ports:
            port.socket.close()

    def digest(self) -> None:
        """Take what was read into the table: transmit stamps first, so that T1 is exact."""
        if self.held is not None:
            self.held()
        start = 0
        for at, count in self._error_runs:
            found, port = returned(self._errors, start, start + count), self.ports[at]
            start += count
            swept = port.stamped(self.sessions, found.number, found.stamp_ns)
            if swept.any():
                self._flights.stamped(at, found.number[swept], found.stamp_ns[swept])
            if len(found.errors.length):
                errors = self._flights.failed(found.errors)
                self.sessions.refused(at, errors.data, errors.length, errors.reason)
        if self._inbox_runs:
            got = received(self._inbox, 0, self._inbox.used)
            ports, counts = np.array(self._inbox_runs, np.int64).T
            self._take(got, np.repeat(ports, counts))
        self._error_runs.clear()
        self._inbox_runs.clear()
        self._errors.clear()
        self._inbox.clear()

    def _take(self, got: Received, port: Ints) -> None:
        self.unstamped += int((got.stamp_ns == 0).sum())
        keep = ~self._flights.landed(got)
        if self._check is not None:
            authentic = self._check(got)
            self.sessions.discarded[Discard.UNAUTHENTIC] += int((keep & ~authentic).sum())
            keep &= authentic
        if not keep.all():
            got, port = got.take(keep), port[keep]
        if len(port):
            self.sessions.received(port, got, got.ttl, got.tos)


def _runs(
    wheel: Wheel, ports: Sequence[Port], kept: NDArray[np.bool_]
) -> list[list[tuple[int, int, int, int]]]:
    """For each slot what it sends: (port, first and end row of the table, first row of the port's block)."""
    where = {
        int(session): (at, row)
        for at, port in enumerate(ports)
        for row, session in enumerate(port.session)
        if port.place[row] == 0
    }
    slots = []
    for slot in range(wheel.slots):
        runs: list[tuple[int, int, int, int]] = []
        for session in range(int(wheel.begin[slot]), int(wheel.begin[slot + 1])):
            if not kept[session]:
                continue
            at, row = where[session]
            last = runs[-1] if runs else (-1, 0, 0, 0)
            if last[0] == at and last[2] == session and last[3] + (session - last[1]) * wheel.train == row:
                runs[-1] = (at, last[1], session + 1, last[3])
            else:
                runs.append((at, session, session + 1, row))
        slots.append(runs)
    return slots
