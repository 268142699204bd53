"""Who hears of an alert, and so to whom it can explain others. Pure.

An alert explains another only to those who hear of it. So what explains it in the end, when it is explained
itself, must be as grave (who takes pages only hears of no ticket), real when the other is real, and, when it
is a place, told to the team of the other. Of alerts that explain one another one is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from alerts.causes.explanation import Explanation
from alerts.event import Fired

Labels = Mapping[str, str]
PAGE = "page"


def teams(labels: Labels) -> frozenset[str]:
    """All that are told of an alert: `teams`, where there are several."""
    return frozenset(labels.get("teams", labels.get("team", "")).split(","))


def heard(explained: Mapping[str, Explanation], firing: Sequence[Fired]) -> dict[str, Explanation]:
    """What explains alerts (by id) to those who hear of them; of what does not only its place is left.

    firing: alerts that fire and that nothing but an explanation holds back.
    """
    roots = _Roots(explained, {each.id: each.labels for each in firing})
    told: dict[str, Explanation] = {}
    for about, each in explained.items():
        by = roots.by(about)
        why = each.why if by == each.by else "another alert of the same explains it"
        told[about] = replace(each, by=by, why=why if by else "")
    return told


class _Roots:
    """What explains alerts in the end. labels: of those that fire; what ended explains to everybody."""

    def __init__(self, explained: Mapping[str, Explanation], labels: Mapping[str, Labels]) -> None:
        self._explained, self._labels = explained, labels
        self._by: dict[str, str] = {}
        self._asked: set[str] = set()

    def by(self, about: str) -> str:
        """Id of what explains an alert; empty: nothing does."""
        if about not in self._by:
            self._asked.add(about)
            each = self._explained.get(about) if about in self._labels else None
            some = (
                (by for by in (each.by, each.instead) if by and self._holds(about, by)) if each else iter(())
            )
            self._by[about] = next(some, "")
            self._asked.discard(about)
        return self._by[about]

    def _holds(self, about: str, by: str) -> bool:
        while by not in self._asked:
            further = self.by(by)
            if not further:
                return by not in self._labels or _hear(self._labels[about], self._labels[by])
            by = further
        return False


def _hear(of: Labels, root: Labels) -> bool:
    """Whether all who would hear of an alert hear of the other one."""
    grave = root["severity"] == PAGE or of.get("severity") != PAGE
    real = root.get("drill") != "true" or of.get("drill") == "true"
    reached = "place" not in root or of.get("team", "") in teams(root)
    return grave and real and reached
