"""From changes to events: what is said when an alert begins, ends, or is no longer judged. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.evaluation.evaluate import Change
from alerts.event import Fired, Resolved, time_of_day
from alerts.quantity import told
from alerts.rule import BACKWARD, WORDS, Watch
from linkgauge.frame import Frame
from linkgauge.model import DelayBasis

_BASIS: Mapping[int, str] = {each.value: each.word for each in DelayBasis}


def began(change: Change, labels: dict[str, str], frame: Frame) -> Fired:
    """The event of an alert that begins on a row of the frame."""
    rule = change.watch.rule
    words = _words(change.watch, labels, change.since_ns, change.at_ns, frame, change.row)
    return Fired(
        id=f"{rule.name}/{change.thing}/{labels['direction']}",
        since_ns=change.since_ns,
        at_ns=change.at_ns,
        numbers=change.numbers,
        labels=labels,
        title=rule.title,
        summary=told(rule.summary, change.numbers, words),
        first_steps=rule.first_steps,
        runbook=rule.runbook,
        about=change.thing,
        place=_place(labels),
    )


def ended(change: Change, fired: Fired, frame: Frame) -> Resolved:
    """The event of an alert that ends: over, or no longer judged."""
    if change.kind == "unjudged":
        return Resolved(fired, change.at_ns, change.numbers, _unjudged(fired, change.seen_ns))
    words = _words(change.watch, fired.labels, fired.since_ns, change.at_ns, frame, change.row)
    return Resolved(
        fired, change.at_ns, change.numbers, told(change.watch.rule.resolved, change.numbers, words)
    )


def gone(fired: Fired, at_ns: int) -> Resolved:
    """The event of an alert whose rule or thing is no longer there."""
    summary = f"{fired.about} is no longer watched by rule {fired.labels['rule']}; its alert ends"
    return Resolved(fired, at_ns, {}, summary)


def _words(
    watch: Watch, labels: Mapping[str, str], since_ns: int, until_ns: int, frame: Frame, row: int
) -> dict[str, str]:
    """What a template may use beside its numbers: alerts.rule.WORDS."""
    made: dict[str, Any] = {name: labels.get(name, "") for name in WORDS[watch.table]}
    made |= {"bound": watch.bound, "since": time_of_day(since_ns), "until": time_of_day(until_ns)}
    if watch.table == "state":
        ends = [labels.get("src", ""), labels.get("dst", "")]
        if labels["direction"] == BACKWARD:
            ends.reverse()
        basis = int(frame.count("delay_basis")[row]) if row >= 0 else DelayBasis.NONE
        made |= {"origin": ends[0], "target": ends[1], "basis": _BASIS.get(basis, "none")}
    if watch.table == "place":
        others = str(frame.text("others")[row]) if row >= 0 else ""
        made["others"] = f"; the same is explained by {others}" if others else ""
        made["network"] = made["network"] or "several networks"
    return made


def _place(labels: Mapping[str, str]) -> str:
    """Where it is, as far as the thing itself tells."""
    if "place" in labels:
        return f"{labels['kind']} {labels['place']}"
    return f"node {labels['node']}" if "node" in labels else ""


def _unjudged(fired: Fired, since_ns: int) -> str:
    direction = fired.labels["direction"]
    about = fired.about if direction == "-" else f"{fired.about} {direction}"
    return (
        f"{about} is no longer judged from here by rule {fired.labels['rule']}: unknown since "
        f"{time_of_day(since_ns)}; its alert ends, which does not say that the trouble is over"
    )
