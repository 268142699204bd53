"""Rows of WINDOW, or of a roll-up, become rows of a roll-up: one for each link, probe, class and slot. Pure.

A window belongs to the slot in which it starts, also where its length does not divide the slot's; slots are
aligned to the Unix epoch. Counts are sums, reorder_extent_max the largest, histograms are merged, percentiles
are order statistics of the merged histogram from as many samples on as in WINDOW. Smallest and largest are
those of the rows, the mean is weighted by samples. Merging merged rows gives what merging all rows at once
gives: exactly, but for the rounding of the mean.

Windows of an agent that was not fit are counted in windows_unfit and left out of everything else. A loss
ratio by direction is known when some window told it and no loss of the slot lacks its direction. One-way
values are known when each window with one-way samples had a bound on the clocks' error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.merged import Counts, Merged, Reals, samples_of
from linkgauge.schema import WINDOW, WINDOW_1H, WINDOW_5M
from linkgauge.table import Kind, Table

LENGTHS_NS: Mapping[str, int] = {WINDOW_5M.name: 300 * NS_PER_S, WINDOW_1H.name: 3600 * NS_PER_S}
"""Length of a slot by table, ns."""
LEAST_SAMPLES = {950: 59, 990: 299, 999: 2_995}
"""Samples from which on a percentile (per mille) is told: see the help of WINDOW's fields."""
_OWN = ("windows", "windows_unfit", "windows_under_test", "reorder_extent_max")
_SUMS = tuple(f.name for f in WINDOW_5M.fields if f.kind is Kind.COUNT and f.name not in _OWN)


def roll_up(frame: Frame, into: Table, length_ns: int | None = None) -> Frame:
    """Rows of `into` from rows of WINDOW, WINDOW_5M or WINDOW_1H, in order of key.

    Each key and start must be there once. length_ns: length of the slots, None = that of the table.
    """
    slot_ns = LENGTHS_NS[into.name] if length_ns is None else length_ns
    keys, group = _grouped(frame, slot_ns)
    rows = _Rows(frame, np.flatnonzero(_fit(frame)), group, len(keys))
    columns: dict[str, Any] = {name: [key[at] for key in keys] for at, name in enumerate(into.keys)}
    columns |= {"start_ns": [key[-1] for key in keys], "length_ns": [slot_ns] * len(keys)}
    columns |= _windows(frame, group, rows)
    columns |= {name: rows.total(frame.count(name)) for name in _SUMS}
    columns["reorder_extent_max"] = rows.largest(frame.count("reorder_extent_max"))
    columns |= _loss(rows, columns)
    columns |= _round_trip(rows)
    columns |= _one_way(rows)
    return Frame.of(into, columns, len(keys))


