"""Who hears of an alert, and so to whom it can explain others. Pure.

An alert explains another only to those who hear of it. So what explains it in the end, when it is explained
itself, must be as grave (who takes pages only hears of no ticket), real when the other is real, and, when it
is a place, told to the team of the other. Alerts that explain one another explain nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from alerts.event import Fired
from alerts.explanation import Explanation

Labels = Mapping[str, str]
PAGE = "page"


def teams(labels: Labels) -> frozenset[str]:
    """All that are told of an alert: `teams`, where there are several."""
    return frozenset(labels.get("teams", labels.get("team", "")).split(","))


def heard(explained: Mapping[str, Explanation], firing: Sequence[Fired]) -> dict[str, Explanation]:
    """What explains alerts (by id) to those who hear of them; of what does not only its place is left.

    firing: alerts that fire and that nothing but an explanation holds back.
    """
    labels = {each.id: each.labels for each in firing}
    told: dict[str, Explanation] = {}
    for about, each in explained.items():
        root = _root(about, explained, labels) if each.by else about
        hears = root is not None and (root not in labels or _hear(labels.get(about, {}), labels[root]))
        told[about] = each if hears else replace(each, by="", why="")
    return told


def _root(about: str, explained: Mapping[str, Explanation], firing: Mapping[str, Labels]) -> str | None:
    """What explains the alert in the end; None when that is itself, or there is no end."""
    seen = {about}
    at = explained[about].by
    while at not in seen:
        seen.add(at)
        further = explained[at].by if at in explained and at in firing else ""
        if not further:
            return at
        at = further
    return None


def _hear(of: Labels, root: Labels) -> bool:
    """Whether all who would hear of an alert hear of the other one."""
    grave = root["severity"] == PAGE or of.get("severity") != PAGE
    real = root.get("drill") != "true" or of.get("drill") == "true"
    reached = "place" not in root or of.get("team", "") in teams(root)
    return grave and real and reached
