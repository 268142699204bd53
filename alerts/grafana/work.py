"""Which alerts announced work and silences mute, as policies: exact, however many touch one thing. Pure.

Grafana takes the first policy that matches, and a policy knows times only by the names of its mute timings.
So things that the same entries touch are a class, whose policies name the timings of all these entries.
Classes are made of what the inventory has: there are never more of them than things, mostly a few.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from alerts.grafana.boxes import Box, Codes, Mask, boxes
from alerts.grafana.muted import Muted
from alerts.grafana.rules import COLLECTOR_SILENT
from alerts.grafana.things import Labels, Matcher, Things
from alerts.rule import Rule

Class = tuple[list[Matcher], list[str]]
"""Matchers that all must hold, and the mute timings."""
_A_ROUTE = 200
"""About so many characters does one more policy cost; below that links are named one by one."""


class Work:
    """muted: what is announced. things: by policy, as things_of makes them."""

    def __init__(
        self,
        muted: Sequence[Muted] = (),
        things: Mapping[str, Sequence[Things]] | None = None,
        rules: Sequence[Rule] = (),
    ) -> None:
        self.muted = tuple(muted)
        self._of_all = np.array([not each.rules for each in muted], np.bool_)
        self._rules = [("page", "collector", COLLECTOR_SILENT)]
        self._rules += [(rule.severity, rule.table, rule.name) for rule in rules]
        found = things if things is not None and muted else {}
        self._sorts = {
            name: [(each, _covered(each.labels, self.muted)) for each in sorts]
            for name, sorts in found.items()
        }
        self._of_any_rule: dict[tuple[str, str, int], list[Class]] = {}

    def classes(self, policy: str, severity: str, team: str) -> Iterator[Class]:
        """In the order in which they are to be tried; what none of them takes is not muted.

        team: of whom the policy is; empty: of all."""
        for at, (things, cover) in enumerate(self._sorts.get(policy, ())):
            own = np.array([not team or of in ("", team) for of in things.teams], np.bool_)
            for names, special in self._named(severity, things):
                some = own & (cover & special).any(axis=1)
                yield from self._of(
                    things, cover & (special | self._of_all), own, some, [_one_of("rule", names)]
                )
            key = policy, team, at
            if key not in self._of_any_rule:
                self._of_any_rule[key] = list(self._of(things, cover & self._of_all, own, own, []))
            yield from self._of_any_rule[key]

    def of_silent_collector(self) -> list[str]:
        """Timings of what mutes the rule of a collector that is silent: what names no thing."""
        return [
            each.name
            for each in self.muted
            if each.covers({}) and (not each.rules or COLLECTOR_SILENT in each.rules)
        ]

    def _named(self, severity: str, things: Things) -> list[tuple[list[str], Mask]]:
        """Rules that the same entries name, and these entries."""
        found: dict[bytes, list[str]] = {}
        for of, table, name in sorted(self._rules):
            if of == severity and table in things.tables:
                naming = np.array([name in each.rules for each in self.muted], np.bool_)
                if naming.any():
                    found.setdefault(naming.tobytes(), []).append(name)
        return [(names, np.frombuffer(key, np.bool_)) for key, names in found.items()]

    def _of(self, things: Things, cover: Mask, own: Mask, some: Mask, rule: list[Matcher]) -> Iterator[Class]:
        """Classes of some of a team's own things, those of the most entries first: so others may be wide."""
        at = np.flatnonzero(own)
        codes, values = _coded(things, at)
        touched = (some & cover.any(axis=1))[at]
        sets, which = np.unique(cover[at[touched]], axis=0, return_inverse=True)
        number = np.full(len(at), -1)
        number[touched] = which.reshape(-1)
        taken = np.zeros(len(at), np.bool_)
        for one in sorted(range(len(sets)), key=lambda each: (-int(sets[each].sum()), each)):
            wanted = number == one
            names = [self.muted[entry].name for entry in np.flatnonzero(sets[one])]
            named = [things.labels[each][things.name] for each in at[wanted]] if things.name else []
            for matchers in _shorter(things.keys, boxes(codes, wanted, taken), values, named, things.name):
                yield [*rule, *things.matchers, *matchers], names
            taken |= wanted


def _covered(labels: Sequence[Labels], muted: Sequence[Muted]) -> Mask:
    """[things, entries]: whether the entry means the thing."""
    cells = [each.covers(one) for one in labels for each in muted]
    return np.array(cells, np.bool_).reshape(len(labels), len(muted))


def _coded(things: Things, at: Codes) -> tuple[Codes, list[list[str]]]:
    """[things, keys]: numbers of the values, and the values of each key."""
    values = [sorted({each[key] for each in things.labels}) for key in things.keys]
    numbers = [{value: number for number, value in enumerate(each)} for each in values]
    rows = [
        [known[things.labels[one][key]] for key, known in zip(things.keys, numbers, strict=True)]
        for one in at
    ]
    return np.array(rows, np.int64).reshape(len(at), len(things.keys)), values


def _shorter(
    keys: Sequence[str],
    found: Sequence[Box],
    values: Sequence[Sequence[str]],
    named: Sequence[str],
    name: str,
) -> Iterator[list[Matcher]]:
    """Matchers for each box; one matcher of all names where that is shorter."""
    if len(found) > 1 and named and sum(map(len, named)) <= _A_ROUTE * (len(found) - 1):
        yield [_one_of(name, sorted(named))]
        return
    for box in found:
        yield [
            _one_of(key, [known[each] for each in chosen])
            for key, known, chosen in zip(keys, values, box, strict=True)
            if chosen is not None
        ]


def _one_of(label: str, names: Sequence[str]) -> Matcher:
    """A label that is not there is as one that is empty, which Grafana takes only in this form."""
    if "" in names:
        return (
            [label, "!~", ".+"] if len(names) == 1 else [label, "=~", f"({'|'.join(filter(None, names))})?"]
        )
    return [label, "=", names[0]] if len(names) == 1 else [label, "=~", "|".join(names)]
