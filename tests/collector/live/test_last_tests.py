"""The last two tests of each link, in whatever order their rows come."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from collector.live.last_tests import LastTests
from linkgauge.frame import Frame
from linkgauge.schema import THROUGHPUT

TESTS = ((0, 10, 1e6), (0, 20, 2e6), (0, 30, 3e6), (1, 15, 5e6))
"""Link, start, goodput."""


def frame(tests: tuple[tuple[int, int, float], ...]) -> Frame:
    columns = {
        "link": [str(link) for link, *_ in tests],
        "start_ns": [start for _, start, _ in tests],
        "received_bps": [bps for *_, bps in tests],
    }
    return Frame.of(THROUGHPUT, columns, len(tests))


def held(book: LastTests, last_ns: int = 1, former_ns: int = 1) -> list[tuple[int, int, float]]:
    link, columns = book.columns(last_ns, former_ns)
    rows = zip(link.tolist(), columns["start_ns"].tolist(), columns["received_bps"].tolist(), strict=True)
    return sorted(rows)


@pytest.mark.parametrize("at_once", [True, False])
def test_any_order_leaves_the_last_two(at_once: bool) -> None:
    for order in permutations((*TESTS, TESTS[2])):
        book = LastTests()
        book.move(np.empty(0, np.intp), 2)
        for part in [order] if at_once else [(each,) for each in order]:
            book.put(np.array([link for link, *_ in part]), frame(part))
        assert held(book) == [TESTS[1], TESTS[2], TESTS[3]]


def test_each_is_told_as_long_as_it_counts_and_moves_with_its_link() -> None:
    book = LastTests()
    book.move(np.empty(0, np.intp), 2)
    book.put(np.array([0, 0, 0, -1]), frame(TESTS))
    assert held(book, 30, 21) == [TESTS[2]]
    assert held(book, 30, 20) == [TESTS[1], TESTS[2]]
    assert held(book, 31, 20) == [], "a test is no former one of none"
    book.move(np.array([1, -1]), 2)
    assert [link for link, *_ in held(book)] == [1, 1]
    book.forget_after(25)
    assert set(held(book)) == {(1, *TESTS[1][1:])}
