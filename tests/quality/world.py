"""Specs and rows for the tests of this room: a link there and back, and windows as an agent reports them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame, Histograms
from linkgauge.histogram import Histogram
from linkgauge.model import DEFAULT_TIERS, Link, LinkSpec, Tier
from linkgauge.schema import FLOW, STATE, THROUGHPUT, WINDOW
from linkgauge.table import Kind

WINDOW_NS = 10 * NS_PER_S
START_NS = 1_000 * WINDOW_NS
THERE, BACK = Link("a", "b", "net"), Link("b", "a", "net")


def spec(
    link: Link = THERE, mirrored: bool = False, tier: Tier = DEFAULT_TIERS["region"], promised_bps: int = 0
) -> LinkSpec:
    """A link of the tier `region` (5 ms, 0.1 %) unless told otherwise."""
    return LinkSpec(link, tier, promised_bps, mirrored, {"link": str(link)})


def row(window: int = 0, **values: Any) -> dict[str, Any]:
    """A row of WINDOW, `window` windows before the one judged: 100 packets, all replied to, without delays.

    rtt_us, forward_us: delays, of which the histograms are made.
    """
    made: dict[str, Any] = {"link": str(THERE), "probe": "stamp", "class": "0"}
    made |= {"start_ns": START_NS - window * WINDOW_NS, "length_ns": WINDOW_NS, "sent": 100, "replied": 100}
    for name in ("rtt", "forward"):
        if f"{name}_us" in values:
            delays = np.asarray(values.pop(f"{name}_us"), np.float64) * 1e3
            made[f"{name}_ns"] = Histogram.of(delays)
    return {**made, **values}


def windows(rows: Sequence[Mapping[str, Any]]) -> Frame:
    """A frame of such rows."""
    columns: dict[str, Any] = {}
    empty = {Kind.COUNT: 0, Kind.REAL: np.nan, Kind.HISTOGRAM: Histogram.empty()}
    for field in WINDOW.columns:
        values = [each.get(field.name, empty.get(field.kind)) for each in rows]
        columns[field.name] = Histograms.of(values) if field.kind is Kind.HISTOGRAM else values
    return Frame.of(WINDOW, columns)


def throughput(rows: Sequence[tuple[Link, int, int, float]]) -> Frame:
    """THROUGHPUT rows of (link, windows before the one judged, outcome, received_bps)."""
    return Frame.of(
        THROUGHPUT,
        {
            "link": [str(link) for link, *_ in rows],
            "start_ns": [START_NS - window * WINDOW_NS for _, window, _, _ in rows],
            "length_ns": [WINDOW_NS] * len(rows),
            "outcome": [outcome for _, _, outcome, _ in rows],
            "received_bps": [received_bps for *_, received_bps in rows],
        },
    )


def values(state: Frame, at: int = 0) -> dict[str, Any]:
    """One row of STATE by column name."""
    assert state.table is STATE
    return {name: column[at] for name, column in state.columns.items()}


def flow_row(flow: int, window: int = 0, **values: Any) -> dict[str, Any]:
    """A row of FLOW, `window` windows before the one judged: 100 packets, all replied to unless told."""
    made: dict[str, Any] = {"link": str(THERE), "probe": "stamp", "class": "0", "flow": str(flow)}
    made |= {"start_ns": START_NS - window * WINDOW_NS, "length_ns": WINDOW_NS, "sent": 100}
    lost = sum(values.get(name, 0) for name in ("lost_forward", "lost_backward", "lost_unattributed"))
    return {**made, "replied": 100 - lost, **values}


def flows(rows: Sequence[Mapping[str, Any]]) -> Frame:
    """A frame of such rows."""
    given = {name for row in rows for name in row} | {*FLOW.keys, "start_ns"}
    return Frame.of(FLOW, {name: [row.get(name, 0) for row in rows] for name in given}, len(rows))
