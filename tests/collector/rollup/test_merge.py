"""Merging: any split gives what the whole gives; percentiles are those of the samples; unknown stays so."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.rollup.merge import LEAST_SAMPLES, roll_up
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame, concat
from linkgauge.histogram import RELATIVE_ERROR, Histogram, merge
from linkgauge.schema import WINDOW_1H, WINDOW_5M
from linkgauge.wire import Batch, decode, encode
from tests.collector.rollup.windows import T0_NS, WINDOWS, Sampled, alike, frame_of

DAY_NS = 86_400 * NS_PER_S


@given(WINDOWS, st.lists(st.integers(0, 2), min_size=25, max_size=25))
def test_any_split_of_the_windows_gives_what_all_give(windows: list[Sampled], part: list[int]) -> None:
    frame = frame_of(windows)
    parts = [frame.take(np.array(part[: frame.rows]) == each) for each in range(3)]
    split = concat(WINDOW_5M, [roll_up(each, WINDOW_5M) for each in parts])
    assert alike(roll_up(split, WINDOW_5M), roll_up(frame, WINDOW_5M))


@given(WINDOWS)
def test_an_hour_of_roll_ups_is_an_hour_of_windows(windows: list[Sampled]) -> None:
    frame = frame_of(windows)
    assert alike(roll_up(roll_up(frame, WINDOW_5M), WINDOW_1H), roll_up(frame, WINDOW_1H))


@given(WINDOWS)
def test_each_row_is_made_of_the_fit_windows_of_its_slot(windows: list[Sampled]) -> None:
    made = roll_up(frame_of(windows), WINDOW_5M)
    for at in range(made.rows):
        key = (made.text("link")[at], made.text("probe")[at])
        start_ns = made.count("start_ns")[at]
        own = [
            one
            for one in windows
            if (one.link, one.probe) == key and 0 <= one.start_ns - start_ns < 300 * NS_PER_S
        ]
        fit = [one for one in own if not one.unfit]
        samples = np.array([each for one in fit for each in one.rtt_ns])
        assert made.count("windows")[at] == len(fit)
        assert made.count("windows_unfit")[at] == len(own) - len(fit) > -1
        assert made.count("windows_under_test")[at] == sum(one.under_test for one in fit)
        assert made.count("lost_forward")[at] == sum(one.lost[0] for one in fit)
        assert made.count("reorder_extent_max")[at] == max((one.extent for one in fit), default=0)
        single = Histogram.of(samples)
        told = made.histograms("rtt_ns")[at]
        assert (told.bucket.tolist(), told.count.tolist()) == (single.bucket.tolist(), single.count.tolist())
        assert _is(made.real("rtt_min_us")[at], samples.min() / 1e3 if len(samples) else math.nan)
        assert _is(made.real("rtt_max_us")[at], samples.max() / 1e3 if len(samples) else math.nan)
        assert _is(made.real("rtt_mean_us")[at], samples.mean() / 1e3 if len(samples) else math.nan)
    assert made.count("length_ns").tolist() == [300 * NS_PER_S] * made.rows


def _is(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-12) or (math.isnan(one) and math.isnan(other))


@pytest.mark.parametrize("seed", range(3))
def test_percentiles_of_a_day_from_roll_ups_are_those_of_its_samples(seed: int) -> None:
    chance = np.random.default_rng(seed)
    samples = chance.lognormal(14, 0.7, (8640, 12))
    samples[chance.random(samples.shape) < 0.01] *= 20
    day_ns = T0_NS - T0_NS % DAY_NS
    windows = [Sampled(day_ns + at * 10 * NS_PER_S, tuple(row)) for at, row in enumerate(samples.tolist())]
    short = roll_up(frame_of(windows), WINDOW_5M)
    hours = roll_up(short, WINDOW_1H)
    assert (short.rows, hours.rows) == (288, 24)
    ordered = np.sort(samples.ravel()) / 1e3
    for source in (short, hours):
        day = roll_up(source, WINDOW_1H, DAY_NS)
        assert day.rows == 1
        for name, per_mille in (("p50", 500), ("p95", 950), ("p99", 990), ("p999", 999)):
            true_us = ordered[-(-len(ordered) * per_mille // 1000) - 1]
            assert abs(day.real(f"rtt_{name}_us")[0] / true_us - 1) <= RELATIVE_ERROR * (1 + 1e-9)
        assert day.real("rtt_max_us")[0] == ordered[-1]
        assert day.real("rtt_min_us")[0] == ordered[0]
        assert day.real("pdv_us")[0] == day.real("rtt_p999_us")[0] - ordered[0]


def test_the_merged_histogram_is_the_sum_of_the_windows_histograms() -> None:
    windows = [Sampled(T0_NS + at * NS_PER_S, forward_ns=(at - 3.0, 1e6 * at)) for at in range(7)]
    frame = frame_of(windows)
    single = merge(list(frame.histograms("forward_ns")))
    told = roll_up(frame, WINDOW_5M).histograms("forward_ns")[0]
    assert told.bucket.tolist() == single.bucket.tolist()
    assert told.count.tolist() == single.count.tolist()


@pytest.mark.parametrize(("per_mille", "least"), LEAST_SAMPLES.items())
def test_a_percentile_needs_as_many_samples_as_in_a_window(per_mille: int, least: int) -> None:
    name = f"rtt_p{str(per_mille).rstrip('0')}_us"
    for count in (least - 1, least):
        rtt = tuple(np.linspace(1e6, 2e6, count))
        halves = [Sampled(T0_NS, rtt[: count // 2]), Sampled(T0_NS + NS_PER_S, rtt[count // 2 :])]
        made = roll_up(frame_of(halves), WINDOW_5M)
        assert math.isnan(made.real(name)[0]) == (count < least)
        assert not math.isnan(made.real("pdv_us")[0])


def test_one_sample_is_its_own_least_median_and_largest() -> None:
    made = roll_up(frame_of([Sampled(T0_NS, (123_456.0,))]), WINDOW_5M)
    told = [made.real(f"rtt_{name}_us")[0] for name in ("min", "mean", "p50", "max")]
    assert told == [123.456] * 4
    assert made.real("pdv_us")[0] == 0


def test_a_slot_of_unfit_windows_tells_only_their_number() -> None:
    windows = [Sampled(T0_NS + at * NS_PER_S, (1e6,), (1e5,), 5.0, (1, 0, 0), unfit=4) for at in range(3)]
    made = roll_up(frame_of(windows), WINDOW_5M)
    assert (made.count("windows")[0], made.count("windows_unfit")[0], made.count("sent")[0]) == (0, 3, 0)
    assert all(math.isnan(made.real(f.name)[0]) for f in WINDOW_5M.fields if f.kind.value == "real")
    assert made.histograms("rtt_ns")[0].total == 0


def _one_way(*windows: Sampled) -> list[float]:
    made = roll_up(frame_of(windows), WINDOW_5M)
    return [made.real(name)[0] for name in ("forward_min_us", "forward_p50_us", "one_way_error_us")]


def test_one_way_values_need_a_bound_in_every_window_that_has_samples() -> None:
    bounded = [Sampled(T0_NS, (1e6,), (4e5,), 5.0), Sampled(T0_NS + NS_PER_S, (1e6,), (6e5,), 9.0)]
    silent = Sampled(T0_NS + 2 * NS_PER_S, lost=(3, 0, 0))
    free = Sampled(T0_NS + 3 * NS_PER_S, (1e6,), (-5e9,))
    least_us, median_us, error_us = _one_way(*bounded, silent)
    assert (least_us, error_us) == (400, 9)
    assert median_us == pytest.approx(400, rel=RELATIVE_ERROR)
    assert all(math.isnan(value) for value in _one_way(*bounded, free))


def _loss(*windows: Sampled) -> list[float]:
    made = roll_up(frame_of(windows), WINDOW_5M)
    return [float(made.real(f"loss_{name}ratio")[0]) for name in ("forward_", "backward_", "")]


def test_loss_is_told_by_direction_as_in_a_window() -> None:
    lossy = Sampled(T0_NS, (1e6,) * 6, lost=(2, 1, 0), refused=5)
    clear = Sampled(T0_NS + NS_PER_S, (1e6,) * 11)
    assert _loss(lossy, clear) == [2 / 20, 1 / 18, 3 / 20]
    unknown = Sampled(T0_NS + 2 * NS_PER_S, (1e6,) * 4, lost=(0, 0, 1))
    forward, backward, every = _loss(lossy, clear, unknown)
    assert math.isnan(forward)
    assert math.isnan(backward)
    assert every == 4 / 25
    silent = Sampled(T0_NS, refused=5)
    assert all(math.isnan(value) for value in _loss(silent))
    echo = _loss(Sampled(T0_NS, (1e6,), probe="icmp"))
    assert [math.isnan(value) for value in echo] == [True, True, False]


@pytest.mark.parametrize("window_s", [7, 45, 300])
def test_a_window_belongs_to_the_slot_in_which_it_starts(window_s: int) -> None:
    starts = range(T0_NS - T0_NS % (window_s * NS_PER_S), T0_NS + 3600 * NS_PER_S, window_s * NS_PER_S)
    windows = [Sampled(at, (1e6,), length_ns=window_s * NS_PER_S) for at in starts if at >= T0_NS]
    made = roll_up(frame_of(windows), WINDOW_5M)
    assert made.count("start_ns").tolist() == list(range(T0_NS, T0_NS + 3600 * NS_PER_S, 300 * NS_PER_S))
    assert made.count("windows").tolist() == [
        sum(at <= one.start_ns < at + 300 * NS_PER_S for one in windows)
        for at in made.count("start_ns").tolist()
    ]
    assert made.count("windows").sum() == len(windows)


def test_rows_travel_and_nothing_makes_nothing() -> None:
    made = roll_up(frame_of([Sampled(T0_NS, (1e6,)), Sampled(T0_NS + NS_PER_S, (2e6,))]), WINDOW_5M)
    back = decode(encode(Batch("@collector", "boot", 1, T0_NS, {"window_5m": made}))).frames["window_5m"]
    assert alike(back, made)
    assert roll_up(frame_of([]), WINDOW_5M).rows == 0


def test_both_directions_of_a_pair_stay_apart() -> None:
    windows = [Sampled(T0_NS, (1e6,), link=link) for link in ("b>a@n", "a>b@n")]
    made: Frame = roll_up(frame_of(windows), WINDOW_5M)
    assert made.text("link").tolist() == ["a>b@n", "b>a@n"]
    assert made.count("windows").tolist() == [1, 1]
