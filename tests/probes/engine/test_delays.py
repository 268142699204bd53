"""Statistics of many groups against scalar twins."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkgauge.histogram import Histogram
from probes.engine.delays import Delays, counted, grouped, histograms, jitter_us, medians_us, ordered, summary

Samples = list[tuple[int, float]]
GROUPS = 4
SAMPLES = st.lists(
    st.tuples(st.integers(0, GROUPS - 1), st.floats(-1e9, 1e12) | st.just(math.nan)), max_size=80
)


def columns(samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    return np.array([value for _, value in samples], float), np.array([at for at, _ in samples], np.intp)


def slow(samples: Samples, group: int) -> list[float]:
    """Scalar twin: min, mean, p50, p95, p99, p99.9, max of one group, us."""
    values = sorted(value / 1000 for at, value in samples if at == group and not math.isnan(value))
    n = len(values)
    if not n:
        return [math.nan] * 7
    p95 = values[(95 * n + 99) // 100 - 1] if n >= 59 else math.nan
    p99 = values[(99 * n + 99) // 100 - 1] if n >= 299 else math.nan
    p999 = values[(999 * n + 999) // 1000 - 1] if n >= 2_995 else math.nan
    return [values[0], math.fsum(values) / n, values[(n + 1) // 2 - 1], p95, p99, p999, values[-1]]


def told(delays: Delays, group: int) -> list[float]:
    return [float(getattr(delays, field.name)[group]) for field in fields(Delays)]


@given(SAMPLES)
def test_grouped_equals_the_scalar_twin(samples: Samples) -> None:
    delays = grouped(*columns(samples), GROUPS)
    for group in range(GROUPS):
        assert told(delays, group) == pytest.approx(slow(samples, group), rel=1e-9, abs=1e-3, nan_ok=True)


@pytest.mark.parametrize(("count", "known"), [(58, 0), (59, 1), (298, 1), (299, 2), (2_994, 2), (2_995, 3)])
def test_percentiles_need_enough_samples(count: int, known: int) -> None:
    samples = [(0, float(value)) for value in range(1000, 1000 * count + 1, 1000)]
    delays = grouped(*columns(samples), 1)
    assert np.isfinite([delays.p95_us[0], delays.p99_us[0], delays.p999_us[0]]).sum() == known
    assert told(delays, 0) == pytest.approx(slow(samples, 0), nan_ok=True)


def test_rank_is_exact_where_floating_point_is_not() -> None:
    # 0.95 * 100 is 95 exactly, 0.95 * 60 = 57; a float product may end one rank too high
    assert summary(np.arange(1000.0, 60_001.0, 1000.0))["rtt_p95_us"] == 57
    assert summary(np.arange(1000.0, 100_001.0, 1000.0))["rtt_p95_us"] == 95


def test_no_samples() -> None:
    empty = np.empty(0)
    assert np.isnan(grouped(empty, np.empty(0, np.intp), 2).mean_us).all()
    assert np.isnan(jitter_us(empty, np.empty(0, np.int64), np.empty(0, np.intp), 2)).all()
    assert [len(row.bucket) for row in histograms(empty, np.empty(0, np.intp), 2)] == [0, 0]
    assert grouped(empty, np.empty(0, np.intp), 0).max_us.shape == (0,)


def test_summary_names_the_columns_of_the_store() -> None:
    assert list(summary(np.array([1000.0]), "forward")) == [
        "forward_min_us", "forward_mean_us", "forward_p50_us", "forward_p95_us",
        "forward_p99_us", "forward_p999_us", "forward_max_us",
    ]  # fmt: skip


@given(SAMPLES)
def test_jitter_equals_the_scalar_twin(samples: Samples) -> None:
    values, group = columns(samples)
    order = np.random.default_rng(len(samples)).permutation(len(samples)).astype(np.int64)
    for at, jitter in enumerate(jitter_us(values, order, group, GROUPS)):
        expected, last, steps = 0.0, math.nan, 0
        for row in np.argsort(order):
            if group[row] != at or math.isnan(values[row]):
                continue
            if not math.isnan(last):
                expected += (abs(values[row] - last) - expected) / 16
                steps += 1
            last = values[row]
        assert jitter == pytest.approx(
            expected / 1000 if steps else math.nan, rel=1e-9, abs=1e-6, nan_ok=True
        )


@given(SAMPLES)
def test_histograms_equal_one_histogram_per_group(samples: Samples) -> None:
    values, group = columns(samples)
    made = histograms(values, group, GROUPS)
    assert len(made) == GROUPS
    for at, row in enumerate(made):
        single = Histogram.of(values[group == at])
        assert row.bucket.tolist() == single.bucket.tolist()
        assert row.count.tolist() == single.count.tolist()
        assert row.bucket.dtype == np.int16


def test_the_numbers_of_samples_are_the_smallest_that_tell_a_percentile_from_the_largest() -> None:
    for q, least in ((0.95, 59), (0.99, 299), (0.999, 2_995)):
        assert q**least <= 0.05 < q ** (least - 1)


@given(SAMPLES)
def test_medians_are_those_of_the_statistics(samples: Samples) -> None:
    values, group = columns(samples)
    expected = grouped(values, group, GROUPS).p50_us
    assert medians_us(values, group, GROUPS) == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(-5, 5)), max_size=60))
def test_few_samples_of_very_many_groups_are_in_order_too(samples: list[tuple[int, int]]) -> None:
    values = np.array([float(value) for _, value in samples])
    group = np.array([at for at, _ in samples], np.intp)
    made = ordered(values, group, 3_001)
    for at in {at for at, _ in samples}:
        part = made.values[made.first[at] : made.first[at] + made.count[at]]
        assert part.tolist() == sorted(value for one, value in samples if one == at)
    assert int(made.count.sum()) == len(samples)


def test_one_group_with_nearly_all_samples() -> None:
    values, group = np.arange(5_000, 0, -1.0), np.repeat([0, 900], [4_999, 1])
    made = ordered(values, group, 901)
    assert (np.diff(made.values[:4_999]) > 0).all()
    assert made.values[made.first[900]] == 1
    assert [row.total for row in counted(made)][::900] == [4_999, 1]


def test_the_highest_percentile_that_is_known() -> None:
    for count, name in ((10, "p50_us"), (59, "p95_us"), (299, "p99_us"), (2_995, "p999_us")):
        delays = grouped(np.arange(1000.0 * count, 0, -1000.0), np.zeros(count, np.intp), 1)
        assert delays.highest_us[0] == getattr(delays, name)[0]
    assert np.isnan(grouped(np.empty(0), np.empty(0, np.intp), 1).highest_us).all()


def test_jitter_of_a_long_session_equals_the_recursion() -> None:
    values = np.random.default_rng(3).normal(0, 1e6, 3_000)
    expected = 0.0
    for step in np.abs(np.diff(values)):
        expected += (step - expected) / 16
    made = jitter_us(values, np.arange(3_000), np.zeros(3_000, np.intp), 1)
    assert made[0] == pytest.approx(expected / 1000, rel=1e-12)
