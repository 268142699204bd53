"""Removes the files of days that are no longer kept."""

from __future__ import annotations

from collector.archive.columns import DAY_NS
from collector.archive.holdings import Holdings
from collector.archive.layout import date_of
from collector.archive.rules import Rules
from linkgauge.clock import Clock


def expire(holdings: Holdings, rules: Rules, clock: Clock) -> int:
    """Take out the files of this writer whose day ended more than `keep_days` ago; returns how many."""
    if rules.keep_days is None:
        return 0
    oldest = date_of(clock.now().wall_ns // DAY_NS - rules.keep_days)
    old = [
        held.file.path
        for held in holdings.held()
        if _date(held.file.path) < oldest and holdings.settled(held.file.path)
    ]
    if old:
        holdings.expire(sorted(old))
    return len(old)


def _date(path: str) -> str:
    return path.split("/")[1].removeprefix("date=")
