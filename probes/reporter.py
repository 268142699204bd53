"""From finished windows to batches in the outbox: what an agent reports, and its own health.

The engine hands over a window's STAMP rows, the rounds of the other probes and everything else theirs at any
time; each delivery of the engine makes one batch with what else is complete. A window may come again with a
higher revision: that is one more row with the same key. `heartbeat` makes a batch of its own with the health
of the agent, so an agent whose engine has died still says so.
"""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from linkgauge.clock import NS_PER_S, NS_PER_US, Clock, ClockQuality, window_start
from linkgauge.code import Unfit
from linkgauge.errors import StoreError
from linkgauge.frame import Frame, concat
from linkgauge.schema import HEALTH, TABLES, WINDOW
from linkgauge.wire import Batch, encode
from probes.discards import Discards
from probes.echo import EchoRound
from probes.echo_windows import Conditions, EchoWindows
from probes.engine.noted import Fitness
from probes.fitness import HostSpan
from probes.notice import Notice
from probes.upload.outbox import Outbox
from probes.upload.upload import Uploads

_log = logging.getLogger(__name__)
_SILENT_WINDOWS = 3
_REMEMBERED = 64
"""Windows whose fitness is kept for the echo windows that are complete later."""
SPOILS_ECHOES = Unfit.CLOCK_STEP.value | Unfit.SUSPENDED.value | Unfit.CPU_STARVED.value
"""A late loop of the engine makes no echo late: each round has its own clock. These spoil both."""
_NOTED = tuple(
    field.name for field in HEALTH.fields if field.name in {own.name for own in dataclasses.fields(Fitness)}
)
"""Columns of HEALTH that the engine notes under the same name."""
_REFUSED = tuple(field.name for field in HEALTH.fields if field.name.startswith("refused_"))


@dataclass(frozen=True, slots=True)
class _Stop:
    """Put into the queue last: everything that is left is reported."""


