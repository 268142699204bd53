"""What the collector itself reports: verdicts, nodes, alerts and its own health, journalled like an agent's
batch."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Sequence

from collector.admission import Refusal
from collector.cut import cut
from collector.health.metrics import Metrics
from collector.intake import Intake
from collector.live.judged import Judged
from linkgauge.clock import Clock
from linkgauge.frame import Frame
from linkgauge.schema import MEMBER, NODE, STATE
from linkgauge.wire import Batch

AGENT = "@collector"
"""The name under which the collector journals; no node can have it."""
WAITING = 60
"""Batches of our own that wait while the journal cannot be written; then the oldest goes, counted."""
FEW_ROWS = 1_000
"""A frame of so many rows at most shares a batch with others."""
_OF_DUTY = (STATE.name, NODE.name, MEMBER.name)


class OwnReport:
    """Called with the frames of each window; journals them, and keeps them while it cannot.

    on_duty: whether verdicts and nodes are journalled. Rows about this collector and its sinks always are;
    of places and alerts, all that come here: who finds them knows the duty.
    """

    def __init__(
        self,
        intake: Intake,
        clock: Clock,
        metrics: Metrics,
        on_duty: Callable[[], bool] = lambda: True,
    ) -> None:
        self._intake, self._on_duty = intake, on_duty
        self._clock, self._metrics = clock, metrics
        self._boot, self._number = secrets.token_hex(8), 0
        self._waiting: deque[Batch] = deque()

    def publish(self, judged: Judged) -> None:
        """Journal one window's frames, or those of a window judged again, which replace the former rows."""
        on_duty = self._on_duty()
        self._publish(_batches([judged[name] for name in judged if on_duty or name not in _OF_DUTY]))

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


def _batches(frames: Sequence[Frame]) -> list[dict[str, Frame]]:
    """What each batch has: the verdicts of 100 000 links do not fit into one. Small frames go with the
    first part of a large one."""
    small = {frame.table.name: frame for frame in frames if 0 < frame.rows <= FEW_ROWS}
    large = [{frame.table.name: part} for frame in frames if frame.rows > FEW_ROWS for part in cut(frame)]
    if small:
        large[:1] = [{**small, **(large[0] if large else {})}]
    return large
