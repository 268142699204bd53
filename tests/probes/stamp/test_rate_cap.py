"""Token buckets against a scalar twin; indexes are given to new peers when old ones are gone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from probes.stamp.rate_cap import BURST_S, LEAST_BURST, RateCap

RATE_PPS = 1000.0


def entered(cap: RateCap, *names: bytes) -> list[int]:
    return [cap.enter(name, lambda: np.empty(0, np.intp)) for name in names]


@given(
    st.lists(
        st.tuples(st.integers(0, 300_000_000), st.lists(st.integers(0, 2), min_size=1, max_size=80)),
        max_size=12,
    )
)
def test_packets_beyond_the_rate_are_refused_the_last_ones_first(
    batches: list[tuple[int, list[int]]],
) -> None:
    cap = RateCap(RATE_PPS, 4)
    index = entered(cap, b"a", b"b", b"c")
    burst = max(RATE_PPS * BURST_S, LEAST_BURST)
    tokens, now_ns = [burst] * 3, 0
    for passed_ns, peers in batches:
        passed_ms = passed_ns // 1_000_000
        now_ns += passed_ms * 1_000_000
        tokens = [min(burst, each + passed_ms * 1e-3 * RATE_PPS) for each in tokens]
        allowed = cap.allows(np.array([index[peer] for peer in peers]), now_ns)
        for place, peer in enumerate(peers):
            fits = tokens[peer] >= 1 - 1e-6
            tokens[peer] -= fits
            assert (allowed is None or bool(allowed[place])) == fits


def test_no_cap_allows_all() -> None:
    cap = RateCap(0, 4)
    assert entered(cap, b"a", b"b") == [0, 0]
    assert cap.allows(np.zeros(10_000, np.intp), 0) is None


def test_a_clock_set_back_gives_no_tokens() -> None:
    cap = RateCap(RATE_PPS, 1)
    entered(cap, b"a")
    cap.allows(np.zeros(100, np.intp), 10**12)
    refused = cap.allows(np.zeros(1, np.intp), 0)
    assert refused is not None
    assert not refused[0]


def test_the_index_of_a_peer_that_is_gone_is_given_away_full() -> None:
    cap = RateCap(RATE_PPS, 2)
    first, second = entered(cap, b"a", b"b")
    assert entered(cap, b"a") == [first]
    cap.allows(np.full(100, first), 0)
    third = cap.enter(b"c", lambda: np.array([second]))
    assert third == first
    assert cap.allows(np.full(100, third), 0) is None
    assert cap.enter(b"b", lambda: np.array([third])) == second
