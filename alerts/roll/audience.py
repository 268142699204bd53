"""Who hears of an alert, and so to whom it can explain others. Pure.

An alert explains another only to those who hear of it. So what explains it in the end, when it is explained
itself, must be as grave (who takes pages only hears of no ticket), real when the other is real, and told to
all teams of the other. Teams that did not hear of it yet are told of it for alerts as grave as it is: a
ticket gets nobody a page, it is told by itself. Of alerts that explain one another one is told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from alerts.causes.explanation import Explanation
from alerts.event import Fired

Labels = Mapping[str, str]
Hears = Callable[[Fired, Fired], bool]
"""Whether all who would hear of an alert hear of the other one."""
PAGE = "page"


def teams(labels: Labels) -> frozenset[str]:
    """All that are told of an alert when it begins: `teams`, where there are several."""
    return _split(labels.get("teams") or labels.get("team", ""))


def heard(explained: Mapping[str, Explanation], firing: Sequence[Fired]) -> dict[str, Explanation]:
    """What explains alerts (by id) to those who hear of them; of what does not only its place is left.

    firing: alerts that fire and that nothing but an explanation holds back.
    """
    roots = _Roots(explained, firing, _hear)
    told: dict[str, Explanation] = {}
    for about, each in explained.items():
        by = roots.by(about)
        why = each.why if by == each.by else "another alert of the same explains it"
        told[about] = replace(each, by=by, why=why if by else "")
    return told


def unreached(
    explained: Mapping[str, Explanation], firing: Sequence[Fired], waiting: Collection[str]
) -> dict[str, list[str]]:
    """Teams that have yet to hear of what explains their alerts: by its id, in order.

    firing: see `heard`; what nobody wants to hear of any more is left out. waiting: ids of alerts that were
    not told.
    """
    roots, known = _Roots(explained, firing, _may_hear), {each.id: each for each in firing}
    found: dict[str, set[str]] = {}
    for about in waiting:
        root = known.get(roots.root(about))
        if root is not None and (more := teams(known[about].labels) - _teams(root)):
            found.setdefault(root.id, set()).update(more)
    return {by: sorted(more) for by, more in found.items()}


class _Roots:
    """What explains alerts in the end. firing: those that fire; what ended explains to everybody."""

    def __init__(self, explained: Mapping[str, Explanation], firing: Sequence[Fired], hears: Hears) -> None:
        self._explained, self._firing, self._hears = explained, {each.id: each for each in firing}, hears
        self._by: dict[str, str] = {}
        self._asked: set[str] = set()

    def by(self, about: str) -> str:
        """Id of what explains an alert; empty: nothing does."""
        if about not in self._by:
            self._asked.add(about)
            each = self._explained.get(about) if about in self._firing else None
            some = (
                (by for by in (each.by, each.instead) if by and self._holds(about, by)) if each else iter(())
            )
            self._by[about] = next(some, "")
            self._asked.discard(about)
        return self._by[about]

    def root(self, about: str) -> str:
        """Id of what explains it in the end; empty: nothing does."""
        root = self.by(about)
        while further := self.by(root) if root else "":
            root = further
        return root

    def _holds(self, about: str, by: str) -> bool:
        while by not in self._asked:
            further = self.by(by)
            if not further:
                return by not in self._firing or self._hears(self._firing[about], self._firing[by])
            by = further
        return False


@lru_cache
def _split(names: str) -> frozenset[str]:
    return frozenset(names.split(","))


def _teams(fired: Fired) -> frozenset[str]:
    return teams(fired.labels).union(fired.teams_later) if fired.teams_later else teams(fired.labels)


def _hear(of: Fired, root: Fired) -> bool:
    return _as_grave(of, root) and teams(of.labels) <= _teams(root)


def _may_hear(of: Fired, root: Fired) -> bool:
    """Also where the root would have to be told to further teams."""
    same = of.labels.get("severity") == root.labels["severity"]
    same = same and of.labels.get("drill") == root.labels.get("drill")
    return _hear(of, root) or (same and _as_grave(of, root))


def _as_grave(of: Fired, root: Fired) -> bool:
    """And real when the other is real."""
    grave = root.labels["severity"] == PAGE or of.labels.get("severity") != PAGE
    return grave and (root.labels.get("drill") != "true" or of.labels.get("drill") == "true")
