"""Shifts of the smallest delay of many series at once: two-sided CUSUM over windows. Pure.

A series is one link in one class, its values the smallest round trip of each window. They are compared with a
robust baseline, median and 1.4826 x MAD of the last windows: z = (x - median) / (1.4826 MAD + noise). The
sums C+ = max(0, C+ + z - k) and C- = max(0, C- - z - k) alarm above h (Page 1954). z is cut at `Z_MOST`, so
that one odd window is no shift. After a shift the baseline begins anew with the windows since the change. An
alarm whose step is below `LEAST_STEP` deviations is not told: with k = 0.5 and h = 8 plain noise alarms once
in some 10 000 windows, which is daily for each series, but then moves by less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

K, H = 0.5, 8.0
Z_MOST = 3.0
"""At least four windows make an alarm."""
LEAST_STEP = 4.0
"""Smallest step that is told, in deviations (noise included)."""
NOISE_US = 20.0
"""Noise of software time stamps, added to the deviation."""
LEARN, MEMORY, RENEW = 18, 90, 6
"""Windows before a baseline is used, windows that it is made of, windows between two renewals."""
SET_BACK_NS = 600_000_000_000
"""A window so much older than the last is no correction of it: the clock was set back."""
_MAD_TO_DEVIATION = 1.4826

Reals = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Shift:
    """The smallest delay of `series` (its row) went from before_us to after_us at about since_ns (Unix)."""

    series: int
    since_ns: int
    before_us: float
    after_us: float


class Shifts:
    """State of n series; `grow` before a new row is used."""

    def __init__(self) -> None:
        self.unsaid = 0
        """Alarms that were too small to be told."""
        self._values = np.empty((0, MEMORY))
        self._times = np.empty((0, MEMORY), np.int64)
        self._count = np.empty(0, np.int64)
        self._last_ns = np.empty(0, np.int64)
        self._median, self._deviation = np.empty(0), np.empty(0)
        self._sums = np.empty((2, 0))
        self._length = np.empty((2, 0), np.int64)

    def __len__(self) -> int:
        return len(self._count)

    def grow(self, rows: int) -> None:
        """Make room for series 0 .. rows - 1."""
        more = rows - len(self)
        if more <= 0:
            return
        self._values = np.concatenate([self._values, np.full((more, MEMORY), np.nan)])
        self._times = np.concatenate([self._times, np.zeros((more, MEMORY), np.int64)])
        self._median = np.concatenate([self._median, np.full(more, np.nan)])
        self._deviation = np.concatenate([self._deviation, np.full(more, np.nan)])
        for name in ("_count", "_last_ns"):
            setattr(self, name, np.concatenate([getattr(self, name), np.zeros(more, np.int64)]))
        for name in ("_sums", "_length"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros((2, more), column.dtype)], axis=1))

    def take(self, rows: Rows, start_ns: Ints, min_us: Reals) -> list[Shift]:
        """One window of each series named, rows distinct; unknown (NaN) and older windows are passed over."""
        ahead_ns = start_ns - self._last_ns[rows]
        fresh = np.isfinite(min_us) & ((ahead_ns > 0) | (ahead_ns < -SET_BACK_NS))
        rows, start_ns, min_us = rows[fresh], start_ns[fresh], min_us[fresh]
        self._last_ns[rows] = start_ns
        at = (rows, self._count[rows] % MEMORY)
        self._values[at], self._times[at] = min_us, start_ns
        self._count[rows] += 1
        alarms = self._accumulate(rows, min_us)
        shifts = [shift for row in alarms.tolist() if (shift := self._judge(row)) is not None]
        calm = self._sums[:, rows].max(axis=0) < H / 2
        due = (self._count[rows] >= LEARN) & (self._count[rows] % RENEW == 0) & calm
        self._renew(rows[due])
        return shifts

    def _accumulate(self, rows: Rows, min_us: Reals) -> Rows:
        """Add the windows to the sums; returns the rows that alarm."""
        known = np.isfinite(self._median[rows])
        rows, min_us = rows[known], min_us[known]
        z = np.clip((min_us - self._median[rows]) / self._deviation[rows], -Z_MOST, Z_MOST)
        sums = self._sums[:, rows]
        begins = sums == 0
        self._length[:, rows] = np.where(begins, 1, self._length[:, rows] + 1)
        self._sums[:, rows] = np.maximum(0, sums + np.stack([z, -z]) - K)
        return rows[(self._sums[:, rows] > H).any(axis=0)]

    def _judge(self, row: int) -> Shift | None:
        """The shift behind an alarm, if it is one; its series begins a new baseline with the windows since.

        The change is put where a step explains the windows since the sum was zero best: at the maximum over t
        of (sum of z from t on)^2 / windows from t on.
        """
        side = int(self._sums[1, row] > H)
        length = min(int(self._length[side, row]), MEMORY)
        self._sums[:, row] = 0
        newest = (self._count[row] - length + np.arange(length)) % MEMORY
        values, times = self._values[row, newest], self._times[row, newest]
        before_us, deviation = float(self._median[row]), float(self._deviation[row])
        z = np.clip((values - before_us) / deviation, -Z_MOST, Z_MOST)
        tails = z[::-1].cumsum()[::-1]
        at = int((tails**2 / np.arange(length, 0, -1)).argmax())
        after_us = float(np.median(values[at:]))
        if abs(after_us - before_us) < LEAST_STEP * deviation:
            self.unsaid += 1
            return None
        self._values[row] = np.nan
        self._values[row, : length - at], self._times[row, : length - at] = values[at:], times[at:]
        self._count[row] = length - at
        self._median[row] = self._deviation[row] = np.nan
        return Shift(row, int(times[at]), before_us, after_us)

    def _renew(self, rows: Rows) -> None:
        if not len(rows):
            return
        values = self._values[rows]
        median = np.nanmedian(values, axis=1)
        mad = np.nanmedian(np.abs(values - median[:, None]), axis=1)
        self._median[rows] = median
        self._deviation[rows] = _MAD_TO_DEVIATION * mad + NOISE_US
