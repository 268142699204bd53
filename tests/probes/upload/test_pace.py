"""A bound on the rate of the backlog."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.clock import NS_PER_S
from probes.upload.pace import BURST_S, Pace


@given(st.floats(0.1, 1000), st.lists(st.floats(0, 2), min_size=1, max_size=200))
def test_never_more_than_the_rate_and_the_burst(per_s: float, later_s: list[float]) -> None:
    pace, now_ns, taken = Pace(per_s), 10**15, 0
    begin_ns = now_ns
    for step_s in later_s:
        now_ns += int(step_s * NS_PER_S)
        while pace.wait_s(now_ns) == 0:
            pace.take(now_ns)
            taken += 1
            assert taken <= ((now_ns - begin_ns) / NS_PER_S + BURST_S) * per_s * 1.000001 + 2


def test_the_wait_is_to_the_next_event() -> None:
    pace = Pace(2)
    pace.take(NS_PER_S)
    pace.take(NS_PER_S)
    assert pace.wait_s(NS_PER_S) == pytest.approx(0.9)
