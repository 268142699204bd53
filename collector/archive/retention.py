"""Removes the files of days that are no longer kept: those of this writer, and of writers of former times."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from contextlib import closing

from collector.archive.columns import DAY_NS
from collector.archive.holdings import Holdings
from collector.archive.layout import date_of
from collector.archive.rules import Rules
from collector.archive.verify import read_chain
from linkgauge.clock import Clock
from linkgauge.errors import StoreError


def expire(holdings: Holdings, rules: Rules, clock: Clock) -> int:
    """Take out the files of this writer whose day ended more than `keep_days` ago; returns how many."""
    old = _old((held.file.path for held in holdings.held()), rules, clock)
    if old:
        holdings.expire(old)
    return len(old)


def expire_others(holdings: Holdings, rules: Rules, clock: Clock) -> None:
    """The same for the other writers of the archive. One that lives does it itself.

    Their names are taken only where there is something to remove: that keeps their writer from starting.
    """
    for path in sorted(holdings.layout.manifests.glob("*.jsonl")):
        if path.stem != holdings.identity and _old(read_chain(path).files, rules, clock):
            with contextlib.suppress(StoreError), closing(
                Holdings(holdings.layout.root, path.stem, clock)
            ) as other:  # fmt: skip
                expire(other, rules, clock)


def _old(paths: Iterable[str], rules: Rules, clock: Clock) -> list[str]:
    if rules.keep_days is None:
        return []
    oldest = date_of(clock.now().wall_ns // DAY_NS - rules.keep_days)
    return sorted(path for path in paths if _date(path) < oldest)


def _date(path: str) -> str:
    return path.split("/")[1].removeprefix("date=")
