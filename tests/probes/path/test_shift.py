"""Shifts of the smallest delay are found, dated and sized; noise is no shift. Seeded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from probes.path.shift import LEARN, Shift, Shifts

WINDOW = 10_000_000_000
N = 200


def run(values: NDArray[np.float64]) -> tuple[list[Shift], Shifts]:
    """Feed (windows, series) values, window i starting at i + 1 windows."""
    shifts, found = Shifts(), []
    shifts.grow(values.shape[1])
    for at, row in enumerate(values):
        found += shifts.take(np.arange(len(row)), np.full(len(row), (at + 1) * WINDOW), row)
    return found, shifts


def noise(windows: int, deviation: float, seed: int = 3) -> NDArray[np.float64]:
    return 10_000 + np.random.default_rng(seed).normal(0, deviation, (windows, N))


def test_plain_noise_is_no_shift() -> None:
    for deviation in (0.0, 2.0, 50.0, 500.0):
        assert run(noise(1000, deviation))[0] == []


def test_small_alarms_are_counted_and_not_told() -> None:
    assert run(noise(3000, 500.0))[1].unsaid > 0


def test_a_step_is_found_dated_and_sized() -> None:
    for step in (300.0, -300.0):
        values = noise(300, 30.0)
        values[200:] += step
        found, _ = run(values)
        assert sorted(shift.series for shift in found) == list(range(N))
        off = np.array([shift.since_ns // WINDOW - 1 - 200 for shift in found])
        assert np.abs(off).max() <= 2
        assert np.abs([shift.after_us - shift.before_us - step for shift in found]).max() < 150


def test_one_odd_window_is_no_shift() -> None:
    values = noise(200, 30.0)
    values[100] += 50_000
    assert run(values)[0] == []


def test_there_and_back_are_two_shifts() -> None:
    values = noise(300, 5.0)
    values[100:200] += 400
    found, _ = run(values)
    assert len(found) == 2 * N
    assert {shift.since_ns // WINDOW - 1 for shift in found} == {100, 200}


def test_a_slow_drift_is_followed_and_not_told() -> None:
    values = noise(2000, 20.0) + np.linspace(0, 400, 2000)[:, None]
    assert run(values)[0] == []


def test_unknown_and_old_windows_are_passed_over() -> None:
    shifts = Shifts()
    shifts.grow(2)
    both = np.arange(2)
    for at in range(1, LEARN + 10):
        assert shifts.take(both, np.full(2, at * WINDOW), np.array([100.0, np.nan])) == []
    for _ in range(20):  # a window that comes again is older than what was taken
        assert shifts.take(both, np.full(2, WINDOW), np.array([9_000.0, 9_000.0])) == []
    later = [shifts.take(both, np.full(2, at * WINDOW), np.array([900.0, 1.0])) for at in range(60, 66)]
    assert [(shift.series, shift.since_ns) for some in later for shift in some] == [(0, 60 * WINDOW)]


def test_a_clock_that_was_set_back_does_not_blind() -> None:
    shifts = Shifts()
    shifts.grow(1)
    one, hour = np.arange(1), 360
    for at in range(hour, hour + LEARN + 10):
        assert shifts.take(one, np.full(1, at * WINDOW), np.array([100.0])) == []
    later = [shifts.take(one, np.full(1, at * WINDOW), np.array([900.0])) for at in range(1, 9)]
    assert [shift.since_ns for some in later for shift in some] == [WINDOW]
