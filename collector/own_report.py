"""What the collector itself reports: verdicts and its own health, journalled like any agent's batch."""

from __future__ import annotations

import contextlib
import math
import secrets
from collections import deque
from collections.abc import Callable

from collector.admission import Refusal
from collector.intake import Intake
from collector.metrics import Metrics
from linkgauge.clock import NS_PER_S, Clock
from linkgauge.errors import StoreError
from linkgauge.frame import Frame
from linkgauge.schema import COLLECTOR
from linkgauge.wire import Batch

AGENT = "@collector"
"""The name under which the collector journals; no node can have it."""
WAITING = 60
"""Batches of our own that wait while the journal cannot be written; then the oldest goes, counted."""


class OwnReport:
    """Called with the STATE rows of each window; adds one COLLECTOR row and journals both."""

    def __init__(
        self,
        name: str,
        intake: Intake,
        backlog: Callable[[str], tuple[int, int | None]],
        sinks: tuple[str, ...],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._name, self._intake, self._backlog, self._sinks = name, intake, backlog, sinks
        self._clock, self._metrics = clock, metrics
        self._boot, self._number = secrets.token_hex(8), 0
        self._waiting: deque[Batch] = deque()

    def publish(self, state: Frame) -> None:
        """Journal the verdicts of one window and how the collector is; keeps them when it cannot."""
        self._publish(state, with_health=True)

    def publish_again(self, state: Frame) -> None:
        """Journal verdicts that replace those of an earlier call."""
        self._publish(state, with_health=False)

    def _publish(self, state: Frame, with_health: bool) -> None:
        now_ns = self._clock.now().wall_ns
        frames = {state.table.name: state} if state.rows else {}
        if state.rows and with_health:
            start_ns, length_ns = int(state.count("start_ns")[0]), int(state.count("length_ns")[0])
            with contextlib.suppress(StoreError):  # the journal's fault is told by the intake
                frames[COLLECTOR.name] = self._health(start_ns, length_ns, now_ns)
        self._number += 1
        self._waiting.append(Batch(AGENT, self._boot, self._number, now_ns, frames))
        if len(self._waiting) > WAITING:
            self._waiting.popleft()
            self._metrics.fault("own_report_dropped")
        self._flush()

    def _flush(self) -> None:
        try:
            while self._waiting:
                self._intake.keep_own(self._waiting[0])
                self._waiting.popleft()
        except Refusal as err:  # the intake has logged it; the batches go with the next window
            self._metrics.refused(err.reason)

    def _health(self, start_ns: int, length_ns: int, now_ns: int) -> Frame:
        return Frame.of(
            COLLECTOR,
            {
                "collector": [self._name],
                "start_ns": [start_ns],
                "length_ns": [length_ns],
                "batches_accepted": [self._metrics.total("batches_accepted")],
                "batches_duplicate": [self._metrics.total("batches_duplicate")],
                "batches_refused": [self._metrics.total("batches_refused")],
                "journal_batches": [max((self._backlog(sink)[0] for sink in self._sinks), default=0)],
                "archive_lag_s": [self._lag_s("archive", now_ns)],
                "influx_lag_s": [self._lag_s("influxdb", now_ns)],
                "rows_rejected": [self._metrics.total("rows_rejected")],
            },
        )

    def _lag_s(self, sink: str, now_ns: int) -> float:
        """Age of the oldest batch that the sink lacks; NaN when there is no such sink."""
        if sink not in self._sinks:
            return math.nan
        oldest_ns = self._backlog(sink)[1]
        return 0.0 if oldest_ns is None else max(0, now_ns - oldest_ns) / NS_PER_S
