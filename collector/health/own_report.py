"""What the collector itself reports: verdicts and its own health, journalled like any agent's batch."""

from __future__ import annotations

import contextlib
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from collector.admission import Refusal
from collector.cut import cut
from collector.health.metrics import Metrics
from collector.intake import Intake
from linkgauge.clock import Clock
from linkgauge.errors import StoreError
from linkgauge.frame import Frame
from linkgauge.own_tables import COLLECTOR
from linkgauge.wire import Batch

AGENT = "@collector"
"""The name under which the collector journals; no node can have it."""
WAITING = 60
"""Batches of our own that wait while the journal cannot be written; then the oldest goes, counted."""
Health = Callable[[], Mapping[str, float | int | str]]


class OwnReport:
    """Called with the STATE rows of each window; adds one COLLECTOR row and journals both.

    health: the fields of that row; it may raise StoreError. on_duty: whether verdicts are journalled.
    """

    def __init__(
        self,
        name: str,
        intake: Intake,
        health: Health,
        clock: Clock,
        metrics: Metrics,
        on_duty: Callable[[], bool] = lambda: True,
    ) -> None:
        self._name, self._intake, self._health, self._on_duty = name, intake, health, on_duty
        self._clock, self._metrics = clock, metrics
        self._boot, self._number = secrets.token_hex(8), 0
        self._waiting: deque[Batch] = deque()

    def publish(self, state: Frame) -> None:
        """Journal the verdicts of one window and how the collector is; keeps them when it cannot."""
        batches = self._verdicts(state)
        if state.rows:
            start_ns, length_ns = int(state.count("start_ns")[0]), int(state.count("length_ns")[0])
            with contextlib.suppress(StoreError):  # the journal's fault is told by the intake
                row = self._row(start_ns, length_ns)
                batches = [{**(batches[0] if batches else {}), COLLECTOR.name: row}, *batches[1:]]
        self._publish(batches)

    def publish_again(self, state: Frame) -> None:
        """Journal verdicts that replace those of an earlier call."""
        self._publish(self._verdicts(state))

    def _verdicts(self, state: Frame) -> list[dict[str, Frame]]:
        """What each batch has: those of 100 000 links do not fit into one."""
        return [{state.table.name: part} for part in cut(state)] if state.rows and self._on_duty() else []

    def _publish(self, batches: Sequence[dict[str, Frame]]) -> None:
        for frames in batches:
            self._number += 1
            now_ns = self._clock.now().wall_ns
            self._waiting.append(Batch(AGENT, self._boot, self._number, now_ns, frames))
        while len(self._waiting) > WAITING:
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

    def _row(self, start_ns: int, length_ns: int) -> Frame:
        fields = {name: [value] for name, value in self._health().items()}
        keys = {"collector": [self._name], "start_ns": [start_ns], "length_ns": [length_ns]}
        return Frame.of(COLLECTOR, {**keys, **fields})
