"""Who was refused lately."""

from __future__ import annotations

from collector.refusals import LATELY_S, MOST, Refusals
from linkgauge.clock import NS_PER_S
from tests.collector.world import StillClock


def test_the_newest_come_first_and_what_is_long_ago_goes() -> None:
    clock = StillClock()
    refusals = Refusals(clock)
    refusals.note("agent:a", "future", "set the clock")
    clock.wall_ns += int(LATELY_S / 2 * NS_PER_S)
    refusals.note("192.0.2.1", "token", "nobody's")
    refusals.note("192.0.2.1", "token", "nobody's")
    refusals.note("agent:a", "rate", "passes by itself")
    assert [(each.who, each.times, each.age_s) for each in refusals.lately()] == [
        ("192.0.2.1", 2, 0.0),
        ("agent:a", 1, LATELY_S / 2),
    ]
    clock.wall_ns += int((LATELY_S / 2 + 1) * NS_PER_S)
    assert [each.who for each in refusals.lately()] == ["192.0.2.1"]


def test_a_crowd_of_strangers_is_bounded() -> None:
    refusals = Refusals(StillClock())
    for at in range(10 * MOST):
        refusals.note(f"192.0.2.{at}", "token", "x" * 10_000)
    assert len(refusals.lately()) == MOST
    assert max(len(each.sentence) for each in refusals.lately()) == 300
