"""Alerts of a collector that may be off duty: the engine always follows, receivers hear only its own.

On duty everything is told, first what happened in the last windows before, because the peer was perhaps gone
already. Off duty only the end of what was told on duty: nobody else would tell it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from alerts.engine import AlertEngine
from alerts.event import Event, Fired
from alerts.subject import Subjects
from collector.live.judged import Judged
from linkgauge.inventory import Inventory
from linkgauge.model import LinkSpec

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
    ) -> None:
        self._engine, self._specs, self._on_duty, self._inventory = engine, specs, on_duty, inventory
        self._watched = specs(), inventory()
        self._told: set[str] = set()
        self._untold: deque[list[Event]] = deque(maxlen=HANDED_OVER)

    def __call__(self, judged: Judged) -> Judged | None:
        """Returns the rows of places and alerts, when on duty."""
        if (now := (self._specs(), self._inventory())) != self._watched:
            self._engine.watch(Subjects(*now))
            self._watched = now
        if not self._on_duty():
            events = self._engine.observe(judged, self._ends_ours).events
            self._untold.append([event for event in events if not self._ends_ours(event)])
            self._told.difference_update(event.id for event in events if not isinstance(event, Fired))
            return None
        late = [event for events in self._untold for event in events]
        self._untold.clear()
        if late:
            self._engine.tell(late)
        outcome = self._engine.observe(judged)
        for event in [*late, *outcome.events]:
            (self._told.add if isinstance(event, Fired) else self._told.discard)(event.id)
        return outcome.frames

    def _ends_ours(self, event: Event) -> bool:
        return not isinstance(event, Fired) and event.id in self._told
