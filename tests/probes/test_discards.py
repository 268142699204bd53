"""Counters of probers that come and go, told as differences."""

from __future__ import annotations

from probes.discards import Discards


class Prober:
    def __init__(self) -> None:
        self.discarded = 0

    def count(self) -> dict[str, int]:
        return {"echo_discarded": self.discarded}


def test_what_came_since_the_last_look_is_told() -> None:
    discards, one, other = Discards(), Prober(), Prober()
    discards.watch(one.count)
    discards.watch(other.count)
    one.discarded, other.discarded = 3, 4
    assert discards.take() == {"echo_discarded": 7}
    one.discarded = 5
    assert discards.take() == {"echo_discarded": 2}
    assert discards.take() == {"echo_discarded": 0}


def test_what_a_prober_counted_until_it_was_closed_is_told_once() -> None:
    discards, one, next_one = Discards(), Prober(), Prober()
    discards.watch(one.count)
    one.discarded = 3
    discards.forget(one.count)
    discards.watch(next_one.count)
    next_one.discarded = 1
    assert discards.take() == {"echo_discarded": 4}
    assert discards.take() == {"echo_discarded": 0}


def test_without_probers_nothing_is_told() -> None:
    assert Discards().take() == {}
