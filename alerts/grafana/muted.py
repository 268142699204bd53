"""Announced work and silences of the inventory as Grafana's mute timings, and whom they mute. Pure.

A mute timing knows times and nothing else; a policy's matchers say whose alerts it mutes. Times are UTC, to
the minute: a window begins with its first minute and ends after its last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from linkgauge.clock import NS_PER_S
from linkgauge.inventory import Inventory
from linkgauge.maintenance import Scope

Json = dict[str, Any]
Matcher = list[str]
"""Label, operator, value."""
_MINUTE = timedelta(minutes=1)
_LINKS = (("link", ""),)
_NODES = (("src", ""), ("dst", ""), ("node", ""), ("place", "node"))
_SITES = (("src_site", ""), ("dst_site", ""), ("site", ""), ("place", "site"))
_NETWORKS = (("network", ""),)
_RULES = (("rule", ""),)
"""Labels in which a name may stand, each with the kind of place that the alert must then be of."""


@dataclass(frozen=True, slots=True)
class Muted:
    """A time in which alerts of some things (and rules; none: of all) are not told."""

    name: str
    scope: Scope
    rules: frozenset[str]
    begin: datetime
    end: datetime

    @property
    def timing(self) -> Json:
        """The mute timing, as Grafana's API and its files have it: an interval for each day."""
        return {"name": self.name, "time_intervals": list(_days(self.begin, self.end))}

    @property
    def matchers(self) -> list[list[Matcher]]:
        """Alternatives, each a list of matchers that all must hold."""
        asked = (
            (_LINKS, self.scope.links),
            (_NODES, self.scope.nodes),
            (_SITES, self.scope.sites),
            (_NETWORKS, self.scope.networks),
            (_RULES, self.rules),
        )
        alternatives = [
            [[*([["kind", "=", kind]] if kind else []), _matcher(label, names)] for label, kind in where]
            for where, names in asked
            if names
        ]
        return [[matcher for part in parts for matcher in part] for parts in product(*alternatives)]


def muted_of(inventory: Inventory, now_ns: int) -> list[Muted]:
    """Every window that is not over yet, by name."""
    now = _time(now_ns)
    found = [
        Muted(f"linkgauge-work-{_time(each.from_ns):%Y%m%d-%H%M}", each.scope, frozenset(),
              _time(each.from_ns), _time(each.until_ns))
        for each in inventory.maintenance
        if each.until_ns > now_ns
    ]  # fmt: skip
    found += [
        Muted(f"linkgauge-silence-{_time(each.until_ns):%Y%m%d-%H%M}", each.scope, each.rules,
              now.replace(hour=0, minute=0), _time(each.until_ns))
        for each in inventory.silences
        if each.until_ns > now_ns
    ]  # fmt: skip
    return list(_named(found))


def _named(found: Sequence[Muted]) -> Iterator[Muted]:
    """The same with a number where a name comes twice."""
    times: dict[str, int] = {}
    for each in found:
        times[each.name] = times.get(each.name, 0) + 1
        name = each.name if times[each.name] == 1 else f"{each.name}-{times[each.name]}"
        yield Muted(name, each.scope, each.rules, each.begin, each.end)


def _matcher(label: str, names: frozenset[str]) -> Matcher:
    ordered = sorted(names)
    return [label, "=", ordered[0]] if len(ordered) == 1 else [label, "=~", "|".join(ordered)]


def _days(begin: datetime, end: datetime) -> Iterator[Json]:
    begin = begin.replace(second=0, microsecond=0)
    if end.second or end.microsecond:
        end = end.replace(second=0, microsecond=0) + _MINUTE
    while begin < end:
        midnight = begin.replace(hour=0, minute=0) + timedelta(days=1)
        stop = "24:00" if end >= midnight else f"{end:%H:%M}"
        yield {
            "times": [{"start_time": f"{begin:%H:%M}", "end_time": stop}],
            "days_of_month": [str(begin.day)],
            "months": [str(begin.month)],
            "years": [str(begin.year)],
        }
        begin = midnight


def _time(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC)
