"""The last MTU of each link: since when it is so, and when that was seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from collector.live.last_sizes import LastSizes, Size
from linkgauge.frame import Frame
from linkgauge.schema import PATH

A, B = "j1>g1@net", "j2>g1@net"


def round_of(start_ns: int, *found: tuple[str, float]) -> Frame:
    """PATH rows of a round of 5 ns."""
    rows = len(found)
    columns: dict[str, Any] = {"link": [link for link, _ in found], "mtu_bytes": [mtu for _, mtu in found]}
    columns |= {"class": ["0"] * rows, "flow": [str(at) for at in range(rows)]}
    return Frame.of(PATH, {**columns, "start_ns": [start_ns] * rows, "length_ns": [5] * rows})


def known(sizes: LastSizes, *rounds: Frame) -> dict[str, Size]:
    for each in rounds:
        sizes.take(each, lambda link: link in (A, B))
    return dict(sizes.known())


def test_rounds_that_find_the_same_go_on_and_another_size_begins_anew() -> None:
    sizes = LastSizes()
    assert known(sizes, round_of(0, (A, 1_500.0), (B, 1_500.0)), round_of(10, (A, 1_500.0))) == {
        A: Size(1_500, 5, 15),
        B: Size(1_500, 5, 5),
    }
    assert known(sizes, round_of(20, (A, 1_400.0)))[A] == Size(1_400, 25, 25)


def test_what_comes_late_or_tells_nothing_changes_nothing() -> None:
    sizes = LastSizes()
    known(sizes, round_of(20, (A, 1_400.0)))
    late, unclear, foreign = (
        round_of(10, (A, 1_500.0)),
        round_of(30, (A, np.nan)),
        round_of(30, ("x>y@n", 1.0)),
    )
    assert known(sizes, late, unclear, foreign) == {A: Size(1_400, 25, 25)}


def test_several_rows_of_a_round_are_one() -> None:
    assert known(LastSizes(), round_of(0, (A, 1_500.0), (A, 1_500.0))) == {A: Size(1_500, 5, 5)}


def test_a_link_that_is_gone_is_forgotten() -> None:
    sizes = LastSizes()
    known(sizes, round_of(0, (A, 1_500.0), (B, 1_500.0)))
    sizes.forget(lambda link: link == B)
    assert set(sizes.known()) == {B}
