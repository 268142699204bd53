"""Watches the smallest round trip of every link and class, window by window, for shifts. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Frame
from probes.path.event import Step
from probes.path.shift import Shift, Shifts

_PROBE = "stamp"


class Watch:
    """Series of all links and classes seen. slack_ns: how far apart a shift and another hop count may be."""

    def __init__(self, slack_ns: int) -> None:
        self._slack_ns = slack_ns
        self._shifts = Shifts()
        self._series: dict[tuple[str, str], int] = {}
        self._names: list[tuple[str, str]] = []
        self._hops = np.empty((0, 2))
        self._turned: dict[int, tuple[int, str, str]] = {}

    def take(self, window: Frame, now_ns: int) -> list[Step]:
        """WINDOW rows; those of other probes, of unfit agents, under test or half lost are passed over."""
        good = (window.text("probe") == _PROBE) & (window.count("unfit") == 0)
        good &= (window.count("under_test") == 0) & (2 * window.count("replied") >= window.count("sent"))
        starts = window.count("start_ns")
        steps = []
        for start_ns in np.unique(starts[good]).tolist():
            steps += self._one(window.take(good & (starts == start_ns)), now_ns)
        return steps

    def _one(self, window: Frame, now_ns: int) -> list[Step]:
        names = zip(window.text("link").tolist(), window.text("class").tolist(), strict=True)
        rows = np.array([self._row(name) for name in names], np.intp)
        self._grow()
        starts = window.count("start_ns")
        self._note_hops(
            rows, starts, np.stack([window.real("hops_forward"), window.real("hops_backward")], 1)
        )
        return [
            self._step(shift, now_ns) for shift in self._shifts.take(rows, starts, window.real("rtt_min_us"))
        ]

    def _row(self, name: tuple[str, str]) -> int:
        if name not in self._series:
            self._series[name] = len(self._names)
            self._names.append(name)
        return self._series[name]

    def _grow(self) -> None:
        more = len(self._names) - len(self._shifts)
        self._shifts.grow(len(self._names))
        self._hops = np.concatenate([self._hops, np.full((more, 2), np.nan)])

    def _note_hops(
        self, rows: NDArray[np.intp], start_ns: NDArray[np.int64], hops: NDArray[np.float64]
    ) -> None:
        before = self._hops[rows]
        turned = (np.isfinite(hops) & np.isfinite(before) & (hops != before)).any(axis=1)
        for at in np.flatnonzero(turned).tolist():
            texts = (_text(before[at]), _text(hops[at]))
            self._turned[int(rows[at])] = (int(start_ns[at]), *texts)
        self._hops[rows] = np.where(np.isfinite(hops), hops, before)

    def _step(self, shift: Shift, now_ns: int) -> Step:
        link, dscp = self._names[shift.series]
        turned_ns, before, after = self._turned.get(shift.series, (-(1 << 62), "", ""))
        near = abs(turned_ns - shift.since_ns) <= self._slack_ns
        turn = (before, after) if near else None
        return Step(link, int(dscp), shift.since_ns, now_ns, shift.before_us, shift.after_us, turn)


def _text(hops: NDArray[np.float64]) -> str:
    out, back = ("?" if np.isnan(count) else f"{count:.0f}" for count in hops)
    return f"{out} hops out, {back} back"
