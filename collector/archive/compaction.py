"""Small files of a folder put together into one: sorted by link and start, of each key its last copy."""

from __future__ import annotations

from collector.archive.holdings import Holdings
from collector.archive.rules import Rules
from linkgauge.clock import Clock


def step(holdings: Holdings, rules: Rules, clock: Clock) -> bool:
    """Put together the files of one folder that are due; False when none are."""
    return False
