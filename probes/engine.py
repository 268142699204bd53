"""The STAMP engine of an agent: one loop that sends, reflects, receives, and closes windows.

The links of one local address are the columns of one table (`stamp.sessions`); what is due within a
millisecond leaves in one batch. The loop owns its sockets and has a thread of its own; a finished window is
handed to `deliver`, which must not block. Wall-clock steps and its own lateness are noted in the window as
unfitness. Sending begins at the next window's start, so that no two runs ever report the same window.
"""

from __future__ import annotations

import secrets
import select
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import Clock, ClockQuality, Instant, window_start
from linkgauge.code import Unfit
from linkgauge.frame import Frame, concat
from linkgauge.schema import WINDOW
from linkgauge.wire import Plan
from probes.answering import Answering
from probes.raw_name import address_of, raw_name
from probes.sockets import BatchSocket
from probes.stamp.packet import error_estimate, ntp, octets
from probes.stamp.reflector import Reflector
from probes.stamp.sessions import Discard, Sessions, Timing
from probes.stamp.window import Span, window_frame

WARM_UP_NS = 400_000_000
"""Receive stamps are missing for a while after the first socket asked for them: nothing is sent before."""
STEP_NS = 1_000_000
"""A change of wall - monotonic by more than this between two turns of the loop is a clock step."""
_MIN_WAIT_S, _MAX_WAIT_S = 0.001, 0.2
_GRACE_NS = 50_000_000
_NUMBERS = 1 << 14
_UNKNOWN_ERROR_NS = 16_000_000_000


@dataclass(frozen=True, slots=True)
class Fitness:
    """What the engine noted of itself in one window; counters are those of this window alone."""

    start_ns: int
    length_ns: int
    unfit: int
    loop_lag_max_us: float
    receive_dropped: int
    malformed: int
    unmatched: int
    reflected: int
    reflect_refused: int


