"""The pace: never above the limit in any minute, never waiting longer than it must."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.receivers.pace import MINUTE_S, Pace
from linkgauge.clock import NS_PER_S


@given(st.integers(1, 60), st.lists(st.integers(0, 20 * NS_PER_S), min_size=1, max_size=300))
def test_no_minute_has_more_than_the_limit(most: int, gaps_ns: list[int]) -> None:
    pace, now_ns, went = Pace(most), 0, []
    for gap_ns in gaps_ns:
        now_ns += gap_ns
        if pace.free(now_ns) >= 1:
            pace.took(now_ns)
            went.append(now_ns)
    for at in range(len(went) - most):
        assert went[at + most] - went[at] > (MINUTE_S - 0.01) * NS_PER_S


@pytest.mark.parametrize(("most", "burst", "gap_s"), [(20, 10, 6), (1, 1, 60), (2, 1, 60), (3, 1, 30)])
def test_half_at_once_and_the_rest_over_the_minute(most: int, burst: int, gap_s: float) -> None:
    pace, now_ns = Pace(most), 0
    went: list[int] = []
    while len(went) < burst + 3:
        now_ns += round(pace.wait_s(now_ns) * NS_PER_S) + 1
        pace.took(now_ns)
        went.append(now_ns)
    assert went[burst - 1] < NS_PER_S
    for one, other in pairwise(went[burst:]):
        assert (other - one) / NS_PER_S == pytest.approx(gap_s, abs=0.1)


def test_without_a_limit_all_may_go() -> None:
    pace = Pace(None)
    for at in range(1000):
        pace.took(at)
    assert pace.wait_s(1000) == 0
