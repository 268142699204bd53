"""Alerts of drills that outlive them: they end as a drill's, and begin anew as real ones. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from alerts.evaluation.evaluate import Window
from alerts.evaluation.thing import Key, things
from alerts.event import Fired, Resolved
from alerts.roll.roll import Alert, Roll
from linkgauge.frame import Frame


def of_drill(alert: Alert) -> bool:
    return alert.fired.labels.get("drill") == "true"


def marked(alerts: Iterable[Alert], judged: Mapping[str, Frame], tables: Mapping[str, str]) -> set[Key]:
    """Alerts of drills of whose thing the window says that one goes on, or says nothing. tables: by rule."""
    drilled = {
        name: set(things(frame)[frame.count("drill") == 1].tolist())
        for name, frame in judged.items()
        if "drill" in frame.columns
    }
    return {
        alert.key
        for alert in alerts
        if of_drill(alert)
        for things_drilled in (drilled.get(tables.get(alert.rule, "")),)
        if things_drilled is None or alert.thing in things_drilled
    }


def after_drills(roll: Roll, going_on: Collection[Key], breaching: Collection[Key], window: Window) -> None:
    """End alerts of drills that are over, and begin those that still breach as real ones. going_on: see
    `marked`."""
    for alert in [each for each in roll if of_drill(each)]:
        if alert.key in going_on or not alert.drill_ns:
            alert.drill_ns = window.end_ns
        elif roll.outlives_drill(alert, breaching, window):
            over, real = _outlived(alert, window.end_ns)
            roll.end(alert.key, over)
            roll.begin(alert.key, real)


def _outlived(alert: Alert, at_ns: int) -> tuple[Resolved, Fired]:
    fired = alert.fired
    summary = (
        f"the drill is over; {fired.labels['rule']} of {fired.about} goes on and is told as a real alert"
    )
    labels = {key: value for key, value in fired.labels.items() if key != "drill"}
    real = msgspec.structs.replace(fired, labels=labels, since_ns=alert.drill_ns, at_ns=at_ns)
    return Resolved(fired, at_ns, {}, summary), real
