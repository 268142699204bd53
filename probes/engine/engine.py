"""The STAMP engine of an agent: one loop that sends, reflects, receives, and closes windows.

The loop owns its sockets and has a thread of its own; what it finds is handed to `deliver`, which must not
block. It wakes for the next tick of the timetable and for what is to be answered; replies to its own packets
wait in the kernel with their stamps until it comes by. Wall-clock steps, its own lateness and what its host
suffered are noted in the window as unfitness. Sending begins at the next window's start, so that no two runs
ever report the same window.

A plan that follows takes over at a window's start, exactly: until then the links of the former are sent for,
from then on those of the new one, so every window of a link that stands in both has one row. Links that are
the same in both, probed in the same way, do not notice; of the others the packets under way are still
awaited, and what is no longer sent counts as nothing. The reflector goes on over all plans.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from linkgauge.clock import DRIFT, Clock, ClockQuality, Instant, window_start
from linkgauge.code import Unfit
from linkgauge.frame import Frame
from linkgauge.plan import Plan
from probes.engine.answering import Doorway, Drill
from probes.engine.closing import FLOW_NS
from probes.engine.counters import Counters
from probes.engine.crew import Ended, Shift
from probes.engine.flight import Caught, Flight
from probes.engine.noted import Fitness
from probes.engine.roster import Roster
from probes.engine.self_probe import SelfProbe, Told
from probes.engine.sender import Sender
from probes.engine.waiting import Waiting
from probes.engine.welcome import Welcome
from probes.sockets.timer import be_punctual
from probes.stamp.packet import error_estimate
from probes.stamp.window import Span

WARM_UP_NS = 400_000_000
"""Receive stamps are missing for a while after the first socket asked for them: nothing is sent before."""
STEP_NS = 1_000_000
"""A change of wall - monotonic by more than this between two turns of the loop is a clock step."""
_MAX_WAIT_NS = 200_000_000
_GRACE_NS = 50_000_000
_UNKNOWN_ERROR_NS = 16_000_000_000
_NO_NUMBERS = np.empty(0, np.int64)


Deliver = Callable[[dict[str, Frame], Fitness], None]


class Engine:
    """Runs a plan. Raises ConfigError when an address cannot be bound.

    clock_quality: asked once per window. under_test: says whether a throughput test ran in the window.
    bind_ports: local address -> port that the reflector binds there, where it differs from the plan's. keys:
    peer address -> HMAC key, for an authenticated plan. caught: takes what came of sweeps. host_unfit: Unfit
    bits of the host between two wall-clock times. flow_ns: how often flows are told.
    """

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        clock_quality: Callable[[], ClockQuality],
        deliver: Deliver,
        under_test: Callable[[int, int], bool],
        bind_ports: Mapping[str, int] | None = None,
        *,
        keys: Mapping[str, bytes] | None = None,
        caught: Callable[[Caught], None] | None = None,
        host_unfit: Callable[[int, int], int] | None = None,
        flow_ns: int = FLOW_NS,
        playing: Drill | None = None,
    ) -> None:
        self._clock, self._clock_quality = clock, clock_quality
        self._deliver, self._under_test = deliver, under_test
        self._caught, self._host_unfit = caught, host_unfit
        known = dict(keys or {}) if plan.authenticated else {}
        now = clock.now()
        self._window = window_start(now.wall_ns + WARM_UP_NS, plan.window_ns) + plan.window_ns
        first_mono_ns = now.mono_ns + self._window - now.wall_ns
        self._launches: queue.SimpleQueue[Flight] = queue.SimpleQueue()
        self._doorways: queue.SimpleQueue[Sequence[Doorway]] = queue.SimpleQueue()
        self._self: SelfProbe | None = None
        self._senders: list[Sender] = []
        self._welcome = Welcome(plan, clock, dict(bind_ports or {}), known, playing)
        try:
            self._roster = Roster(plan, known, flow_ns, first_mono_ns)
            self._senders = self._roster.senders
            if (port := self._welcome.self_port) is not None:
                self._self = SelfProbe(plan, port, first_mono_ns)
                self._welcome.know(self._self)
                self._senders.append(self._self.sender)
            self._waiting = Waiting(self._welcome.answering.sockets)
        except BaseException:
            self._close_sockets()
            raise
        self._closing: list[Ended] = []
        self._closer = ThreadPoolExecutor(1, "stamp-windows")
        self._closed: Future[Sequence[Shift]] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stamp", daemon=True)
        self._error, self._own_error_ns, self._tai_offset_s = 0, float("nan"), 0
        self._set_clock_quality()
        self._lag_ns, self._unfit, self._offset_ns = 0, 0, now.offset_ns
        answering, reflector = self._welcome.answering, self._welcome.reflector
        self._counters = Counters(answering, reflector, self._senders, self._roster.closings)

    @property
    def plan(self) -> Plan:
        """The plan in force."""
        return self._roster.plan

    @property
    def alive(self) -> bool:
        """Whether the loop runs; a bug may end it, and the agent then begins anew."""
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop sending, wait for the replies under way, hand over the unfinished window; then close."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._waiting.wake()
        if self._thread.is_alive():
            self._thread.join()
        self._closer.shutdown()
        self._waiting.close()
        self._roster.discard()
        self._close_sockets()

    def _close_sockets(self) -> None:
        while not self._doorways.empty():
            self._welcome.answering.add(self._doorways.get())
        self._welcome.answering.close()
        for sender in self._senders:
            sender.close()

    def expect(self, plan: Plan) -> None:
        """Answer the peers of a plan that is to take over later, and where it says; thread safe.

        Raises ConfigError when something cannot be bound.
        """
        self._doorways.put(self._welcome.open(plan))
        self._welcome.expect(plan)
        self._waiting.wake()

    def follow(self, plan: Plan) -> int:
        """Have a plan of the same windows take over; thread safe. Returns from which window on, Unix ns.

        Raises ConfigError when something cannot be bound; all stays as it is then.
        """
        self.expect(plan)
        return self._roster.prepare(plan, self._clock)

    def sweep(self, flight: Flight) -> None:
        """Send the packets of a flight soon; thread safe. What comes of them goes to `caught`."""
        self._launches.put(flight)
        self._waiting.wake()

    def _run(self) -> None:
        be_punctual()
        while not self._stop.is_set():
            now = self._turn()
            for sender in self._senders:
                self._lag_ns = max(self._lag_ns, sender.send_due(now, self._clock))
            self._launch()
        self._end_window(self._clock.now(), self._window)
        while self._closing or self._closed is not None:
            self._turn()

    def _turn(self) -> Instant:
        """Wait for something to do; take what came; close what is due. Returns the time after it."""
        now = self._clock.now()
        wanted = self._waiting.until(self._next_ns(now), now.mono_ns)
        now = self._clock.now()
        if abs(now.offset_ns - self._offset_ns) > STEP_NS:
            self._unfit |= Unfit.CLOCK_STEP.value
            self._closing = [closing.unfit(Unfit.CLOCK_STEP.value) for closing in self._closing]
        self._offset_ns = now.offset_ns
        if wanted:
            answered = self._welcome.reflector.reflected
            self._welcome.answering.answer(self._error)
            self._waiting.answered(self._welcome.reflector.reflected - answered, now.mono_ns)
        self._welcome.answering.answer_held(self._error)
        for sender in self._senders:
            sender.read(now.mono_ns)
        for caught in self._roster.caught():
            if self._caught is not None:
                self._caught(caught)
        window = window_start(now.wall_ns, self.plan.window_ns)
        set_back = window < self._window - 2 * self.plan.window_ns  # more than waiting for the first window
        if (window > self._window or set_back) and not self._stop.is_set():
            self._end_window(now, window)
        self._close_due(now)
        return now

    def _next_ns(self, now: Instant) -> int:
        """Monotonic time at which there is something to do unless something comes."""
        times = [self._welcome.answering.due_ns(now.mono_ns + _MAX_WAIT_NS)]
        if self._closed is None:
            times += [closing.due_mono_ns for closing in self._closing[:1]]
        if self._stop.is_set():
            return min(times)
        end_ns = self._window + self.plan.window_ns - now.offset_ns
        return min(*times, end_ns, *(sender.next_due_ns() for sender in self._senders))

    def _launch(self) -> None:
        while not self._doorways.empty():
            doorways = self._doorways.get()
            self._welcome.answering.add(doorways)
            self._waiting.watch([doorway.socket for doorway in doorways])
        while not self._launches.empty():
            self._roster.launch(self._launches.get(), self._error, self._clock)

    def _end_window(self, now: Instant, next_window: int) -> None:
        start_ns, length_ns = self._window, self.plan.window_ns
        if self._lag_ns > self.plan.stamp_timeout_ns // 2:
            self._unfit |= Unfit.LOOP_LAG.value
        if self._host_unfit is not None:
            self._unfit |= self._host_unfit(start_ns, start_ns + length_ns)
        noted = self._counters.noted()
        if self._counters.replies_dropped():
            self._unfit |= Unfit.RECEIVE_DROPPED.value
        nan = float("nan")
        fitness = Fitness(
            start_ns, length_ns, self._unfit, self._lag_ns / 1e3, **noted,
            self_rtt_p50_us=nan, self_rtt_max_us=nan, self_lost=0, drill=self._welcome.answering.drilled(),
        )  # fmt: skip
        span = Span(
            start_ns, length_ns, _NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS, self._own_error_ns,
            self._tai_offset_s, self._unfit, self._under_test(start_ns, start_ns + length_ns),
            self._welcome.heard(self.plan),
        )  # fmt: skip
        due_mono_ns = now.mono_ns + self.plan.stamp_timeout_ns + _GRACE_NS
        own = self._self.closings.end(span) if self._self else None
        self._closing.append(Ended(due_mono_ns, self._roster.end(span), own, fitness))
        self._window, self._lag_ns, self._unfit = next_window, 0, 0
        if self._roster.take_over(now, next_window):
            self._welcome.took_over(now.mono_ns)
        self._set_clock_quality()
        if departing := self._welcome.departing(self.plan, now.mono_ns):
            self._counters.leave(sockets=departing)
            self._welcome.answering.leave(departing)

    def _close_due(self, now: Instant) -> None:
        """Have a window reported, by another thread: large ones take longer than a tick may be late.

        Until it is done nothing is written into the tables but new packets.
        """
        if self._closed is not None and self._closed.done():
            shifts = self._closed.result()
            self._closed = None
            for sender in self._senders:
                sender.held = None
            self._roster.dismiss(shifts, self._counters)
        if self._closed is None and self._closing and self._closing[0].due_mono_ns <= now.mono_ns:
            for sender in self._senders:
                sender.read(now.mono_ns, force=True)
            closing = self._closing.pop(0)
            self._closed = self._closer.submit(self._close, closing)
            self._closed.add_done_callback(lambda _: self._waiting.wake())
            for sender in self._senders:
                sender.held = self._closed.result

    def _close(self, closing: Ended) -> Sequence[Shift]:
        told = self._self.told(closing.self_span) if self._self and closing.self_span else Told()
        closing = closing.unfit(told.unfit)
        last = self._stop.is_set() and not self._closing
        frames = closing.frames(last)
        fitness = replace(
            closing.fitness,
            self_rtt_p50_us=told.rtt_p50_us,
            self_rtt_max_us=told.rtt_max_us,
            self_lost=told.lost,
        )
        self._deliver(frames, fitness)
        return closing.shifts

    def _set_clock_quality(self) -> None:
        try:
            quality = self._clock_quality()
        except OSError:  # a kernel that does not say how good its clock is has one that is not synchronised
            quality = ClockQuality(False, _UNKNOWN_ERROR_NS, 0)
        error_ns = quality.error_ns + self.plan.window_ns // DRIFT  # by the end of the window
        self._error = error_estimate(error_ns, quality.synchronised)
        self._own_error_ns = float(error_ns) if quality.synchronised else float("nan")
        self._tai_offset_s = quality.tai_offset_s
        for sender in self._senders:
            sender.set_error(self._error)
