"""Which notices go when too many wait for a receiver. Pure.

First go those that a later one of the same alert replaces: the receiver misses a change that is over. Then
whole alerts that it never heard of, beginning and end together, the oldest first; but what a person has yet
to act on goes late: a page that fires goes after all tickets, and the end of what the receiver was told of
last of its severity, for nothing else tells it that it is over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

_OF_PAGE = b'"severity":"page"'
_OF_END = b'"status":"resolved"'
MOST_NAMED = 10
"""Ids in a sentence of the log."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice that waits. seq: in the order in which they came; page: else a ticket; ends: else begins."""

    seq: int
    alert: str
    page: bool
    ends: bool

    @classmethod
    def of(cls, seq: int, alert: str, body: bytes) -> Waiting:
        """body: JSON as alerts.event.payload makes it."""
        return cls(seq, alert, _OF_PAGE in body, _OF_END in body)


@dataclass(frozen=True, slots=True)
class Dropped:
    """What goes. replaced: a later notice waits; unheard: of alerts that the receiver never heard of; ends:
    it was told of the beginning, and will not hear of the end."""

    replaced: Sequence[Waiting]
    unheard: Sequence[Waiting]
    ends: Sequence[Waiting]

    @property
    def seqs(self) -> list[int]:
        return [each.seq for each in (*self.replaced, *self.unheard, *self.ends)]

    def sentence(self) -> str:
        """Which, for the log."""
        kinds = (
            (self.ends, "ends of alerts that it believes to fire; look at `linkgauge alerts list`"),
            (self.unheard, "of alerts that it never hears of"),
            (self.replaced, "that later ones of the same alert replace"),
        )
        return "; ".join(f"{len(some)} {what}: {named(some)}" for some, what in kinds if some)


def dropped(waiting: Sequence[Waiting], most: int, firing: Mapping[str, bool]) -> Dropped:
    """What goes so that no more than `most` of these, in their order, wait.

    firing: of alerts that the receiver was told something of, whether it believes that they fire.
    """
    by_alert: dict[str, list[Waiting]] = {}
    for each in waiting:
        by_alert.setdefault(each.alert, []).append(each)
    left = len(waiting) - most
    replaced: list[Waiting] = []
    groups: list[_Group] = []
    for alert, notices in by_alert.items():
        group = _Group.of(notices, firing.get(alert, notices[0].ends))
        replaced += [each for each in notices if each not in group.notices]
        groups.append(group)
    replaced = sorted(replaced, key=lambda each: each.seq)[: max(0, left)]
    left -= len(replaced)
    unheard: list[Waiting] = []
    ends: list[Waiting] = []
    for group in sorted(groups, key=lambda each: (each.worth, each.notices[0].seq)):
        if left <= 0:
            break
        (ends if group.ends_what_fires else unheard).extend(group.notices)
        left -= len(group.notices)
    return Dropped(replaced, unheard, ends)


def believed(told: Iterable[tuple[str, bool, bool]]) -> dict[str, bool]:
    """Of alerts whether a receiver believes that they fire, from what became of former notices, in their
    order: (alert, whether it was taken, whether it ends the alert)."""
    firing: dict[str, bool] = {}
    for alert, taken, ends in told:
        if taken:
            firing[alert] = not ends
        else:
            firing.setdefault(alert, ends)  # what it did not take tells what it knew before
    return firing


def named(notices: Collection[Waiting]) -> str:
    """Their alerts, the first few of them."""
    ids = list(dict.fromkeys(each.alert for each in notices))
    more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
    return ", ".join(ids[:MOST_NAMED]) + more


@dataclass(frozen=True, slots=True)
class _Group:
    """What has to be told of one alert, one notice or its beginning and end."""

    notices: Sequence[Waiting]
    ends_what_fires: bool

    @classmethod
    def of(cls, notices: Sequence[Waiting], firing: bool) -> _Group:
        last = notices[-1]
        if not last.ends or firing:
            return cls([last], last.ends)
        begun = [each for each in notices if not each.ends][-1:]
        return cls([*begun, last], False)

    @property
    def worth(self) -> int:
        """What is worth less goes first."""
        last = self.notices[-1]
        if self.ends_what_fires:
            return 6 if last.page else 4
        if last.ends and len(self.notices) == 1:
            return 0  # it never heard of the beginning
        if last.ends:
            return 3 if last.page else 1
        return 5 if last.page else 2