class _Rows:
    """The rows `at` (m,) of a frame with the group of each, and what they come to by group."""

    def __init__(self, frame: Frame, at: Counts, group: Counts, groups: int) -> None:
        self.frame, self.at, self.group, self.groups = frame, at, group[at], groups

    def total(self, values: NDArray[Any]) -> NDArray[Any]:
        made = np.zeros(self.groups, values.dtype)
        np.add.at(made, self.group, values[self.at])
        return made

    def largest(self, counts: Counts) -> Counts:
        made = np.zeros(self.groups, np.int64)
        np.maximum.at(made, self.group, counts[self.at])
        return made

    def any(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        made = np.zeros(self.groups, np.bool_)
        made[self.group[mask[self.at]]] = True
        return made

    def lowest_known(self, name: str) -> Reals:
        made = np.full(self.groups, np.nan)
        np.fmin.at(made, self.group, self.frame.real(name)[self.at])
        return made

    def highest_known(self, name: str) -> Reals:
        made = np.full(self.groups, np.nan)
        np.fmax.at(made, self.group, self.frame.real(name)[self.at])
        return made

    def merged(self, name: str) -> Merged:
        return Merged.of(self.frame.histograms(name), self.at, self.group, self.groups)


def _grouped(frame: Frame, slot_ns: int) -> tuple[list[tuple[Any, ...]], Counts]:
    """Keys with their slot's start in order, and the number of each row's key (rows,)."""
    start_ns = frame.count("start_ns")
    texts = [frame.text(name).tolist() for name in frame.table.keys]
    seen: dict[tuple[Any, ...], int] = {}
    each = zip(*texts, (start_ns - start_ns % slot_ns).tolist(), strict=True)
    found = np.fromiter((seen.setdefault(key, len(seen)) for key in each), np.int64, frame.rows)
    keys = sorted(seen)
    place = np.empty(len(keys), np.int64)
    place[[seen[key] for key in keys]] = np.arange(len(keys))
    return keys, place[found]


def _fit(frame: Frame) -> NDArray[np.bool_]:
    """Mask of the rows that count; a roll-up's row has left out the others already."""
    if frame.table is not WINDOW:
        return np.ones(frame.rows, np.bool_)
    fit: NDArray[np.bool_] = frame.count("unfit") == 0
    return fit


def _windows(frame: Frame, group: Counts, rows: _Rows) -> dict[str, Counts]:
    if frame.table is not WINDOW:
        return {name: rows.total(frame.count(name)) for name in _OWN[:3]}
    every = np.bincount(group, minlength=rows.groups).astype(np.int64)
    fit = np.bincount(rows.group, minlength=rows.groups).astype(np.int64)
    tests = rows.total((frame.count("under_test") > 0).astype(np.int64))
    return {"windows": fit, "windows_unfit": every - fit, "windows_under_test": tests}


def _loss(rows: _Rows, columns: Mapping[str, Counts]) -> dict[str, Reals]:
    out, back, unknown = (columns[f"lost_{way}"] for way in ("forward", "backward", "unattributed"))
    tried = columns["sent"] - columns["refused"]

    def told(name: str) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = rows.any(~np.isnan(rows.frame.real(name))) & (unknown == 0)
        return known

    forward, backward = told("loss_forward_ratio"), told("loss_backward_ratio")
    return {
        "loss_forward_ratio": np.where(forward, _ratio(out, tried), np.nan),
        "loss_backward_ratio": np.where(backward, _ratio(back, tried - out), np.nan),
        "loss_ratio": _ratio(out + back + unknown, tried),
    }


def _ratio(part: Counts, whole: Counts) -> Reals:
    made = np.full(len(whole), np.nan)
    np.divide(part, whole, out=made, where=whole > 0)
    return made


def _round_trip(rows: _Rows) -> dict[str, Any]:
    merged = rows.merged("rtt_ns")
    least, most = rows.lowest_known("rtt_min_us"), rows.highest_known("rtt_max_us")

    def percentile(per_mille: int) -> Reals:
        told = merged.quantile_us(per_mille, LEAST_SAMPLES.get(per_mille, 1))
        inside = np.fmax(np.fmin(told, most), least)  # the ends are exact, a bucket's value is not
        return np.where(np.isnan(told), np.nan, inside)

    p50, p95, p99, p999 = (percentile(per_mille) for per_mille in (500, 950, 990, 999))
    highest = p50
    for higher in (p95, p99, p999):
        highest = np.where(np.isnan(higher), highest, higher)
    return {
        "rtt_min_us": least, "rtt_mean_us": _mean(rows), "rtt_p50_us": p50, "rtt_p95_us": p95,
        "rtt_p99_us": p99, "rtt_p999_us": p999, "rtt_max_us": most, "pdv_us": highest - least,
        "rtt_ns": merged.column(),
    }  # fmt: skip


def _mean(rows: _Rows) -> Reals:
    """Mean round trip of all samples, from the means of rows that have one."""
    mean_us = rows.frame.real("rtt_mean_us")
    samples = np.where(np.isnan(mean_us), 0, samples_of(rows.frame.histograms("rtt_ns")))
    total = rows.total(np.where(samples > 0, mean_us, 0.0) * samples)
    count = rows.total(samples)
    made = np.full(rows.groups, np.nan)
    np.divide(total, count, out=made, where=count > 0)
    return made


def _one_way(rows: _Rows) -> dict[str, Any]:
    frame = rows.frame
    bound_us = frame.real("one_way_error_us")
    lengths = [np.diff(frame.histograms(name).offsets) for name in ("forward_ns", "backward_ns")]
    unbounded = rows.any(np.isnan(bound_us) & (lengths[0] + lengths[1] > 0))
    made: dict[str, Any] = {}
    for way in ("forward", "backward"):
        merged = rows.merged(f"{way}_ns")
        least = rows.lowest_known(f"{way}_min_us")
        p50 = merged.quantile_us(500)
        known = ~unbounded & ~np.isnan(least)
        made[f"{way}_min_us"] = np.where(known, least, np.nan)
        made[f"{way}_p50_us"] = np.where(known, np.fmax(p50, least), np.nan)
        made[f"{way}_ns"] = merged.column()
    made["one_way_error_us"] = np.where(unbounded, np.nan, rows.highest_known("one_way_error_us"))
    return made
