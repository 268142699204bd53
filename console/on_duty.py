"""Alerts of a collector that may be off duty: the engine always follows, receivers hear only its own.

On duty everything is told, first what the peer did not tell for sure: it was perhaps gone, or its judge stood
still, for a while before anybody knew. Off duty only the end of what was told on duty, and what is about this
collector and its sinks: who else would tell it? The rows for the stores follow the same rule.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from alerts.engine import AlertEngine
from alerts.evaluation.evaluate import Window
from alerts.event import Event, Fired
from alerts.roll.subject import Subjects
from collector.live.judged import Judged
from linkgauge.frame import concat
from linkgauge.inventory import Inventory
from linkgauge.model import LinkSpec
from linkgauge.schema import ALERT

MOST_KEPT = 1_000
"""Windows of which something is kept, in case that duty begins."""


@dataclass(frozen=True, slots=True)
class _Untold:
    """What nobody told of a window here. end_ns: its end, Unix ns. events may be empty, and so may frames."""

    end_ns: int
    events: Sequence[Event]
    frames: Judged


class DutyObserver:
    """Called with each window's frames; hands over new links first when the inventory has changed."""

    def __init__(
        self,
        engine: AlertEngine,
        specs: Callable[[], Sequence[LinkSpec]],
        on_duty: Callable[[], bool],
        inventory: Callable[[], Inventory | None] = lambda: None,
        own_rules: Collection[str] = (),
        peer_told_ns: Callable[[], int] = lambda: 0,
    ) -> None:
        """own_rules: rules about the collector itself and its sinks. peer_told_ns: windows that ended before
        it, Unix ns, were told by the peer for sure."""
        self._engine, self._specs, self._on_duty, self._inventory = engine, specs, on_duty, inventory
        self._own_rules = frozenset(own_rules)
        self._watched = specs(), inventory()
        self._peer_told_ns = peer_told_ns
        self._off = True  # also at the start: what an earlier life was told by nobody is told then
        self._untold: deque[_Untold] = deque(maxlen=MOST_KEPT)

    def __call__(self, judged: Judged) -> Judged:
        """Returns the rows of places and alerts that this collector has to keep."""
        if (now := (self._specs(), self._inventory())) != self._watched:
            self._engine.watch(Subjects(*now))
            self._watched = now
        if not self._on_duty():
            return self._follow(judged)
        kept = self._begin() if self._off else []
        return _joined([*kept, self._engine.observe(judged).frames])

    def _begin(self) -> list[Judged]:
        """Duty begins: tell what nobody told; returns the rows of it."""
        since_ns = self._trim()
        kept = list(self._untold)
        self._untold.clear()
        self._off = False
        self._engine.take_over([event for each in kept for event in each.events], since_ns)
        return [each.frames for each in kept]

    def _follow(self, judged: Judged) -> Judged:
        """Off duty: what is not told is kept for a while, in case that duty begins."""
        self._off = True
        self._engine.peer_told(self._peer_told_ns())
        outcome = self._engine.observe(judged, self._is_own)
        alerts = outcome.frames.get(ALERT.name)
        own = np.array([rule in self._own_rules for rule in alerts.text("rule")] if alerts else [], np.bool_)
        rows = {**outcome.frames, **({ALERT.name: alerts.take(~own)} if alerts else {})}
        if outcome.untold or any(frame.rows for frame in rows.values()):
            self._untold.append(_Untold(Window.of(judged).end_ns, outcome.untold, rows))
        self._trim()
        return {ALERT.name: alerts.take(own)} if alerts else {}

    def _trim(self) -> int:
        """Drop what the peer told for sure; returns until when, Unix ns."""
        since_ns = self._peer_told_ns()
        while self._untold and self._untold[0].end_ns < since_ns:
            self._untold.popleft()
        return since_ns

    def _is_own(self, event: Event) -> bool:
        fired = event if isinstance(event, Fired) else event.fired
        return fired.labels["rule"] in self._own_rules


def _joined(windows: Sequence[Judged]) -> Judged:
    """The rows of several windows, table by table."""
    names = dict.fromkeys(name for frames in windows for name in frames)
    each = {name: [frames[name] for frames in windows if name in frames] for name in names}
    return {name: concat(frames[0].table, frames) for name, frames in each.items()}
