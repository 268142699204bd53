"""The shift between delay out and delay back: told beyond what clocks may have done, and against a twin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkgauge.clock import NS_PER_S
from quality.objectives import Objectives
from quality.signals.asymmetry import LEAST, RENEW, Asymmetry
from quality.signals.signs import AT, MIDDLE, NAMES, Signs
from tests.quality.traces import ALONE, Trace
from tests.quality.world import row

WINDOW_NS = 10 * NS_PER_S


def delays(forward_us: float, backward_us: float, error_us: float = 50.0, **columns: Any) -> dict[str, Any]:
    """A row with smallest delays one way and the bound on the clocks' error."""
    return row(forward_min_us=forward_us, backward_min_us=backward_us, one_way_error_us=error_us, **columns)


def after(*later: dict[str, Any], windows: int = 60, error_us: float = 50.0) -> dict[str, Any]:
    """STATE after so many windows of 2 000 us out and 2 300 us back, with noise, and then these rows."""
    trace, chance = Trace(ALONE), np.random.default_rng(1)
    for _ in range(windows):
        noise = chance.exponential(20, 2)
        trace.then(delays(2_000 + noise[0], 2_300 + noise[1], error_us))
    return [trace.then(each)[0] for each in later][-1]


def test_a_way_that_became_longer_in_one_direction_is_told() -> None:
    out, home = after(delays(4_000, 2_300)), after(delays(2_000, 4_300))
    assert out["asymmetry_shift_us"] == pytest.approx(2_000, abs=30)
    assert home["asymmetry_shift_us"] == pytest.approx(-2_000, abs=30)
    for told in (out, home):  # less twice both errors, and a tenth of the tier's 5 ms
        assert told["asymmetry_excess_us"] == pytest.approx(2_000 - 2 * 100 - 500, abs=30)


@pytest.mark.parametrize(
    "now",
    [delays(2_010, 2_280), delays(5_000, 5_300), delays(4_000, 2_300, 1_000.0)],
    ids=["noise", "both ways longer", "clocks may have moved as much"],
)
def test_what_is_no_shift(now: dict[str, Any]) -> None:
    assert after(now)["asymmetry_excess_us"] < 0


def test_clocks_that_were_worse_before_explain_a_shift() -> None:
    assert after(delays(4_000, 2_300), error_us=900.0)["asymmetry_excess_us"] < 0


@pytest.mark.parametrize(
    "now",
    [
        delays(4_000, 2_300, math.nan),
        delays(4_000, 2_300, unfit=2),
        delays(4_000, 2_300, under_test=1),
        delays(math.nan, 2_300),
    ],
    ids=["clocks not synchronised", "unfit", "throughput test", "no samples"],
)
def test_what_cannot_be_told(now: dict[str, Any]) -> None:
    told = after(now)
    assert math.isnan(told["asymmetry_shift_us"])
    assert math.isnan(told["asymmetry_excess_us"])


def test_the_period_before_must_be_known() -> None:
    assert math.isnan(after(delays(4_000, 2_300), windows=LEAST - 1)["asymmetry_shift_us"])
    assert after(delays(4_000, 2_300), windows=LEAST + RENEW)["asymmetry_shift_us"] > 1_900


def test_after_a_period_the_new_way_is_the_usual_one() -> None:
    long = [delays(4_000, 2_300) for _ in range(60)]
    assert abs(after(*long)["asymmetry_shift_us"]) < 30


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.one_of(st.none(), st.integers(-5_000, 5_000)), min_size=3, max_size=3), max_size=70),
    st.integers(1, 12),
)
def test_the_median_against_a_twin(by_window: list[list[int | None]], blocks: int) -> None:
    signs, start_ns, links = Signs(), 6_000 * WINDOW_NS, 3
    for at, values in enumerate(by_window):
        matrix = np.zeros((len(NAMES), links), np.int32)
        matrix[AT["asymmetry"]] = [0 if value is None else value + MIDDLE for value in values]
        matrix[AT["clock_error"]] = [0 if value is None else at + 1 for value in values]
        signs.put(start_ns + at * WINDOW_NS, np.arange(links), matrix, links)
    now_ns, now = start_ns + blocks * RENEW * WINDOW_NS, np.zeros((len(NAMES), links), np.int32)
    now[AT["asymmetry"]], now[AT["clock_error"]] = 7_000 + MIDDLE, 1
    objectives = Objectives.of([*ALONE] * 3)
    shift, excess = Asymmetry(WINDOW_NS, 60 * WINDOW_NS).shift_us(now_ns, now, signs, objectives)
    for link in range(links):
        first, last = max(0, blocks * RENEW - 60), blocks * RENEW
        known = {at: each[link] for at, each in enumerate(by_window) if first <= at < last}
        told = {at: value for at, value in known.items() if value is not None}
        if len(told) < LEAST:
            assert math.isnan(shift[link])
            continue
        assert shift[link] == pytest.approx(7_000 - np.median(list(told.values())), abs=1)
        assert excess[link] == pytest.approx(abs(shift[link]) - 2 * max(told) - 500, abs=1)
