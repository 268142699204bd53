"""From finished windows to batches in the outbox: what an agent reports, and its own health.

The engine hands over a window's STAMP rows, the rounds of the other probes and the throughput tests theirs at
any time; each STAMP window makes one batch with what else is complete. `heartbeat` makes a batch of its own
with the health of the agent, so an agent whose engine has died still says so.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from linkgauge.clock import NS_PER_S, NS_PER_US, Clock, ClockQuality, window_start
from linkgauge.code import Unfit
from linkgauge.errors import StoreError
from linkgauge.frame import Frame, concat
from linkgauge.schema import HEALTH, THROUGHPUT, WINDOW
from linkgauge.wire import Batch, encode
from probes.echo import EchoRound, window_frame
from probes.engine import Fitness
from probes.notice import Notice
from probes.outbox import Outbox

_log = logging.getLogger(__name__)
_SILENT_WINDOWS = 3


@dataclass(frozen=True, slots=True)
class _Stop:
    """Put into the queue last: everything that is left is reported."""


class Reporter:
    """Makes the batches of agent `node` in this `boot`. `stored` is called after each, to wake the upload.

    plan_age_s: time since a collector confirmed the plan, NaN when none ever did.
    """

    def __init__(
        self,
        node: str,
        boot: str,
        outbox: Outbox,
        clock: Clock,
        clock_quality: Callable[[], ClockQuality],
        stored: Callable[[], None],
        plan_age_s: Callable[[], float],
    ) -> None:
        self._node, self._boot, self._outbox = node, boot, outbox
        self._clock, self._clock_quality = clock, clock_quality
        self._stored, self._plan_age_s = stored, plan_age_s
        self._queue: queue.SimpleQueue[tuple[Frame, Fitness] | _Stop] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._rounds: dict[str, list[EchoRound]] = {}
        self._tests: list[Frame] = []
        self._fitness: dict[int, Fitness] = {}
        self._last: Fitness | None = None
        self._running: dict[object, tuple[str, int]] = {}
        self._reported: dict[str, int] = {}
        self._cpu_s = time.process_time()
        self._store = Notice(_log)
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Report what is left, then end."""
        self._queue.put(_Stop())
        if self._thread.is_alive():
            self._thread.join()

    def deliver(self, frame: Frame, fitness: Fitness) -> None:
        """A window of the engine; never blocks."""
        self._queue.put((frame, fitness))

    def echo(self, probe: str, run: Callable[[], EchoRound]) -> None:
        """Run a round of another probe; the windows that it may touch wait for its end."""
        token = object()
        with self._lock:
            self._running[token] = (probe, self._clock.now().wall_ns)
        try:
            done = run()
            with self._lock:
                self._rounds.setdefault(probe, []).append(done)
        finally:
            with self._lock:
                del self._running[token]

    def tested(self, frame: Frame) -> None:
        """A throughput test has ended."""
        with self._lock:
            self._tests.append(frame)

    def heartbeat(self, window_ns: int) -> None:
        """Report the agent's health for the window that has just ended."""
        now = self._clock.now()
        start_ns = window_start(now.wall_ns, window_ns) - window_ns
        last = self._last
        silent = last is None or abs(start_ns - last.start_ns) > _SILENT_WINDOWS * last.length_ns
        quality, counts = self._clock_quality(), self._outbox.counts()
        cpu_s, self._cpu_s = time.process_time() - self._cpu_s, time.process_time()
        row = {
            "agent": [self._node],
            "start_ns": [start_ns],
            "length_ns": [window_ns],
            "fit": [int(last is not None and not silent and last.unfit == 0)],
            "clock_synchronised": [int(quality.synchronised)],
            "clock_error_us": [quality.error_ns / NS_PER_US],
            "outbox_batches": [counts.waiting],
            "outbox_dropped": [counts.dropped + counts.unstored],
            "plan_age_s": [self._plan_age_s()],
            "cpu_s": [cpu_s],
        }
        if last is not None and not silent:
            names = ("loop_lag_max_us", "receive_dropped", "malformed", "unmatched", "reflected")
            row |= {name: [getattr(last, name)] for name in (*names, "reflect_refused")}
        self._put({"health": Frame.of(HEALTH, row)})

    def _run(self) -> None:
        while not isinstance(item := self._queue.get(), _Stop):
            frame, fitness = item
            if self._last is not None and fitness.start_ns < self._last.start_ns:
                self._begin_anew(self._clock.now().wall_ns)
            self._last = fitness
            self._fitness[fitness.start_ns] = fitness
            self._report(frame, self._clock.now().wall_ns)
        self._report(concat(WINDOW, []), None)

    def _begin_anew(self, now_ns: int) -> None:
        """The wall clock was set back: echoes sent at times that have not come again belong to no window."""
        with self._lock:
            dropped = 0
            for probe, rounds in self._rounds.items():
                self._rounds[probe] = [
                    r for r in rounds if len(r.link) and int(r.sent_wall_ns.max()) <= now_ns
                ]
                dropped += len(rounds) - len(self._rounds[probe])
            self._reported, self._fitness = {}, {}
        _log.warning("the wall clock was set back; %d rounds of echoes are dropped", dropped)

    def _report(self, frame: Frame, now_ns: int | None) -> None:
        """One batch: the engine's rows, and the rounds whose windows are complete by now (None: all)."""
        length_ns = self._last.length_ns if self._last else 10 * NS_PER_S
        with self._lock:
            tests, self._tests = self._tests, []
            echoes = [self._take_echoes(probe, length_ns, now_ns) for probe in self._rounds]
        windows = concat(WINDOW, [frame, *echoes])
        frames = {"window": windows, "throughput": concat(THROUGHPUT, tests)}
        frames = {name: made for name, made in frames.items() if made.rows}
        if frames:
            self._put(frames)

    def _take_echoes(self, probe: str, length_ns: int, now_ns: int | None) -> Frame:
        rounds = self._rounds[probe]
        sent = np.concatenate([np.empty(0, np.int64), *(r.sent_wall_ns for r in rounds)])
        starts = sorted({window_start(int(at), length_ns) for at in np.unique(sent)})
        begun = [at for running, at in self._running.values() if running == probe]
        open_from = min([now_ns, *begun]) if now_ns is not None else None
        complete = [
            start
            for start in starts
            if start > self._reported.get(probe, 0) and (open_from is None or start + length_ns <= open_from)
        ]
        frames = []
        for start in complete:
            fitness = self._fitness.get(start)
            # a late loop makes no echo late: each round has its own clock; a stepped clock spoils both
            unfit = fitness.unfit & Unfit.CLOCK_STEP.value if fitness else 0
            frames.append(window_frame(rounds, probe, start, length_ns, unfit))
        if complete:
            end = complete[-1] + length_ns
            self._rounds[probe] = [r for r in rounds if len(r.link) and int(r.sent_wall_ns.max()) >= end]
            self._reported[probe] = complete[-1]
            self._fitness = {at: kept for at, kept in self._fitness.items() if at >= complete[0]}
        return concat(WINDOW, frames)

    def _put(self, frames: dict[str, Frame]) -> None:
        created_ns = self._clock.now().wall_ns
        rows = sum(frame.rows for frame in frames.values())

        def body(number: int) -> bytes:
            return encode(Batch(self._node, self._boot, number, created_ns, frames))

        try:
            self._outbox.put(self._boot, body, rows, created_ns)
        except StoreError as err:
            self._store.trouble("store", str(err))
            return
        self._store.over(f"{self._outbox.path}: batches are stored again")
        self._stored()
