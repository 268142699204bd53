"""The advance settles at the median of a machine's wake-up time."""

from __future__ import annotations

import random
import statistics

from hypothesis import given
from hypothesis import strategies as st

from lab.advance import Advance


@given(st.integers(0, 2**32), st.integers(5_000, 150_000))
def test_settles_at_the_median_despite_a_long_tail(seed: int, middle_ns: int) -> None:
    chance = random.Random(seed)
    wakes_ns = [middle_ns + round(chance.gauss(0, 3_000)) for _ in range(3_000)]
    for k in range(0, 3_000, 20):
        wakes_ns[k] += 5_000_000  # one in twenty is preempted
    advance = Advance(start_ns=30_000, step_ns=500, most_ns=200_000)
    settled = []
    for number, wake_ns in enumerate(wakes_ns):
        advance.observe(wake_ns - advance.ns)
        if number >= 1_000:
            settled.append(advance.ns)
    assert abs(statistics.fmean(settled) - statistics.median(wakes_ns)) < 2_000


@given(st.lists(st.integers(-(10**9), 10**9)))
def test_stays_between_nothing_and_its_bound(latenesses_ns: list[int]) -> None:
    advance = Advance(start_ns=1_000, step_ns=700, most_ns=3_000)
    for lateness_ns in latenesses_ns:
        advance.observe(lateness_ns)
        assert 0 <= advance.ns <= 3_000