class Reporter:
    """Makes the batches of agent `node` in this `boot`. `stored` is called after each, to wake the upload.

    plan_age_s: time since a collector confirmed the plan, NaN when none ever did. host: what the host did to
    the agent between two times on the wall clock, ns; under_test: whether a throughput test ran then.
    uploads: how the sending goes.
    """

    def __init__(
        self,
        node: str,
        boot: str,
        outbox: Outbox,
        clock: Clock,
        clock_quality: Callable[[], ClockQuality],
        host: Callable[[int, int], HostSpan],
        stored: Callable[[], None],
        plan_age_s: Callable[[], float],
        under_test: Callable[[int, int], bool],
        uploads: Callable[[], Uploads] = Uploads,
    ) -> None:
        self._node, self._boot, self._outbox = node, boot, outbox
        self._clock, self._clock_quality, self._host = clock, clock_quality, host
        self._stored, self._plan_age_s, self._under_test = stored, plan_age_s, under_test
        self._uploads = uploads
        self._queue: queue.SimpleQueue[tuple[Mapping[str, Frame], Fitness] | _Stop] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._echoes = EchoWindows(clock)
        self._added: list[Frame] = []
        self.discards = Discards()
        """Of the probers that run."""
        self._fitness: dict[int, Fitness] = {}
        self._last: Fitness | None = None
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

    def deliver(self, frames: Mapping[str, Frame], fitness: Fitness) -> None:
        """Rows of the engine, by table, and how fit it was in their window; never blocks."""
        self._queue.put((frames, fitness))

    def echo(self, probe: str, run: Callable[[], EchoRound]) -> None:
        """Run a round of another probe; the windows that it may touch wait for its end."""
        self._echoes.run(probe, run)

    def missed(self, probe: str) -> None:
        """A round of another probe was due now and did not begin."""
        self._echoes.missed(probe)

    def add(self, frame: Frame) -> None:
        """Rows of any table that wait for nothing: sweeps, events, certificates, throughput tests."""
        if frame.rows:
            with self._lock:
                self._added.append(frame)

    def heartbeat(self, window_ns: int) -> None:
        """Report the agent's health for the window that has just ended."""
        start_ns = window_start(self._clock.now().wall_ns, window_ns) - window_ns
        row = {"agent": self._node, "start_ns": start_ns, "length_ns": window_ns}
        row |= self._own_health(start_ns) | self._host_health(start_ns, start_ns + window_ns)
        self._put({"health": Frame.of(HEALTH, {name: [value] for name, value in row.items()})})

    def _own_health(self, start_ns: int) -> dict[str, Any]:
        """What the engine noted in its last window; nothing when it has been silent for some."""
        last = self._last
        if last is None or abs(start_ns - last.start_ns) > _SILENT_WINDOWS * last.length_ns:
            return {"fit": 0}
        noted = {name: getattr(last, name) for name in _NOTED}
        refused = last.refused_loop + sum(noted[name] for name in _REFUSED if name in noted)
        return {"fit": int(last.unfit == 0), "reflect_refused": refused} | noted

    def _host_health(self, start_ns: int, end_ns: int) -> dict[str, Any]:
        quality, host = self._clock_quality(), self._host(start_ns, end_ns)
        cpu_s, self._cpu_s = time.process_time() - self._cpu_s, time.process_time()
        return {
            **self.discards.take(),
            "clock_synchronised": int(quality.synchronised),
            "clock_error_us": quality.error_ns / NS_PER_US,
            **self._outbox_health(),
            "plan_age_s": self._plan_age_s(),
            "cpu_s": cpu_s,
            "cpu_steal_ratio": host.cpu_steal_ratio,
            "cpu_throttled_s": host.cpu_throttled_s,
            "suspended_s": host.suspended_s,
        }

    def _outbox_health(self) -> dict[str, Any]:
        counts, uploads = self._outbox.counts(), self._uploads()
        now_ns = self._clock.now().wall_ns
        oldest_ns = now_ns if counts.oldest_ns is None else counts.oldest_ns
        return {
            "outbox_batches": counts.waiting,
            "outbox_octets": counts.waiting_octets,
            "outbox_oldest_s": max(0, now_ns - oldest_ns) / NS_PER_S,
            "outbox_added": counts.produced,
            "outbox_acknowledged": counts.acknowledged,
            "outbox_rejected": counts.rejected,
            "outbox_dropped": counts.dropped + counts.unstored,
            "upload_failed": uploads.failed,
            "upload_deferred": uploads.deferred,
            "upload_address": uploads.address,
        }

    def _run(self) -> None:
        while not isinstance(item := self._queue.get(), _Stop):
            frames, fitness = item
            if not _revised(frames):
                self._note(fitness)
            self._report(frames, self._clock.now().wall_ns)
        self._report({}, None)

    def _note(self, fitness: Fitness) -> None:
        if self._last is not None and fitness.start_ns < self._last.start_ns:
            self._fitness = {}
            dropped = self._echoes.begin_anew()
            _log.warning("the wall clock was set back; %d rounds of echoes are dropped", dropped)
        self._last = fitness
        self._fitness[fitness.start_ns] = fitness
        if len(self._fitness) > _REMEMBERED:
            del self._fitness[min(self._fitness)]

    def _report(self, frames: Mapping[str, Frame], now_ns: int | None) -> None:
        """One batch: the engine's rows, and the rounds whose windows are complete by now (None: all)."""
        length_ns = self._last.length_ns if self._last else 10 * NS_PER_S
        with self._lock:
            added, self._added = self._added, []
        parts: dict[str, list[Frame]] = {}
        for frame in (*frames.values(), *self._echoes.take(length_ns, now_ns, self._conditions), *added):
            if frame.rows:
                parts.setdefault(frame.table.name, []).append(frame)
        if parts:
            self._put({name: concat(TABLES[name], same) for name, same in parts.items()})

    def _conditions(self, start_ns: int, length_ns: int) -> Conditions:
        """Of an echo window: unfit as the engine noted for the same window, else as the host says."""
        noted, end_ns = self._fitness.get(start_ns), start_ns + length_ns
        bits = noted.unfit if noted is not None else self._host(start_ns, end_ns).unfit
        return Conditions(bits & SPOILS_ECHOES, self._under_test(start_ns, end_ns))

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


def _revised(frames: Mapping[str, Frame]) -> bool:
    """Whether these are windows that were reported before: their fitness is old news."""
    windows = frames.get(WINDOW.name)
    return windows is not None and windows.rows > 0 and bool((windows.count("revision") > 0).all())
