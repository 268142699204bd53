"""The roll of alerts that fire: which were told, which are held back and why, and their rows of ALERT. Pure.

An alert that something explains, or that nobody wants to hear of, is held back. It is told when that has
ended, the aftermath of its rule is over, and it still breaches its bound: what only looks back on the
trouble is not told anew. Once told it is not taken back, and its end is told; the end of an alert that was
never told is not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import msgspec

from alerts.causes.explanation import Explanation
from alerts.evaluation.evaluate import Window
from alerts.evaluation.thing import Key
from alerts.event import Event, Fired, Resolved
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.schema import ALERT


class Alert(msgspec.Struct):
    """An alert that fires. held: why nobody was told yet; empty: it was told."""

    rule: str
    direction: str
    thing: str
    fired: Fired
    told: bool = False
    held: str = ""
    held_ns: int = 0
    """End of the last window in which there was a reason to hold it back."""
    by: str = ""
    """Id of the alert that explains it now."""
    told_ns: int = 0
    """End of the window with which it was told."""
    hushed: str = ""
    """Of an alert that was told: why nobody wants to hear of it any more."""
    drill_ns: int = 0
    """Of an alert of a drill: end of the last window in which the drill went on."""

    @property
    def key(self) -> Key:
        return self.rule, self.direction, self.thing


class Roll:
    """Alerts that fire, in the order in which they began. aftermaths: ns by rule."""

    def __init__(self, aftermaths: Mapping[str, int], alerts: Sequence[Alert] = ()) -> None:
        self._aftermaths = aftermaths
        self._alerts = {alert.key: alert for alert in alerts}
        self._ended: list[tuple[Alert, Resolved]] = []

    def __len__(self) -> int:
        return len(self._alerts)

    def __iter__(self) -> Iterator[Alert]:
        return iter(self._alerts.values())

    def get(self, key: Key) -> Alert | None:
        return self._alerts.get(key)

    def begin(self, key: Key, fired: Fired) -> None:
        self._alerts[key] = Alert(*key, fired)

    def end(self, key: Key, resolved: Resolved) -> None:
        self._ended.append((self._alerts.pop(key), resolved))

    def kept(self) -> list[Alert]:
        """What has to be known after a restart: also alerts whose end is told with the next window."""
        return [*(alert for alert, _ in self._ended), *self._alerts.values()]

    def firing(self) -> list[Fired]:
        return [alert.fired for alert in self._alerts.values()]

    def held(self) -> int:
        """How many are held back."""
        return sum(1 for alert in self._alerts.values() if alert.held)

    def decide(
        self,
        explained: Mapping[str, Explanation],
        silenced: Callable[[Fired], str | None],
        breaching: Collection[Key],
        window: Window,
    ) -> list[Event]:
        """What is to be told at the end of this window. breaching: alerts that breach in it."""
        events: list[Event] = [resolved for alert, resolved in self._ended if alert.told]
        for alert in self._alerts.values():
            explanation = explained.get(alert.fired.id)
            alert.by = explanation.by if explanation else ""
            if alert.told:
                alert.hushed = silenced(alert.fired) or ""
                continue
            if explanation and explanation.place:
                alert.fired = msgspec.structs.replace(alert.fired, place=explanation.place)
            why = explanation.why or alert.by if explanation and alert.by else silenced(alert.fired)
            if why:
                alert.held, alert.held_ns = why, window.end_ns
            elif not alert.held or self._comes_out(alert, breaching, window):
                alert.fired = msgspec.structs.replace(alert.fired, held=alert.held)
                alert.told, alert.held, alert.told_ns = True, "", window.end_ns
                events.append(alert.fired)
        return events

    def widen(self, teams: Mapping[str, Sequence[str]]) -> list[Fired]:
        """Further teams that have to hear of alerts, by id; returns what they are to be told of those that
        were told already."""
        events: list[Fired] = []
        for alert in self._alerts.values() if teams else ():
            if not (more := teams.get(alert.fired.id)):
                continue
            fired = alert.fired
            if alert.told:
                alert.fired = msgspec.structs.replace(fired, teams_later=(*fired.teams_later, *more))
                why = f"it explains alerts of {', '.join(more)} only now"
                events.append(msgspec.structs.replace(alert.fired, teams_now=tuple(more), held=why))
            else:
                first = fired.labels.get("teams", fired.labels["team"])
                labels = {**fired.labels, "teams": ",".join([first, *more])}
                alert.fired = msgspec.structs.replace(fired, labels=labels)
        return events

    def rows(self, window: Window) -> Frame:
        """ALERT: a row for each alert that fires, and one for each that ended with this window."""
        ended = [(one, 0, over.summary) for one, over in self._ended if one.key not in self._alerts]
        self._ended.clear()
        rows = [*((alert, 1, alert.fired.summary) for alert in self._alerts.values()), *ended]
        fired = [alert.fired for alert, *_ in rows]
        keys = {key: [each.labels.get(key, "") for each in fired] for key in ALERT.keys if key != "about"}
        columns = {
            **keys,
            "about": [each.about for each in fired],
            "start_ns": [window.start_ns] * len(rows),
            "length_ns": [window.length_ns] * len(rows),
            "firing": [firing for _, firing, _ in rows],
            "held_back": [int(not alert.told) for alert, *_ in rows],
            "since_s": [(window.end_ns - each.since_ns) / NS_PER_S for each in fired],
            "cause": [alert.by for alert, *_ in rows],
            "summary": [summary for *_, summary in rows],
        }
        return Frame.of(ALERT, columns)

    def outlives_drill(self, alert: Alert, breaching: Collection[Key], window: Window) -> bool:
        """Whether an alert still breaches a whole window and its aftermath after its drill."""
        after_ns = self._aftermaths.get(alert.rule, 0) + window.length_ns
        return alert.key in breaching and window.end_ns - alert.drill_ns > after_ns

    def _comes_out(self, alert: Alert, breaching: Collection[Key], window: Window) -> bool:
        after_ns = self._aftermaths.get(alert.rule, 0)
        return alert.key in breaching and window.end_ns - alert.held_ns > after_ns
