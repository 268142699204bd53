"""Announced work and silences of the inventory as Grafana's mute timings. Pure.

A mute timing knows times and nothing else; which alerts it mutes is said by policies (alerts.grafana.work).
Entries of the same things and rules are one timing, so that work of many nights is. Times are UTC, to the
minute: a window begins with its first minute and ends after its last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from linkgauge.clock import NS_PER_S
from linkgauge.inventory import Inventory
from linkgauge.maintenance import Scope

Json = dict[str, Any]
Span = tuple[datetime, datetime]
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Muted:
    """Times in which alerts of some things (and rules; none: of all) are not told. spans: begin and end."""

    name: str
    scope: Scope
    rules: frozenset[str]
    spans: tuple[Span, ...]

    @property
    def timing(self) -> Json:
        """The mute timing, as Grafana's API and its files have it: an interval for each day of a span."""
        days = [day for begin, end in _joined(self.spans) for day in _days(begin, end)]
        return {"name": self.name, "time_intervals": days}

    def covers(self, labels: Mapping[str, str]) -> bool:
        """Whether a thing with these labels is meant, whatever the rule."""
        return self.scope.covers(labels)


def muted_of(inventory: Inventory, now_ns: int) -> list[Muted]:
    """Every window that is not over yet, those of the same things and rules together."""
    now = _time(now_ns)
    found = [
        ("work", each.scope, frozenset[str](), (_time(each.from_ns), _end(each.until_ns)))
        for each in inventory.maintenance
        if each.until_ns > now_ns
    ]
    found += [
        ("silence", each.scope, each.rules, (now.replace(hour=0, minute=0, second=0), _end(each.until_ns)))
        for each in inventory.silences
        if each.until_ns > now_ns
    ]
    spans: dict[tuple[str, Scope, frozenset[str]], list[Span]] = {}
    for kind, scope, rules, span in found:
        spans.setdefault((kind, scope, rules), []).append(span)
    made = (
        Muted(f"linkgauge-{kind}-{_named_by(kind, each):%Y%m%d-%H%M}", scope, rules, tuple(sorted(each)))
        for (kind, scope, rules), each in spans.items()
    )
    return list(_named(made))


def _named_by(kind: str, spans: Sequence[Span]) -> datetime:
    """Work has the name of its first beginning, a silence, which has begun, of its first end."""
    return min(begin for begin, _ in spans) if kind == "work" else min(end for _, end in spans)


def _named(found: Iterator[Muted]) -> Iterator[Muted]:
    """The same with a number where a name comes twice."""
    times: dict[str, int] = {}
    for each in found:
        times[each.name] = times.get(each.name, 0) + 1
        name = each.name if times[each.name] == 1 else f"{each.name}-{times[each.name]}"
        yield Muted(name, each.scope, each.rules, each.spans)


def _joined(spans: Sequence[Span]) -> list[Span]:
    """In order, those that touch or overlap as one."""
    made: list[Span] = []
    for begin, end in sorted(spans):
        if made and begin <= made[-1][1]:
            made[-1] = made[-1][0], max(made[-1][1], end)
        else:
            made.append((begin, end))
    return made


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


def _end(at_ns: int) -> datetime:
    """The same, up to the next second."""
    return datetime.fromtimestamp(-(-at_ns // NS_PER_S), UTC)
