"""Windows with the samples behind them, for the tests of roll-ups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S, NS_PER_US
from linkgauge.frame import Column, Frame, Histograms
from linkgauge.histogram import Histogram
from linkgauge.schema import WINDOW

Reals = NDArray[np.float64]
T0_NS = 1_800_000_000 * NS_PER_S
"""The start of an hour (and of a 5-minute slot)."""


@dataclass(frozen=True)
class Sampled:
    """One window: its round trips and one-way delays, ns, and its counts."""

    start_ns: int
    rtt_ns: tuple[float, ...] = ()
    forward_ns: tuple[float, ...] = ()
    error_us: float = np.nan
    lost: tuple[int, int, int] = (0, 0, 0)
    refused: int = 0
    extent: int = 0
    unfit: int = 0
    under_test: int = 0
    link: str = "a>b@n"
    probe: str = "stamp"
    length_ns: int = 10 * NS_PER_S


def frame_of(windows: Sequence[Sampled]) -> Frame:
    """WINDOW rows of the windows, as an agent makes them."""
    columns: dict[str, Any] = {
        "link": [one.link for one in windows],
        "probe": [one.probe for one in windows],
        "class": ["0"] * len(windows),
        "start_ns": [one.start_ns for one in windows],
        "length_ns": [one.length_ns for one in windows],
        "sent": [len(one.rtt_ns) + sum(one.lost) + one.refused for one in windows],
        "replied": [len(one.rtt_ns) for one in windows],
        "refused": [one.refused for one in windows],
        "lost_forward": [one.lost[0] for one in windows],
        "lost_backward": [one.lost[1] for one in windows],
        "lost_unattributed": [one.lost[2] for one in windows],
        "reorder_extent_max": [one.extent for one in windows],
        "unfit": [one.unfit for one in windows],
        "under_test": [one.under_test for one in windows],
        "one_way_error_us": [one.error_us for one in windows],
        "rtt_ns": Histograms.of([Histogram.of(np.array(one.rtt_ns, float)) for one in windows]),
        "forward_ns": Histograms.of([Histogram.of(np.array(one.forward_ns, float)) for one in windows]),
    }
    for name, values in _told(windows).items():
        columns[name] = values
    return Frame.of(WINDOW, columns, len(windows))


def _told(windows: Sequence[Sampled]) -> dict[str, list[float]]:
    made: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        made.setdefault(name, []).append(value)

    for one in windows:
        rtt_us = np.array(one.rtt_ns, float) / NS_PER_US
        add("rtt_min_us", rtt_us.min() if len(rtt_us) else np.nan)
        add("rtt_max_us", rtt_us.max() if len(rtt_us) else np.nan)
        add("rtt_mean_us", rtt_us.mean() if len(rtt_us) else np.nan)
        tried = len(rtt_us) + sum(one.lost)
        by_direction = one.probe == "stamp" and tried and not one.lost[2]
        add("loss_forward_ratio", one.lost[0] / tried if by_direction else np.nan)
        arrived = tried - one.lost[0]
        add("loss_backward_ratio", one.lost[1] / arrived if by_direction and arrived else np.nan)
        add("loss_ratio", sum(one.lost) / tried if tried else np.nan)
        known = len(one.forward_ns) and np.isfinite(one.error_us)
        add("forward_min_us", min(one.forward_ns) / NS_PER_US if known else np.nan)
    return made


@st.composite
def sampled(draw: st.DrawFn) -> Sampled:
    """A window of some link within two hours."""
    delays = st.lists(st.floats(1e3, 1e9), max_size=6).map(tuple)
    few = st.integers(0, 3)
    return Sampled(
        start_ns=T0_NS + draw(st.integers(0, 719)) * 10 * NS_PER_S,
        rtt_ns=draw(delays),
        forward_ns=draw(delays),
        error_us=draw(st.sampled_from([np.nan, 5.0, 70.0])),
        lost=(draw(few), draw(few), draw(few)),
        refused=draw(few),
        extent=draw(st.integers(0, 9)),
        unfit=draw(st.sampled_from([0, 0, 0, 4])),
        under_test=draw(st.integers(0, 1)),
        link=draw(st.sampled_from(["a>b@n", "b>a@n"])),
        probe=draw(st.sampled_from(["stamp", "icmp"])),
    )


WINDOWS = st.lists(
    sampled(), min_size=1, max_size=25, unique_by=lambda one: (one.start_ns, one.link, one.probe)
)


def alike(one: Frame, other: Frame) -> bool:
    """Equal but for the rounding of rtt_mean_us."""
    return one.rows == other.rows and all(
        _same(name, one.columns[name], other.columns[name]) for name in one.columns
    )


def _same(name: str, one: Column, other: Column) -> bool:
    if isinstance(one, Histograms):
        assert isinstance(other, Histograms)
        return all(
            np.array_equal(getattr(one, part), getattr(other, part))
            for part in ("offsets", "bucket", "count")
        )
    assert not isinstance(other, Histograms)
    if one.dtype != np.float64:
        return bool(np.array_equal(one, other))
    tolerance = 1e-12 if name == "rtt_mean_us" else 0.0
    return bool(np.allclose(one, other, rtol=tolerance, atol=0, equal_nan=True))
