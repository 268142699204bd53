"""Alerting in process: frames of a window in, notices out; nothing is forgotten or told anew by a restart.

`observe` is called with each judged window. What it finds is written to the book together with the memory of
the evaluation, and only then delivered. When the book cannot be written, what was found is kept in memory and
written with the next window.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from alerts.book import Book, Stands
from alerts.causes.explanation import Cause, Explanation, NoSilences, SameThing, Silences
from alerts.causes.located import Recalled
from alerts.causes.unseen import Unseen
from alerts.delivery import Delivery
from alerts.evaluation.evaluate import Change, Evaluator, Window
from alerts.evaluation.thing import Key, once
from alerts.event import Event, Fired, payload, widens
from alerts.receivers.receiver import Receiver
from alerts.receivers.told import Told
from alerts.roll.audience import heard, unreached
from alerts.roll.drills import after_drills, marked, of_drill
from alerts.roll.kept import Kept, read, written
from alerts.roll.roll import Roll
from alerts.roll.shown import as_dict
from alerts.roll.silences import hushed
from alerts.roll.subject import Subjects
from alerts.roll.wider import Wider
from alerts.roll.wording import began, ended, gone
from alerts.rule import TABLES, Rule
from linkgauge.clock import NS_PER_S, Clock
from linkgauge.errors import StoreError
from linkgauge.frame import Frame, concat
from linkgauge.schema import PLACE
from quality.ledger import LEAST_EVENTS_NS

log = logging.getLogger(__name__)
T = TypeVar("T")

MOST_UNWRITTEN = 10_000
LATE_WINDOWS, LATE_NS = 3, 30 * NS_PER_S
"""A window that was due longer ago, by both, is judged late: the collector was away, and agents have yet to
hand over what they measured meanwhile."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """events: what is to be told of this window, in order. frames: PLACE and ALERT rows, by name of the
    table. untold: those of the events that no receiver of ours was told of."""

    events: list[Event] = field(default_factory=list)
    frames: Mapping[str, Frame] = field(default_factory=dict)
    untold: list[Event] = field(default_factory=list)


class AlertEngine:
    """Evaluates `rules` over frames and tells `receivers`. Any thread may call it."""

    def __init__(
        self,
        rules: Sequence[Rule],
        subjects: Subjects,
        book: Book,
        receivers: Sequence[Receiver],
        clock: Clock,
        cause: Cause | None = None,
        silences: Silences | None = None,
        events_ns: int = LEAST_EVENTS_NS,
        due_ns: int = 0,
    ) -> None:
        """Goes on from the book's memory; raises StoreError when it cannot be read. events_ns: how long an
        event is told of. due_ns: how long after its end a window is judged."""
        self._book, self._clock, self._subjects = book, clock, subjects
        self._cause: Cause = cause or SameThing(rules)
        self._silences: Silences = silences or NoSilences()
        self._receivers = tuple(receiver.name for receiver in receivers)
        self._deliveries = [Delivery(book, receiver, clock) for receiver in receivers]
        self._forgetful = [receiver for receiver in receivers if receiver.policy.resend_s is not None]
        self._lock, self._unwritten = threading.Lock(), deque[tuple[str, bytes]]()
        self._unstood: list[Stands] = []
        self._ours, self._wider = set[str](), Wider()  # ids of the alerts that our receivers were told of
        self._counts = dict.fromkeys(
            ("fired", "resolved", "held_back", "windows_ignored", "unwritten_dropped", "cause_failed"), 0
        )
        self._store_trouble, self._due_ns = False, due_ns
        self._tables = {rule.name: rule.table for rule in rules}
        self._aftermaths = {rule.name: rule.aftermath_ns(events_ns) for rule in rules}
        self._evaluator, self._roll, self._unseen = Evaluator(rules), Roll(self._aftermaths), Unseen()
        self._resume(rules, book.memory())

    def start(self) -> None:
        """Begin to deliver, first what was left by an earlier run."""
        for delivery in self._deliveries:
            delivery.start()

    def stop(self) -> None:
        """Stop delivering; what is left stays in the book, which the caller closes."""
        for delivery in self._deliveries:
            delivery.halt()
        for delivery in self._deliveries:
            delivery.stop()

    def observe(self, judged: Mapping[str, Frame], tell: Callable[[Event], bool] = lambda _: True) -> Outcome:
        """Evaluate the frames of a window, by name of their table. Never raises for the disk.

        tell: whether the receivers are told of an event; what they are not told is remembered all the same.
        They are told of the end of what they were told of in any case.
        """
        judged = {name: frame for name, frame in judged.items() if name in TABLES}  # no rule looks at others
        if not any(frame.rows for frame in judged.values()):
            return Outcome()
        window = Window.of(judged)
        with self._lock:
            ignored = self._evaluator.ignored
            self._take(self._evaluator.step(judged, window, self._is_late(window)), judged)
            found = self._asked(
                lambda: once(self._cause.places(judged, self._evaluator, window)), concat(PLACE, [])
            )
            places, unseen = {PLACE.name: found}, self._unseen(self._roll, judged, self._troubles)
            self._take(self._evaluator.step(places, window, unseen=unseen), places)
            self._counts["windows_ignored"] += self._evaluator.ignored > ignored
            events = self._decide(judged, window)
            frames = {**places, "alert": self._roll.rows(window)}
            told = [event for event in events if tell(event) or self._ends_ours(event)]
            known = {id(event) for event in told}
            untold = [event for event in events if id(event) not in known]
            self._write([*told, *self._wider.ends(untold)])
        return Outcome(events, frames, untold)

    def _is_late(self, window: Window) -> bool:
        late_ns = self._due_ns + max(LATE_WINDOWS * window.length_ns, LATE_NS)
        return self._clock.now().wall_ns - window.end_ns > late_ns

    def take_over(self, untold: Sequence[Event], since_ns: int) -> None:
        """Duty begins: tell of these, which nobody told, and of what fires, was to be told at since_ns or
        later (end of its window, Unix ns) and our receivers do not know. Receivers that forget are told from
        now on of all that fires: who told them before is gone."""
        with self._lock:
            named = {event.id for event in untold if not widens(event)} | self._ours
            told = [each.fired for each in self._roll if each.told and each.told_ns >= since_ns]
            late = [fired for fired in told if fired.id not in named]
            self._unstood += self._stands(ours=False)
            whole = {fired.id for fired in late}
            self._write([*late, *(each for each in untold if not (widens(each) and each.id in whole))])

    def watch(self, subjects: Subjects) -> None:
        """From now on these links and nodes; alerts of those that are gone end with the next window."""
        with self._lock:
            self._subjects = subjects
            self._forget(self._clock.now().wall_ns)

    def active(self) -> list[dict[str, Any]]:
        """Alerts that fire now, as JSON-like values: the keys of the webhook, and `told`, `held` (why
        nobody is told), `cause` (id of the alert that explains it) and `unmeasured_since`."""
        with self._lock:
            unmeasured = {each.key: each.unmeasured_since_ns for each in self._evaluator.active()}
            return [as_dict(alert, unmeasured.get(alert.key)) for alert in self._roll]

    def receivers(self) -> list[dict[str, Any]]:
        """How each receiver stands; see Delivery.standing."""
        return [delivery.standing() for delivery in self._deliveries]

    @property
    def counters(self) -> dict[str, int]:
        """Since the start: fired, resolved (told), held_back, windows_ignored, unwritten_dropped,
        cause_failed; now: firing, unwritten; since the book was made: delivered, given_up, dropped, and now
        waiting. Raises StoreError."""
        totals = self._book.totals()
        with self._lock:
            now = {"firing": len(self._roll), "unwritten": len(self._unwritten)}
            return {**self._counts, **now, **totals}

    def _asked(self, ask: Callable[[], T], otherwise: T) -> T:
        """A cause that fails must not silence alerts."""
        try:
            return ask()
        except Exception:
            self._counts["cause_failed"] += 1
            log.exception("looking for the cause of alerts failed; alerts are told without it")
            return otherwise

    def _troubles(self, about: str) -> Mapping[str, str]:
        return self._asked(lambda: self._cause.troubles(about), {})

    def _take(self, changes: Sequence[Change], frames: Mapping[str, Frame]) -> None:
        """Enter what began and ended; an alert of a link that is no longer expected is none."""
        strangers: dict[str, set[str]] = {}
        for change in changes:
            frame = frames[change.watch.table]
            if change.kind == "fires":
                labels = self._subjects.labels(change.watch, frame, change.row)
                if labels is None:
                    strangers.setdefault(change.watch.table, set()).add(change.thing)
                else:
                    if change.watch.table == PLACE.name:
                        labels |= self._subjects.of_place(labels, self._troubles(change.thing))
                    self._roll.begin(change.key, began(change, labels, frame))
            elif (alert := self._roll.get(change.key)) is not None:
                self._roll.end(change.key, ended(change, alert.fired, frame))
        for table, things in strangers.items():
            self._evaluator.forget(table, things)

    def _decide(self, judged: Mapping[str, Frame], window: Window) -> list[Event]:
        breaching: set[Key] = set()
        if (held := self._roll.held()) or any(of_drill(alert) for alert in self._roll):
            breaching = {each.key for each in self._evaluator.active() if each.breaches_now}
        after_drills(self._roll, marked(self._roll, judged, self._tables), breaching, window)

        def silenced(labels: Mapping[str, str]) -> str | None:
            return self._silences.silenced(labels, window)

        silent = hushed(self._roll, silenced, self._troubles, self._subjects.of_link)
        why = {each.id: silent.get(each.id) or silenced(each.labels) for each in self._roll.firing()}
        firing = [each for each in self._roll.firing() if each.id not in silent]
        raw: Mapping[str, Explanation] = self._asked(lambda: self._cause.explained(firing), {})
        waiting = [alert.fired.id for alert in self._roll if not alert.told]
        wider = self._roll.widen(unreached(raw, [each for each in firing if not why[each.id]], waiting))
        explained = heard(raw, [each for each in self._roll.firing() if each.id not in silent])
        events = self._roll.decide(explained, lambda fired: why[fired.id], breaching, window)
        self._counts["held_back"] += max(0, self._roll.held() - held)
        return [*events, *wider]

    def _forget(self, at_ns: int) -> None:
        """End alerts whose rule, link or node is no longer there. It is told, and written to the book, with
        the next window: who is on duty is known then, and a crash until then makes it found anew."""
        for table in ("state", "node"):
            suspects = {thing for each in self._evaluator.suspects(table) for thing in each.things.tolist()}
            self._evaluator.forget(table, {each for each in suspects if not self._subjects.has(table, each)})
        there = {each.key for each in self._evaluator.active()}
        for alert in list(self._roll):
            if alert.key not in there:
                self._roll.end(alert.key, gone(alert.fired, at_ns))

    def _resume(self, rules: Sequence[Rule], snapshot: bytes | None) -> None:
        if snapshot is not None:
            try:
                kept = read(snapshot)
                self._evaluator.restore(kept.memory)
                self._cause.resume(kept.places)
                self._roll, self._ours = Roll(self._aftermaths, kept.alerts), set(kept.ours)
                self._wider = Wider(kept.wider)
            except ValueError as err:
                log.error("the book's memory cannot be used (%s); alerts that fire are told once more", err)
                self._evaluator = Evaluator(rules)
        self._forget(self._clock.now().wall_ns)
        self._book.only_firing(self._told_ids())
        self._unstood = self._stands(ours=True)  # for receivers that are new, or want more than before

    def _told_ids(self) -> set[str]:
        return {alert.fired.id for alert in self._roll if alert.told}

    def _ends_ours(self, event: Event) -> bool:
        return not isinstance(event, Fired) and event.id in self._ours

    def _stands(self, ours: bool) -> list[Stands]:
        """What each receiver that forgets wants to hear again and again of what we told, or others did."""
        told = [each.fired for each in self._roll if each.told and (each.fired.id in self._ours) == ours]
        bodies = [(each.id, payload(each, self._clock.now().wall_ns)) for each in told]
        return [
            Stands(receiver.name, id, body, None)
            for receiver in self._forgetful
            for id, body in bodies
            if receiver.policy.wants(Told.read(body))
        ]

    def _write(self, events: Sequence[Event]) -> None:
        now_ns = self._clock.now().wall_ns
        for event in events:
            self._wider.note(event, self._ours)
            if not widens(event):
                fires = isinstance(event, Fired)
                self._counts["fired" if fires else "resolved"] += 1
                (self._ours.add if fires else self._ours.discard)(event.id)
            self._unwritten.append((event.id, payload(event, now_ns)))
            log.warning("alert %s: %s", event.id, event.summary)
        places, ours = self._asked(self._cause.kept, Recalled()), sorted(self._ours)
        memory, wider = self._evaluator.snapshot(), self._wider.kept()
        kept = written(Kept(memory, self._roll.kept(), ours=ours, places=places, wider=wider))
        firing, stands = self._told_ids(), self._unstood
        try:
            self._book.record(kept, self._unwritten, self._receivers, now_ns, firing, stands)
        except StoreError as err:
            if not self._store_trouble:
                log.error("%s; until then nobody is told of alerts", err)
            self._store_trouble = True
            while len(self._unwritten) > MOST_UNWRITTEN:
                self._unwritten.popleft()
                self._counts["unwritten_dropped"] += 1
            return
        self._store_trouble, self._unstood = False, []
        if self._unwritten:
            self._unwritten.clear()
            for delivery in self._deliveries:
                delivery.wake()
