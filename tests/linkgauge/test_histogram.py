"""The delay histogram: merging is exact, quantiles keep the stated relative error for both signs."""

from __future__ import annotations

import math
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkgauge.histogram import MAX_BUCKET, RELATIVE_ERROR, Histogram, bucket_of, merge, value_of

HOUR_NS = 3.6e12
DELAYS = st.floats(-HOUR_NS, HOUR_NS) | st.floats(-1e9, 1e9)
SAMPLES = st.lists(DELAYS, max_size=60).map(lambda values: np.array(values, np.float64))


def same(one: Histogram, other: Histogram) -> bool:
    return np.array_equal(one.bucket, other.bucket) and np.array_equal(one.count, other.count)


@given(st.lists(SAMPLES, max_size=6))
def test_merge_equals_the_histogram_of_all_samples(parts: list[NDArray[np.float64]]) -> None:
    whole = Histogram.of(np.concatenate([*parts, np.empty(0)]))
    assert same(merge([Histogram.of(part) for part in parts]), whole)


@given(st.tuples(SAMPLES, SAMPLES, SAMPLES))
def test_merge_in_any_order_and_grouping(samples: tuple[NDArray[np.float64], ...]) -> None:
    a, b, c = (Histogram.of(part) for part in samples)
    assert same(merge([a, b]), merge([b, a]))
    assert same(merge([merge([a, b]), c]), merge([a, merge([b, c])]))
    assert same(reduce(lambda x, y: merge([x, y]), [c, a, b]), merge([a, b, c]))


@given(st.lists(DELAYS, min_size=1, max_size=60), st.floats(0, 1))
def test_quantile_is_near_the_order_statistic(values: list[float], q: float) -> None:
    exact = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    got = Histogram.of(np.array(values)).quantile(q)
    if abs(exact) < 1:
        assert got == 0.0
    else:
        assert abs(got - exact) <= RELATIVE_ERROR * abs(exact) * (1 + 1e-9)


@given(st.lists(DELAYS, min_size=1, max_size=60), st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_quantiles_never_fall(values: list[float], levels: list[float]) -> None:
    histogram = Histogram.of(np.array(values))
    told = [histogram.quantile(q) for q in sorted(levels)]
    assert all(low <= high for low, high in pairwise(told))


@given(SAMPLES)
def test_counts_every_sample_and_mirrors_the_sign(samples: NDArray[np.float64]) -> None:
    histogram = Histogram.of(samples)
    assert histogram.total == len(samples)
    assert (np.diff(histogram.bucket.astype(np.int32)) > 0).all()
    assert (histogram.count > 0).all()
    assert np.array_equal(bucket_of(-samples), -bucket_of(samples))


def test_every_bucket_holds_its_own_value() -> None:
    buckets = np.arange(-MAX_BUCKET, MAX_BUCKET + 1).astype(np.int16)
    values = value_of(buckets)
    assert np.array_equal(bucket_of(values), buckets)
    assert (np.diff(values) > 0).all()


def test_what_is_beyond_an_hour_stays_in_the_last_bucket() -> None:
    assert bucket_of(np.array([1e15, -1e15])).tolist() == [MAX_BUCKET, -MAX_BUCKET]


def test_unknown_values_are_left_out() -> None:
    assert Histogram.of(np.array([np.nan, 5.0, np.nan])).total == 1


def test_the_empty_histogram_knows_nothing() -> None:
    empty = Histogram.empty()
    assert empty.total == 0
    assert math.isnan(empty.quantile(0.5))
    assert math.isnan(empty.share_above(1.0))
    assert same(merge([]), empty)
    assert same(merge([empty, empty]), empty)


def test_share_above() -> None:
    histogram = Histogram.of(np.array([1e6, 2e6, 3e6, 4e6]))
    assert histogram.share_above(2.5e6) == 0.5
    assert histogram.share_above(-1.0) == 1.0
    assert histogram.share_above(1e9) == pytest.approx(0.0)
