"""Goals say whether they are met, and that they are not known where nothing was measured."""

from __future__ import annotations

import pytest

from benchmarks.machine import at_least, at_most, median, ratio


@pytest.mark.parametrize(("reached", "met"), [(2.0, True), (1.99, False), (None, None)])
def test_a_lower_bound(reached: float | None, met: bool | None) -> None:
    assert at_least("figure", 2, reached).met is met


@pytest.mark.parametrize(("reached", "met"), [(2.0, True), (2.01, False), (None, None)])
def test_an_upper_bound(reached: float | None, met: bool | None) -> None:
    assert at_most("figure", 2, reached).met is met


def test_a_ratio_needs_both_figures() -> None:
    assert ratio(3, 2) == 1.5
    assert ratio(None, 2) is None
    assert ratio(3, None) is None


def test_the_median_of_nothing_is_not_known() -> None:
    assert median([]) is None
    assert median([3, 1, 2]) == 2
