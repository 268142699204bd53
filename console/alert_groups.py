"""Alerts of /v1/alerts and nodes of /v1/nodes as sentences: grouped by what explains them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from console.pipeline import some

Alert = Mapping[str, Any]
_SEVERITIES = ("page", "ticket")
MANY = 3
"""From so many on, alerts of one rule are one sentence."""


def troubles(alerts: Sequence[Alert], nodes: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """A sentence for each alert that nothing explains, pages first, with how many others it explains; then
    nodes that are down without an alert. What is told to nobody on purpose is not here."""
    groups, explained = _groups(alerts), _explained(alerts)
    roots = [each for each in alerts if each.get("id") not in explained and not _quiet(each)]
    roots.sort(key=lambda each: _rank(each.get("severity")))
    found = list(_sentences(roots, groups))
    told = {each.get("about") for each in alerts if each["rule"] == "node-down"}
    down = [node["node"] for node in nodes if node["down_ratio"] == 1 and node["node"] not in told]
    return found + ([f"{len(down)} nodes answer nobody: {some(down)}"] if down else [])


def quiet(alerts: Sequence[Alert], nodes: Sequence[Mapping[str, Any]] = ()) -> Iterator[str]:
    """What is told to nobody on purpose, and why; no trouble."""
    groups, explained = _groups(alerts), _explained(alerts)
    held: dict[str, list[str]] = {}
    for alert in alerts:
        if alert.get("id") not in explained and _quiet(alert):
            why = "drill" if _drilled(alert) else str(alert["held"])
            for each in (alert, *groups.get(alert.get("id"), ())):
                held.setdefault(why, []).append(f"{each['rule']} on {_about(each)}")
    for why, names in held.items():
        yield f"{len(names)} alerts are held back ({why}): {some(names)}"
    for mark, words in (
        ("maintenance", "are under announced work"),
        ("drill", "play a fault on purpose"),
    ):
        names = [node["node"] for node in nodes if node[mark]]
        if names:
            yield f"{len(names)} nodes {words}: {some(names)}"


def _sentences(roots: Sequence[Alert], groups: Mapping[str | None, Sequence[Alert]]) -> Iterator[str]:
    """One for each root; one for many of the same rule that explain nothing."""
    alone: dict[str, list[Alert]] = {}
    for root in roots:
        if root.get("id") not in groups:
            alone.setdefault(root["rule"], []).append(root)
    for root in roots:
        same = alone.get(root["rule"], [])
        if root.get("id") in groups or len(same) < MANY:
            yield _sentence(root, groups.get(root.get("id"), []))
        elif root is same[0]:
            names = some([_about(each) for each in same])
            yield f"{root['rule']} on {len(same)}: {names}; of {_about(root)}: {root['summary']}"


def _sentence(root: Alert, explained: Sequence[Alert]) -> str:
    words = f"{root['rule']} on {_about(root)}: {root['summary']}"
    if root.get("place") and _about(root) not in str(root["place"]).split():
        words += f"; likely place: {root['place']}"
    if explained:
        rules = Counter(each["rule"] for each in explained)
        counts = ", ".join(f"{rule} ({count})" for rule, count in rules.most_common())
        words += f"; it explains {len(explained)} more: {counts}"
    return words


def _groups(alerts: Sequence[Alert]) -> dict[str | None, list[Alert]]:
    """Those that another explains, by the id of the one that nothing explains."""
    groups: dict[str | None, list[Alert]] = {}
    by_id = {each.get("id"): each for each in alerts}
    for alert in alerts:
        root, seen = alert, set[Any]()
        while (cause := root.get("cause")) in by_id and cause not in seen:
            seen.add(cause)
            root = by_id[cause]
        if root is not alert:
            groups.setdefault(root.get("id"), []).append(alert)
    return groups


def _explained(alerts: Sequence[Alert]) -> set[str | None]:
    return {each.get("id") for group in _groups(alerts).values() for each in group}


def _quiet(alert: Alert) -> bool:
    """Told to nobody for another reason than an alert that explains it."""
    return _drilled(alert) or not alert.get("told", True)


def _drilled(alert: Alert) -> bool:
    return bool(alert.get("labels", {}).get("drill") == "true")


def _about(alert: Alert) -> str:
    return str(alert.get("about") or alert.get("link"))


def _rank(severity: object) -> int:
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)
