"""A shot becomes plans that send as many packets as were asked for, in short windows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.probe.shot import Shot
from linkgauge.plan import decode_plan, encode_plan

SHOT = Shot("10.0.0.2", "10.0.0.1")


@given(st.integers(1, 100_000), st.floats(0.1, 100_000))
def test_whole_windows_hold_the_packets_asked_for(count: int, rate_pps: float) -> None:
    shot = Shot("10.0.0.2", "10.0.0.1", count=count, rate_pps=rate_pps)
    per_window, rest = divmod(shot.window_ns, shot.interval_ns)
    assert rest == 0
    assert count <= shot.windows * per_window < count + per_window
    assert per_window <= count


@pytest.mark.parametrize(("count", "rate_pps"), [(100, 50.0), (1000, 100.0), (10, 1.0), (400, 200.0)])
def test_round_numbers_are_met_exactly(count: int, rate_pps: float) -> None:
    shot = Shot("10.0.0.2", "10.0.0.1", count=count, rate_pps=rate_pps)
    assert shot.windows * shot.window_ns == count * shot.interval_ns


@pytest.mark.parametrize(("rate_pps", "window_s"), [(50.0, 0.2), (1.0, 1.0), (1000.0, 0.25), (3.0, 1 / 3)])
def test_windows_are_short(rate_pps: float, window_s: float) -> None:
    made = Shot("10.0.0.2", "10.0.0.1", count=10_000, rate_pps=rate_pps)
    assert made.window_ns / 1e9 == pytest.approx(window_s, rel=0.1)


def test_a_plan_is_one_that_an_agent_would_take() -> None:
    shot = Shot(
        "10.0.0.2",
        "10.0.0.1",
        sizes=(0, 1400),
        classes=(0, 46),
        flows=8,
        reflector="twamp-light",
        authenticated=True,
        path=True,
    )
    plan = shot.plan()
    assert decode_plan(encode_plan(plan)) == plan
    assert (plan.classes, plan.flows, plan.authenticated) == ([0, 46], 8, True)
    assert [(link.size_bytes, link.reflector) for link in plan.links] == [
        (0, "twamp-light"),
        (1400, "twamp-light"),
    ]
    assert shot.links == {link.link: link.size_bytes for link in plan.links}
    assert plan.path_interval_ns > 0
    assert SHOT.plan().path_interval_ns == 0