class _Sender:
    """The sessions that leave from one local address, and their socket."""

    def __init__(self, local: str, links: Sequence[tuple[str, str]], plan: Plan, start_mono_ns: int) -> None:
        self.socket = BatchSocket(local, 0, transmit_stamps=True, dscp=plan.classes[0])
        self.links = [link for link, _ in links]
        names = np.stack([raw_name(peer, plan.stamp_port) for _, peer in links])
        ssid = np.array(_distinct(len(links)), np.uint16)
        interval_ns = plan.stamp_interval_ns
        phase = np.array([secrets.randbelow(interval_ns) for _ in links], np.int64)
        timing = Timing.for_window(interval_ns, plan.stamp_timeout_ns, plan.window_ns)
        self.sessions = Sessions(names, ssid, phase, start_mono_ns, timing)
        self._row = np.zeros(_NUMBERS, np.intp)
        self._seq = np.full(_NUMBERS, -1, np.int64)
        self._renumbered = 0
        self._noted = self._boundary()

    def send_due(self, now: Instant, clock: Clock, error: int) -> int:
        """Send what is due; returns how late the latest was, ns."""
        table = self.sessions
        lag = max(0, now.mono_ns - (table.next_due_ns() or now.mono_ns))
        rows = table.due(now.mono_ns + 1_000_000 - 1)
        if not len(rows):
            return 0
        packets = table.packets(rows, error)
        t1_ns = np.full(len(rows), clock.now().wall_ns, np.int64)
        packets["t1"] = ntp(t1_ns)
        numbers = self.socket.send(octets(packets), table.names[rows])
        seq = table.sent(rows, t1_ns, numbers >= 0)
        taken = numbers >= 0
        if self.socket.renumbered != self._renumbered:
            self._renumbered = self.socket.renumbered
            self._seq.fill(-1)
            return lag
        self._row[numbers[taken] % _NUMBERS] = rows[taken]
        self._seq[numbers[taken] % _NUMBERS] = seq[taken]
        return lag

    def receive(self) -> None:
        """Take transmit stamps and ICMP errors first, so that T1 is exact before the reply is judged."""
        while (returned := self.socket.returned()) is not None:
            if len(returned.number):
                at = returned.number % _NUMBERS
                known = self._seq[at] >= 0
                self.sessions.stamped(self._row[at][known], self._seq[at][known], returned.stamp_ns[known])
            if len(returned.refused):
                self.sessions.refused(returned.refused, returned.refused_length)
        while (got := self.socket.receive()) is not None:
            stamped = got.stamp_ns > 0
            self.sessions.received(
                got.data[stamped], got.length[stamped], got.name[stamped], got.stamp_ns[stamped]
            )

    def span(self, start_ns: int, length_ns: int, own_error_ns: float, unfit: int, under_test: bool) -> Span:
        """What was sent since the last call, as a window."""
        (first, missed), self._noted = self._noted, self._boundary()
        end, missed_now = self._noted
        return Span(start_ns, length_ns, first, end, missed_now - missed, own_error_ns, unfit, under_test)

    def _boundary(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return self.sessions.next_seq.copy(), self.sessions.missed.copy()


@dataclass(frozen=True, slots=True)
class _Closing:
    """A window that has ended and waits for its late replies."""

    due_mono_ns: int
    spans: tuple[Span, ...]
    fitness: Fitness

    def unfit(self, why: Unfit) -> _Closing:
        """The same window, its replies under way being spoiled as well."""
        spans = tuple(replace(span, unfit=span.unfit | why.value) for span in self.spans)
        return _Closing(self.due_mono_ns, spans, replace(self.fitness, unfit=self.fitness.unfit | why.value))


class Engine:
    """Runs a plan. Raises ConfigError when an address cannot be bound.

    bind_ports: local address -> port that the reflector binds there, where it differs from the plan's.
    clock_quality: asked once per window. under_test: says whether a throughput test ran in the window.
    """

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        clock_quality: Callable[[], ClockQuality],
        deliver: Callable[[Frame, Fitness], None],
        under_test: Callable[[int, int], bool],
        bind_ports: Mapping[str, int] | None = None,
    ) -> None:
        self.plan = plan
        self._clock, self._clock_quality = clock, clock_quality
        self._deliver, self._under_test = deliver, under_test
        peers = set(plan.peers)
        self._reflector = Reflector(lambda name: address_of(name) in peers)
        ports = bind_ports or {}
        where = [(ip, ports.get(ip, plan.stamp_port)) for ip in plan.locals]
        self._answering = Answering(where, self._reflector, clock)
        now = clock.now()
        by_local: dict[str, list[tuple[str, str]]] = {}
        for link in plan.links:
            by_local.setdefault(link.local, []).append((link.link, link.peer))
        self._window = window_start(now.wall_ns + WARM_UP_NS, plan.window_ns) + plan.window_ns
        first_mono_ns = now.mono_ns + self._window - now.wall_ns
        self._senders: list[_Sender] = []
        try:
            for local, links in by_local.items():
                self._senders.append(_Sender(local, links, plan, first_mono_ns))
        except BaseException:
            self._close_sockets()
            raise
        self._poll = select.epoll()
        for sock in (*self._answering.sockets, *(s.socket for s in self._senders)):
            self._poll.register(sock.fileno(), select.EPOLLIN)
        self._closing: list[_Closing] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stamp", daemon=True)
        self._set_clock_quality()
        self._lag_ns, self._unfit, self._offset_ns = 0, 0, now.offset_ns
        self._counters = self._count()

    @property
    def alive(self) -> bool:
        """Whether the loop runs; a bug may end it, and the agent then begins anew."""
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop sending, wait for the replies under way, hand over the unfinished window; then close."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._close_sockets()
        self._poll.close()

    def _close_sockets(self) -> None:
        self._answering.close()
        for sender in self._senders:
            sender.socket.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            now = self._turn()
            for sender in self._senders:
                self._lag_ns = max(self._lag_ns, sender.send_due(now, self._clock, self._error))
        self._end_window(self._clock.now(), self._window)
        while self._closing:
            self._turn()

    def _turn(self) -> Instant:
        """Wait for something to do; take what came; close what is due. Returns the time after it."""
        self._poll.poll(self._wait_s(self._clock.now()))
        now = self._clock.now()
        if abs(now.offset_ns - self._offset_ns) > STEP_NS:
            self._unfit |= Unfit.CLOCK_STEP.value
            self._closing = [closing.unfit(Unfit.CLOCK_STEP) for closing in self._closing]
        self._offset_ns = now.offset_ns
        self._answering.answer(self._error)
        for sender in self._senders:
            sender.receive()
        window = window_start(now.wall_ns, self.plan.window_ns)
        set_back = (
            window < self._window - 2 * self.plan.window_ns
        )  # by more than waiting for the first window
        if (window > self._window or set_back) and not self._stop.is_set():
            self._end_window(now, window)
        while self._closing and self._closing[0].due_mono_ns <= now.mono_ns:
            self._close(self._closing.pop(0))
        return now

    def _wait_s(self, now: Instant) -> float:
        due = [s.sessions.next_due_ns() for s in self._senders] if not self._stop.is_set() else []
        due += [closing.due_mono_ns for closing in self._closing[:1]]
        times = [at for at in due if at is not None]
        wait_s = (min(times) - now.mono_ns) / 1e9 if times else _MAX_WAIT_S
        return min(max(wait_s, _MIN_WAIT_S), _MAX_WAIT_S) if wait_s > 0 else 0

    def _end_window(self, now: Instant, next_window: int) -> None:
        start_ns, length_ns = self._window, self.plan.window_ns
        if self._lag_ns > self.plan.stamp_timeout_ns // 2:
            self._unfit |= Unfit.LOOP_LAG.value
        counters = self._count()
        delta = counters - self._counters
        if delta[0]:
            self._unfit |= Unfit.RECEIVE_DROPPED.value
        fitness = Fitness(start_ns, length_ns, self._unfit, self._lag_ns / 1e3, *(int(v) for v in delta))
        busy = self._under_test(start_ns, start_ns + length_ns)
        spans = tuple(
            sender.span(start_ns, length_ns, self._own_error_ns, self._unfit, busy)
            for sender in self._senders
        )
        self._closing.append(_Closing(now.mono_ns + self.plan.stamp_timeout_ns + _GRACE_NS, spans, fitness))
        self._window, self._counters = next_window, counters
        self._lag_ns, self._unfit = 0, 0
        self._set_clock_quality()

    def _close(self, closing: _Closing) -> None:
        klass = str(self.plan.classes[0])
        frames = [
            window_frame(sender.sessions, sender.links, klass, span)
            for sender, span in zip(self._senders, closing.spans, strict=True)
        ]
        self._deliver(concat(WINDOW, frames), closing.fitness)

    def _set_clock_quality(self) -> None:
        try:
            quality = self._clock_quality()
        except OSError:  # a kernel that does not say how good its clock is has one that is not synchronised
            quality = ClockQuality(False, _UNKNOWN_ERROR_NS, 0)
        self._error = error_estimate(quality.error_ns, quality.synchronised)
        self._own_error_ns = float(quality.error_ns) if quality.synchronised else float("nan")

    def _count(self) -> NDArray[np.int64]:
        """receive_dropped, malformed, unmatched, reflected, reflect_refused: since the start."""
        sockets = (*self._answering.sockets, *(s.socket for s in self._senders))
        discarded = sum((s.sessions.discarded for s in self._senders), np.zeros(len(Discard), np.int64))
        malformed = discarded[Discard.SHORT] + discarded[Discard.CORRUPT]
        return np.array(
            [
                sum(sock.dropped for sock in sockets),
                malformed,
                discarded[Discard.UNMATCHED],
                self._reflector.reflected,
                self._reflector.refused.sum(),
            ]
        )


def _distinct(count: int) -> list[int]:
    """Unpredictable distinct SSIDs, not 0 (RFC 8972 section 3)."""
    chosen: dict[int, None] = {}
    while len(chosen) < count:
        chosen[1 + secrets.randbelow(0xFFFF)] = None
    return list(chosen)
