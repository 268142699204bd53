"""Bounds against the published tables and against slow sums of the binomial distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quality.statistics.confidence import lower, quantile_ranks, upper


def _upper(lost: int, sent: int, confidence: float) -> float:
    return float(upper(np.array([lost]), np.array([sent]), confidence)[0])


def _lower(lost: int, sent: int, confidence: float) -> float:
    return float(lower(np.array([lost]), np.array([sent]), confidence)[0])


@pytest.mark.parametrize(
    ("ratio", "at_95", "at_99"),
    [
        (1e-3, 2_995, 4_603),
        (1e-4, 29_956, 46_050),
        (1e-5, 299_572, 460_515),
        (1e-6, 2_995_731, 4_605_168),
    ],
)
def test_packets_without_loss_that_tell_a_ratio(ratio: float, at_95: int, at_99: int) -> None:
    for enough, confidence in ((at_95, 0.95), (at_99, 0.99)):
        assert _upper(0, enough, confidence) <= ratio
        assert _upper(0, enough - 1, confidence) > ratio


@pytest.mark.parametrize(
    ("lost", "at_95", "at_99"),
    [(0, 2.996, 4.605), (1, 4.744, 6.638), (3, 7.754, 10.045), (10, 16.962, 20.145), (20, 29.062, 33.103)],
)
def test_upper_bound_of_few_losses_among_many_packets(lost: int, at_95: float, at_99: float) -> None:
    sent = 10**8
    assert _upper(lost, sent, 0.95) * sent == pytest.approx(at_95, abs=6e-4)
    assert _upper(lost, sent, 0.99) * sent == pytest.approx(at_99, abs=6e-4)


@pytest.mark.parametrize(("lost", "least"), [(1, 0.051), (2, 0.355), (3, 0.818), (5, 1.970), (10, 5.425)])
def test_lower_bound_of_few_losses_among_many_packets(lost: int, least: float) -> None:
    assert _lower(lost, 10**8, 0.95) * 10**8 == pytest.approx(least, abs=6e-4)


def test_the_ends_and_no_packets() -> None:
    assert _lower(0, 10, 0.99) == 0.0
    assert _upper(10, 10, 0.99) == 1.0
    assert math.isnan(_lower(0, 0, 0.99))
    assert math.isnan(_upper(0, 0, 0.99))


def _below(k: int, n: int, p: float) -> float:
    """P(Bin(n, p) < k)."""
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k))


@given(st.data(), st.integers(1, 60), st.sampled_from([0.9, 0.95, 0.99]))
def test_bounds_solve_the_binomial_equation(data: st.DataObject, sent: int, confidence: float) -> None:
    lost = data.draw(st.integers(0, sent))
    low, high = _lower(lost, sent, confidence), _upper(lost, sent, confidence)
    assert low <= lost / sent <= high
    if lost > 0:
        assert 1 - _below(lost, sent, low) == pytest.approx(1 - confidence, abs=1e-9)
    if lost < sent:
        assert _below(lost + 1, sent, high) == pytest.approx(1 - confidence, abs=1e-9)


@given(st.integers(0, 120), st.sampled_from([0.05, 0.5, 0.9, 0.95, 0.99]), st.sampled_from([0.8, 0.95, 0.99]))
def test_ranks_against_the_definition(n: int, q: float, confidence: float) -> None:
    tail = (1 - confidence) / 2
    below = [_below(k, n, q) for k in range(n + 2)]
    low = max(rank for rank in range(n + 1) if rank == 0 or below[rank] <= tail)
    high = min(rank for rank in range(1, n + 2) if rank == n + 1 or 1 - below[rank] <= tail)
    ranks = quantile_ranks(np.array([n]), q, confidence)
    assert [int(rank[0]) for rank in ranks] == [low, high]


@pytest.mark.parametrize(("q", "least"), [(0.5, 6), (0.95, 72), (0.99, 368), (0.999, 3_688)])
def test_samples_from_which_a_quantile_has_an_upper_bound(q: float, least: int) -> None:
    samples = np.array([least - 1, least])
    assert (quantile_ranks(samples, q)[1] <= samples).tolist() == [False, True]
