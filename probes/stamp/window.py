"""STAMP packets of one window become rows of the table `window`: counts by fate and direction, delay. Pure.

A packet belongs to the window in which it was sent. The rows are made after the timeout of the window's last
packet, so later replies are at hand and tell the direction of losses at the window's end. A row is one link
and class: all its flows together; `Tally` has what each flow contributed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Frame
from linkgauge.schema import WINDOW
from probes.stamp import fate, mark, span_delay, tail
from probes.stamp.fate import Fates
from probes.stamp.sessions import Sessions

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Groups:
    """Which sessions make one row. names, classes: link and class of each of g groups; first_class (g,): the
    group of the same link's first class; peers: address of each group's far end, none where not told. of
    (n,): group of each session; port, flow (n,): its source port and number among the link's flows; dscp
    (n,); stateful (n,): its far end counts its replies."""

    names: Sequence[str]
    classes: Sequence[str]
    first_class: Ints
    of: Ints
    flow: Ints
    port: Ints
    dscp: Ints
    stateful: NDArray[np.bool_]
    peers: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True)
class Span:
    """One window: its time, the sequence numbers sent in it by each session, and what the agent noted.

    first, end (n,) int64: session i sent first[i] <= seq < end[i]. missed (n,): slots that passed unused.
    own_error_ns: bound on this host's clock error, NaN when it is not synchronised. tai_offset_s: TAI - UTC.
    unfit: sum of Unfit bits. under_test: a throughput test ran here. heard: packets that came of the probes
    of peers, by their address.
    """

    start_ns: int
    length_ns: int
    first: Ints
    end: Ints
    missed: Ints
    own_error_ns: float
    tai_offset_s: int
    unfit: int
    under_test: bool
    heard: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """Rows of one window, and the fates of the packets behind them."""

    frame: Frame
    fates: Fates
    unattributed: NDArray[np.bool_]
    """(g,) groups with losses whose direction is not known (yet)."""
    shown: NDArray[np.bool_]
    """(g,) groups that have a row, in the order of the frame."""


def report(
    sessions: Sessions, groups: Groups, span: Span, of: NDArray[np.bool_] | None = None, revision: int = 0
) -> Report:
    """One WINDOW row for each group that was due in the window; of (g,): only for these groups."""
    g = len(groups)
    chosen = np.arange(len(sessions)) if of is None else np.flatnonzero(of[groups.of])
    chosen = chosen[np.argsort(groups.of[chosen], kind="stable")]
    fates = fate.gather(sessions, span.first, span.end, groups.stateful, chosen, groups.of)
    group = groups.of[fates.session]
    columns: dict[str, Any] = dict(_counts(fates, group, g))
    columns |= fate.duplicates(sessions, span.first, span.end, groups.of, groups.stateful, g)
    columns |= _loss(columns)
    columns |= span_delay.columns(sessions, fates, groups.of, span.own_error_ns, span.tai_offset_s, g)
    columns |= mark.columns(fates, group, groups.dscp, g)
    columns["lost_runs"] = _runs(fates, group, g).astype(np.float64)
    columns |= tail.columns(fates, group, columns["sent"], span.start_ns + span.length_ns)
    columns["heard"] = [span.heard.get(peer, math.nan) for peer in groups.peers] or np.full(g, math.nan)
    gap_us = columns["rtt_p50_us"] - columns["rtt_p50_us"][groups.first_class]
    columns["class_gap_us"] = np.where(groups.first_class == np.arange(g), np.nan, gap_us)
    missed = np.bincount(groups.of, span.missed, g).astype(np.int64)
    columns["missed"] = missed
    for name, value in (
        ("unfit", span.unfit), ("under_test", int(span.under_test)), ("revision", revision),
        ("start_ns", span.start_ns), ("length_ns", span.length_ns),
    ):  # fmt: skip
        columns[name] = np.full(g, value)
    names = {"link": list(groups.names), "probe": ["stamp"] * g, "class": list(groups.classes)}
    frame = Frame.of(WINDOW, {**names, **columns}, rows=g)
    due = np.bincount(groups.of, span.end - span.first, g) + missed > 0
    shown = due if of is None else due & of
    return Report(frame.take(shown), fates, columns["lost_unattributed"] > 0, shown)


def _counts(fates: Fates, group: Ints, g: int) -> dict[str, Ints]:
    def each(mask: NDArray[np.bool_]) -> Ints:
        return np.bincount(group[mask & fates.inside], minlength=g).astype(np.int64)

    late, extent = fates.late, fates.extent
    sent = each(~fates.failed)
    some_lost = bool(fates.lost.any())
    none = np.zeros(g, np.int64)
    counts = {
        "sent": sent,
        "replied": each(fates.seen & ~late),
        "late": each(late) if late.any() else none,
        "refused": each(fates.refused) if fates.refused.any() else none,
        "send_failed": each(fates.failed) if fates.failed.any() else none,
        "unreachable": each(fates.unreachable) if fates.unreachable.any() else none,
        "reordered": each(extent > 0) if extent.any() else none,
    }
    for name, direction in (("forward", 1), ("backward", 2), ("unattributed", 3)):
        counts[f"lost_{name}"] = each(fates.direction == direction) if some_lost else none.copy()
    counts["reorder_extent_max"] = np.zeros(g, np.int64)
    np.maximum.at(counts["reorder_extent_max"], group[fates.inside], extent[fates.inside])
    return counts


def _runs(fates: Fates, group: Ints, g: int) -> Ints:
    """Runs of lost packets of each group (g,), in the order of sending, whatever their flow (RFC 3357 section
    4 calls them loss periods). Packets that never left stand in none."""
    counted = fates.inside & ~fates.failed
    some = np.zeros(g, np.bool_)
    some[group[counted & fates.lost]] = True
    at = np.flatnonzero(counted & some[group])
    at = at[np.lexsort((fates.t1_ns[at], group[at]))]
    lost, owner = fates.lost[at], group[at]
    goes_on = np.zeros(len(at), np.bool_)
    goes_on[1:] = lost[:-1] & (owner[1:] == owner[:-1])
    return np.bincount(owner[lost & ~goes_on], minlength=g).astype(np.int64)


def _loss(columns: dict[str, Any]) -> dict[str, NDArray[np.float64]]:
    lost = columns["lost_forward"] + columns["lost_backward"] + columns["lost_unattributed"]
    known = columns["lost_unattributed"] == 0
    tried = columns["sent"] - columns["refused"]
    arrived = tried - columns["lost_forward"]
    return {
        "loss_ratio": _ratio(lost, tried),
        "loss_forward_ratio": np.where(known, _ratio(columns["lost_forward"], tried), np.nan),
        "loss_backward_ratio": np.where(known, _ratio(columns["lost_backward"], arrived), np.nan),
    }


def _ratio(part: Ints, whole: Ints) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, np.nan)
