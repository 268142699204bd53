"""Alerting in process: states of links in, notices out; nothing is forgotten or told anew by a restart.

`observe` is called with each judged window. What it finds is written to the book together with the memory of
the evaluation, and only then delivered. When the book cannot be written, what was found is kept in memory and
written with the next window.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from alerts.book import Book
from alerts.delivery import Delivery
from alerts.evaluate import Active, Evaluator
from alerts.event import Event, Fired, payload, rfc3339
from alerts.receivers.receiver import Receiver
from alerts.rule import Rule
from linkgauge.clock import Clock
from linkgauge.errors import StoreError
from linkgauge.frame import Frame
from linkgauge.model import LinkSpec

log = logging.getLogger(__name__)

MOST_UNWRITTEN = 10_000


class AlertEngine:
    """Evaluates `rules` over the links of `specs` and tells `receivers`. Any thread may call it."""

    def __init__(
        self,
        rules: Sequence[Rule],
        specs: Sequence[LinkSpec],
        book: Book,
        receivers: Sequence[Receiver],
        clock: Clock,
    ) -> None:
        """Goes on from the book's memory; raises StoreError when it cannot be read."""
        self._rules, self._book, self._clock = tuple(rules), book, clock
        self._receivers = tuple(receiver.name for receiver in receivers)
        self._deliveries = [Delivery(book, receiver, clock) for receiver in receivers]
        self._lock = threading.Lock()
        self._unwritten: deque[tuple[str, bytes]] = deque()
        self._counts = {"fired": 0, "resolved": 0, "windows_ignored": 0, "unwritten_dropped": 0}
        self._store_trouble = False
        self._evaluator = Evaluator(rules, specs)
        self._resume(book.memory())

    def start(self) -> None:
        """Begin to deliver, first what was left by an earlier run."""
        for delivery in self._deliveries:
            delivery.start()

    def stop(self) -> None:
        """Stop delivering; what is left stays in the book, which the caller closes."""
        for delivery in self._deliveries:
            delivery.stop()

    def observe(self, state: Frame, tell: Callable[[Event], bool] = lambda _: True) -> list[Event]:
        """Evaluate the STATE rows of a window; returns what began and ended. Never raises for the disk.

        tell: whether the receivers are told of an event; what they are not told is remembered all the same.
        """
        with self._lock:
            ignored = self._evaluator.ignored
            events = self._evaluator.step(state)
            self._counts["windows_ignored"] += self._evaluator.ignored - ignored
            self._write([event for event in events if tell(event)])
        return events

    def tell(self, events: Sequence[Event]) -> None:
        """Tell the receivers of events that `observe` returned and did not tell."""
        with self._lock:
            self._write(events)

    def watch(self, specs: Sequence[LinkSpec]) -> None:
        """From now on these links; alerts of links that are gone end."""
        with self._lock:
            snapshot = self._evaluator.snapshot()
            self._evaluator = Evaluator(self._rules, specs)
            self._write(self._evaluator.restore(snapshot))

    def active(self) -> list[dict[str, Any]]:
        """Alerts that fire now, as JSON-like values: the keys of the webhook, and `unmeasured_since`."""
        with self._lock:
            active = self._evaluator.active()
        return [_as_dict(each) for each in active]

    @property
    def counters(self) -> dict[str, int]:
        """Since the start: fired, resolved, windows_ignored, unwritten_dropped; now: firing, unwritten;
        since the book was made: delivered, given_up, dropped, and now waiting. Raises StoreError."""
        totals = self._book.totals()
        with self._lock:
            firing, unwritten = len(self._evaluator.active()), len(self._unwritten)
            return {**self._counts, "firing": firing, "unwritten": unwritten, **totals}

    def _resume(self, snapshot: bytes | None) -> None:
        if snapshot is None:
            return
        try:
            self._write(self._evaluator.restore(snapshot))
        except ValueError as err:
            log.error("the book's memory cannot be used (%s); alerts that fire are told once more", err)

    def _write(self, events: Sequence[Event]) -> None:
        now_ns = self._clock.now().wall_ns
        for event in events:
            self._counts["fired" if isinstance(event, Fired) else "resolved"] += 1
            self._unwritten.append((event.id, payload(event, now_ns)))
            log.warning("alert %s: %s", event.id, event.summary)
        while len(self._unwritten) > MOST_UNWRITTEN:
            self._unwritten.popleft()
            self._counts["unwritten_dropped"] += 1
        try:
            self._book.record(self._evaluator.snapshot(), self._unwritten, self._receivers, now_ns)
        except StoreError as err:
            if not self._store_trouble:
                log.error("%s; until then nobody is told of alerts", err)
            self._store_trouble = True
            return
        self._store_trouble = False
        if self._unwritten:
            self._unwritten.clear()
            for delivery in self._deliveries:
                delivery.wake()


def _as_dict(active: Active) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.json.decode(payload(active.fired, active.fired.at_ns))
    for name in ("version", "notification", "created_at"):
        del told[name]
    if active.unmeasured_since_ns is None:
        return {**told, "unmeasured_since": None}
    since = rfc3339(active.unmeasured_since_ns)
    summary = f"{told['summary']}; it has not been judged since {since}"
    return {**told, "summary": summary, "unmeasured_since": since}
