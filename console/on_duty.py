"""Alerts of a collector that may be off duty: the engine always follows, receivers hear only its own.

On duty everything is told, first what happened in the last windows before, because the peer was perhaps gone
already. Off duty only the end of what was told on duty, and what is about this collector and its sinks: who
else would tell it? The rows for the stores follow the same rule.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence

import numpy as np

from alerts.engine import AlertEngine, Outcome
from alerts.event import Event, Fired
from alerts.subject import Subjects
from collector.live.judged import Judged
from linkgauge.frame import concat
from linkgauge.inventory import Inventory
from linkgauge.model import LinkSpec
from linkgauge.schema import ALERT

HANDED_OVER = 4
"""Windows whose events are told late, when duty begins."""


class DutyObserver:
    """Called with each window's frames; hands over new links first when the inventory has changed."""

    def __init__(
        self,
        engine: AlertEngine,
        specs: Callable[[], Sequence[LinkSpec]],
        on_duty: Callable[[], bool],
        inventory: Callable[[], Inventory | None] = lambda: None,
        own_rules: Collection[str] = (),
    ) -> None:
        """own_rules: rules about the collector itself and its sinks."""
        self._engine, self._specs, self._on_duty, self._inventory = engine, specs, on_duty, inventory
        self._own_rules = frozenset(own_rules)
        self._watched = specs(), inventory()
        self._told: set[str] = set()
        self._untold: deque[Outcome] = deque(maxlen=HANDED_OVER)

    def __call__(self, judged: Judged) -> Judged:
        """Returns the rows of places and alerts that this collector has to keep."""
        if (now := (self._specs(), self._inventory())) != self._watched:
            self._engine.watch(Subjects(*now))
            self._watched = now
        if not self._on_duty():
            return self._follow(judged)
        kept = list(self._untold)
        self._untold.clear()
        late = [event for outcome in kept for event in outcome.events]
        if late:
            self._engine.tell(late)
        outcome = self._engine.observe(judged)
        for event in [*late, *outcome.events]:
            self._note(event)
        return _joined([*(each.frames for each in kept), outcome.frames])

    def _follow(self, judged: Judged) -> Judged:
        """Off duty: what is not told is kept for a while, in case that duty begins."""
        outcome = self._engine.observe(judged, self._is_told)
        others = [event for event in outcome.events if not self._is_told(event)]
        alerts = outcome.frames.get(ALERT.name)
        own = np.array([rule in self._own_rules for rule in alerts.text("rule")] if alerts else [], np.bool_)
        rows = {**outcome.frames, **({ALERT.name: alerts.take(~own)} if alerts else {})}
        self._untold.append(Outcome(others, rows))
        for event in outcome.events:
            if not isinstance(event, Fired) or self._is_own(event):
                self._note(event)
        return {ALERT.name: alerts.take(own)} if alerts else {}

    def _note(self, event: Event) -> None:
        (self._told.add if isinstance(event, Fired) else self._told.discard)(event.id)

    def _is_told(self, event: Event) -> bool:
        """Whether it is told off duty too."""
        return self._is_own(event) or (not isinstance(event, Fired) and event.id in self._told)

    def _is_own(self, event: Event) -> bool:
        fired = event if isinstance(event, Fired) else event.fired
        return fired.labels["rule"] in self._own_rules


def _joined(windows: Sequence[Judged]) -> Judged:
    """The rows of several windows, table by table."""
    names = dict.fromkeys(name for frames in windows for name in frames)
    each = {name: [frames[name] for frames in windows if name in frames] for name in names}
    return {name: concat(frames[0].table, frames) for name, frames in each.items()}
