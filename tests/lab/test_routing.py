"""Ways over a small net with two equal ones."""

from __future__ import annotations

from lab import routing
from lab.topology import Trunk

_TRUNKS = tuple(Trunk(a, "", b, "", 0) for a, b in ("sa", "sb", "at", "bt", "tu"))


def test_all_shortest_ways_and_no_others() -> None:
    assert routing.ways(_TRUNKS, "s", "u") == [(0, 2, 4), (1, 3, 4)]
    assert routing.ways(_TRUNKS, "u", "u") == [()]
    assert routing.ways(_TRUNKS, "s", "elsewhere") == []


def test_next_steps_are_to_hubs_that_are_nearer() -> None:
    assert routing.next_trunks(_TRUNKS, "s", "u") == [(0, "a"), (1, "b")]
    assert routing.next_trunks(_TRUNKS, "a", "u") == [(2, "t")]
    assert routing.distances(_TRUNKS, "u") == {"u": 0, "t": 1, "a": 2, "b": 2, "s": 3}
