"""Grafana's notification policies, evaluated: which of them takes an alert, and whether it is muted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

Json = dict[str, Any]
_INHERITED = ("receiver", "group_by", "group_wait", "group_interval", "repeat_interval")


def chosen(tree: Json, of: Mapping[str, str]) -> Json:
    """The route that Grafana takes for an alert."""
    (taken,) = every(tree, of)
    return taken


def every(tree: Json, of: Mapping[str, str]) -> list[Json]:
    """All routes that it takes; what a route does not say is as in the one above, but for mute timings."""
    taken: list[Json] = []
    above = {key: tree[key] for key in _INHERITED if key in tree}
    for child in tree.get("routes", ()):
        if all(_matches(matcher, of) for matcher in child["object_matchers"]):
            taken += every({**above, **child}, of)
            if not child.get("continue"):
                return taken
    return taken or [tree]


def routes(tree: Json) -> Iterator[Json]:
    """All of them."""
    yield tree
    for child in tree.get("routes", ()):
        yield from routes(child)


def is_muted(route: Json, timings: Sequence[Json], at: datetime) -> bool:
    """Whether one of the route's mute timings lasts."""
    named = set(route.get("mute_time_intervals", ()))
    assert named <= {each["name"] for each in timings}, "a mute timing that is not there"
    return any(lasts(each, at) for each in timings if each["name"] in named)


def lasts(timing: Json, at: datetime) -> bool:
    """Whether Grafana holds back at this time: one interval fits in each of its parts."""
    return any(
        any(_clock(times["start_time"]) <= at.hour * 60 + at.minute < _clock(times["end_time"])
            for times in interval["times"])
        and str(at.day) in interval["days_of_month"]
        and str(at.month) in interval["months"]
        and str(at.year) in interval["years"]
        for interval in timing["time_intervals"]
    )  # fmt: skip


def _clock(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _matches(matcher: list[str], of: Mapping[str, str]) -> bool:
    label, operator, value = matcher
    there = of.get(label, "")
    if operator in ("=", "!="):
        return (there == value) == (operator == "=")
    return (re.fullmatch(value, there) is not None) == (operator == "=~")
