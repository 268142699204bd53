"""What counts as an agent that catches up."""

from __future__ import annotations

from collector.catching_up import LATELY_NS, OLD_NS, CatchingUp
from tests.collector.world import NOW_NS, StillClock, batch


def test_only_backlog_counts_and_only_for_a_while() -> None:
    clock = StillClock()
    busy = CatchingUp(clock)
    assert not busy()
    busy.observe(batch("j1", 1, created_ns=NOW_NS - OLD_NS), NOW_NS)
    assert not busy()
    busy.observe(batch("j1", 2, created_ns=NOW_NS - OLD_NS - 1), NOW_NS)
    assert busy()
    clock.wall_ns += LATELY_NS - 1
    assert busy()
    clock.wall_ns += 1
    assert not busy()
