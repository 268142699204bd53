"""Fail-over at once, back to the preferred address, and a breaker for each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from linkgauge.clock import NS_PER_S
from probes.upload.route import FIRST_S, LONGEST_S, Route, backoff_s

S = NS_PER_S


def test_waits_double_to_their_bound_and_are_jittered() -> None:
    assert [backoff_s(n, 1.0) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert backoff_s(3, 0.0) == 1.0
    assert backoff_s(10**9, 1.0) == LONGEST_S


def test_closed_then_open_then_one_try() -> None:
    route = Route(1)
    route.failed(0, 0, 1.0)
    assert route.order(0) == [0]
    route.failed(0, 0, 1.0)
    assert (route.order(0), route.wait_s(0)) == ([], FIRST_S)
    assert route.order(int(FIRST_S * S)) == [0]
    assert route.on_trial(0)
    route.failed(0, S, 1.0)
    assert (route.order(S), route.wait_s(S)) == ([], 2 * FIRST_S)
    route.answered(0)
    assert (route.order(S), route.wait_s(S), route.on_trial(0)) == ([0], 0.0, False)


def test_over_to_the_next_and_back() -> None:
    route = Route(3)
    for _ in range(2):
        assert route.order(0) == [0, 1, 2]
        route.failed(0, 0, 1.0)
        route.answered(1)
    assert route.order(0) == [1, 2]
    assert route.address == 1
    later = int(0.5 * S)
    assert route.order(later) == [0, 1, 2]
    route.answered(0)
    assert route.address == 0


def test_retry_after_holds_for_its_address_only() -> None:
    route = Route(2)
    route.failed(0, 0, 0.0, least_s=42.0)
    assert route.order(41 * S) == [1]
    assert route.order(42 * S) == [0, 1]
    route.failed(1, 0, 1.0, least_s=100.0)
    assert route.order(99 * S) == [0]
    assert route.wait_s(0) == 42.0
    assert route.order(124 * S) == [0]  # a quarter more at most, so that all do not come at once
    assert route.order(125 * S) == [0, 1]


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.floats(0, 40), st.floats(0, 300)), max_size=60),
)
def test_something_may_always_be_asked_in_the_end(
    count: int, steps: list[tuple[bool, float, float, float]]
) -> None:
    route, now_ns = Route(count), 0
    for takes, jitter, later_s, least_s in steps:
        now_ns += int(later_s * S)
        order = route.order(now_ns)
        assert order == sorted(set(order))
        assert bool(order) == (route.wait_s(now_ns) == 0)
        assert route.wait_s(now_ns) <= max(LONGEST_S, 1.25 * 300)
        for at in order:
            if takes:
                route.answered(at)
                assert at in route.order(now_ns)
                break
            route.failed(at, now_ns, jitter, least_s)
    assert route.order(now_ns + 375 * S) == list(range(count))
