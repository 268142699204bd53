"""Alerting in process: frames of a window in, notices out; nothing is forgotten or told anew by a restart.

`observe` is called with each judged window. What it finds is written to the book together with the memory of
the evaluation, and only then delivered. When the book cannot be written, what was found is kept in memory and
written with the next window.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alerts.causes.explanation import Cause, Explanation, NoSilences, SameThing, Silences
from alerts.causes.located import Recalled
from alerts.causes.unseen import Unseen
from alerts.delivery.book import Book
from alerts.delivery.delivery import Delivery
from alerts.delivery.unwritten import Unwritten
from alerts.evaluation.evaluate import Change, Evaluator, Window
from alerts.evaluation.thing import Key, once
from alerts.event import Event, Fired, payload, widens
from alerts.guard import Guard
from alerts.ours import Ours
from alerts.receivers.receiver import Receiver
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
from linkgauge.frame import Frame, concat
from linkgauge.schema import PLACE
from quality.ledger import LEAST_EVENTS_NS

log = logging.getLogger(__name__)
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
        self._deliveries = [Delivery(book, receiver, clock) for receiver in receivers]
        self._receivers = tuple(receivers)
        self._lock, self._unwritten = threading.Lock(), Unwritten(book, receivers)
        self._ours, self._guard = Ours(receivers), Guard()
        self._counts = dict.fromkeys(("fired", "resolved", "held_back", "windows_ignored"), 0)
        self._due_ns, self._peer_told_ns = due_ns, 0
        self._tables = {rule.name: rule.table for rule in rules}
        self._aftermaths = {rule.name: rule.aftermath_ns(events_ns) for rule in rules}
        self._evaluator, self._roll, self._unseen = Evaluator(rules), Roll(self._aftermaths), Unseen()
        self._resume(rules, book.memory())
        self._damaged = book.damaged

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
            places = {PLACE.name: self._places(judged, window)}
            unseen = self._unseen(self._roll, judged, self._troubles)
            self._take(self._evaluator.step(places, window, unseen=unseen), places)
            self._counts["windows_ignored"] += self._evaluator.ignored > ignored
            events = self._decide(judged, window)
            frames = {**places, "alert": self._roll.rows(window)}
            told, untold = self._ours.split(events, [tell(event) for event in events], window.end_ns)
            self._write(told)
        return Outcome(events, frames, untold)

    def _is_late(self, window: Window) -> bool:
        late_ns = self._due_ns + max(LATE_WINDOWS * window.length_ns, LATE_NS)
        return self._clock.now().wall_ns - window.end_ns > late_ns

    def take_over(self, untold: Sequence[Event], since_ns: int) -> None:
        """Duty begins: tell of these, which nobody told, and of what fires, was to be told at since_ns or
        later (end of its window, Unix ns) and our receivers do not know. since_ns 0: of what the peer is not
        known to have told by `peer_told`. Receivers that forget are told from now on of all that fires: who
        told them before is gone."""
        with self._lock:
            now_ns = self._clock.now().wall_ns
            known_ns = self._peer_told_ns if self._peer_told_ns <= now_ns else 0  # the clock was set back
            self._unwritten.stand(self._ours.stands(self._roll, False, now_ns))
            self._write(self._ours.missing(self._roll, untold, since_ns or known_ns))

    def peer_told(self, until_ns: int) -> None:
        """The peer, who is on duty, told windows that ended before, Unix ns, for sure; 0: it is not known."""
        with self._lock:
            self._peer_told_ns = until_ns or self._peer_told_ns

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
            lost = {"unwritten_dropped": self._unwritten.dropped, "cause_failed": self._guard.failed}
            now = {"firing": len(self._roll), "unwritten": len(self._unwritten)}
            return {**self._counts, **lost, **now, **totals}

    def _places(self, judged: Mapping[str, Frame], window: Window) -> Frame:
        find, none = self._cause.places, concat(PLACE, [])
        return self._guard("looking for places", lambda: once(find(judged, self._evaluator, window)), none)

    def _troubles(self, about: str) -> Mapping[str, str]:
        return self._guard("looking up what a place explains", lambda: self._cause.troubles(about), {})

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
        none: Mapping[str, Explanation] = {}
        raw = self._guard("looking what explains alerts", lambda: self._cause.explained(firing), none)
        waiting = [alert.fired.id for alert in self._roll if not alert.told]
        wanted = [each for each in firing if not why[each.id]]
        wider: list[Fired] = self._guard(
            "looking for further teams", lambda: self._roll.widen(unreached(raw, wanted, waiting)), []
        )
        hearing = [each for each in self._roll.firing() if each.id not in silent]
        explained = self._guard("looking who hears of a cause", lambda: heard(raw, hearing), none)
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
                self._roll = Roll(self._aftermaths, kept.alerts)
                self._ours = Ours(self._receivers, kept.ours, Wider(kept.wider, kept.passed))
                if kept.peer_told_ns < self._clock.now().wall_ns:  # else the clock was set back since
                    self._peer_told_ns = kept.peer_told_ns
            except ValueError as err:
                log.error("the book's memory cannot be used (%s); alerts that fire are told once more", err)
                self._evaluator = Evaluator(rules)
        self._forget(self._clock.now().wall_ns)
        self._book.only_firing(self._told_ids())
        # for receivers that are new, or want more than before
        self._unwritten.stand(self._ours.stands(self._roll, True, self._clock.now().wall_ns))

    def _told_ids(self) -> set[str]:
        return {alert.fired.id for alert in self._roll if alert.told}

    def _write(self, events: Sequence[Event]) -> None:
        now_ns = self._clock.now().wall_ns
        for event in events:
            self._ours.note(event)
            if not widens(event):
                self._counts["fired" if isinstance(event, Fired) else "resolved"] += 1
            self._unwritten.add(event.id, payload(event, now_ns))
            log.warning("alert %s: %s", event.id, event.summary)
        news = self._unwritten.write(written(self._kept()), self._told_ids(), now_ns)
        if self._book.damaged > self._damaged:
            news = self._tell_anew(events, now_ns)
        if news:
            for delivery in self._deliveries:
                delivery.wake()

    def _tell_anew(self, told: Sequence[Event], now_ns: int) -> bool:
        """The book was lost: nobody knows what of it was delivered. told: events that are in the new one."""
        self._damaged = self._book.damaged
        known = self._ours.known(self._roll, told)
        log.error("the book of alerts was lost; %d alerts that fire are told once more", len(known))
        for fired in known:
            self._unwritten.add(fired.id, payload(fired, now_ns))
        self._unwritten.stand(self._ours.stands(self._roll, True, now_ns))
        return self._unwritten.write(written(self._kept()), self._told_ids(), now_ns) or bool(told)

    def _kept(self) -> Kept:
        wider = self._ours.wider
        return Kept(
            self._evaluator.snapshot(), self._roll.kept(), ours=self._ours.ids,
            places=self._guard("keeping places", self._cause.kept, Recalled()), wider=wider.kept(),
            passed=wider.kept_passed(), peer_told_ns=self._peer_told_ns,
        )  # fmt: skip
