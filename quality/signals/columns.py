"""Signals of one window: the columns of STATE beside verdicts and bounds (linkgauge.judged_tables). Pure.

The definitions and their sources stand in docs/measurement.md. What a window tells counts only where a fit
agent measured it; variation, marks and asymmetry not while a throughput test of our own filled the queues.
What the reverse link's owner tells of its own way out is not told a second time as our way back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_US
from linkgauge.histogram import value_of
from linkgauge.judged_tables import DOWN_S
from quality.objectives import Objectives
from quality.signals.signs import AT, LEAST_UNANSWERED, Signed
from quality.statistics import confidence
from quality.statistics.confidence import ALERT_CONFIDENCE
from quality.verdicts.throughput import GOODPUT_SHARE

Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]
Reals = NDArray[np.float64]
Columns = dict[str, Any]

ALONE = 0.5
"""A test that misses more than this share of what it should carry needs no second one: a neighbour's transfer
leaves half."""
LEAST_MARKS = 10
"""Packets with told marks of which a share is a number."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of n links beside their signs, each (n,)."""

    fit: Mask
    """A fit agent measured this window."""
    told_elsewhere: Mask
    """The reverse link's owner tells of our way back."""
    unfit_end: Mask
    """The far end says that it was not fit."""
    carried: Mask
    """The far end heard what was not answered: the way out is well."""
    untold_end: Mask
    """The far end usually says what it heard, and has not yet said it of this window."""


def of_window(signs: Signed, known: Known, objectives: Objectives) -> Columns:
    """Variation, marks, remarks. signs (len(NAMES), n)."""
    pdv_us = np.where(signs[AT["pdv"]] > 0, value_of((signs[AT["pdv"]] - 1).astype(np.int16)), np.nan)
    pdv_us = np.where(known.fit, pdv_us / NS_PER_US, np.nan)
    columns: Columns = {"pdv_us": pdv_us, "pdv_excess_us": pdv_us - objectives.pdv_us}
    for way, told_by in (("forward", "marks"), ("backward", "replies")):
        packets, marked = signs[AT[told_by]].astype(np.int64), signs[AT[f"ce_{way}"]].astype(np.int64)
        ours = known.fit & (packets > 0)
        if way == "backward":
            ours &= ~known.told_elsewhere
        columns[f"ce_{way}_ratio"] = _share(marked, packets, ours)
        columns[f"ce_{way}_excess_ratio"] = _lower(marked, packets, ours & (marked > 0)) - objectives.ce_ratio
        remarked = signs[AT[f"remarked_{way}"]].astype(np.int64)
        ours &= (packets >= LEAST_MARKS) & (remarked > 0)
        columns[f"remarked_{way}_ratio"] = _share(remarked, packets, ours)
    return columns


def unanswered_s(packets: Counts, silent_s: Reals, silent: Mask, known: Known) -> Reals:
    """How long the far end has not answered (n,), from so many packets on that had no answer; 0 where nothing
    came back (silent) and it heard them all the same. NaN where the window was not measured by a fit agent,
    the far end was not fit, it heard what had no answer at the window's end only, or has yet to say."""
    many = packets >= LEAST_UNANSWERED
    unknown = many & ((known.carried & ~silent) | known.untold_end)
    told = np.where(many & ~known.carried, silent_s, 0.0)
    return np.where(known.fit & ~known.unfit_end & ~unknown, told, np.nan)


def shortfall_ratio(received_bps: Reals, objectives: Objectives) -> Reals:
    """Share of the goodput promised that the last test did not receive (n,); NaN without either."""
    return 1 - received_bps / (GOODPUT_SHARE * objectives.promised_bps)


def low_throughput(last_bps: Reals, former_bps: Reals, objectives: Objectives) -> Columns:
    """The shortfall of the better of the last two tests (n,), for one alone may have met a neighbour's
    transfer; of the last alone where it is above ALONE, or not above 0. NaN where it needs a second test."""
    last, former = (shortfall_ratio(each, objectives) for each in (last_bps, former_bps))
    with np.errstate(invalid="ignore"):
        alone = (last > ALONE) | (last <= 0)
    return {"throughput_low_ratio": np.where(alone, last, np.minimum(last, former))}


def good_and_bad(columns: Columns, slow: Mask, known: Known, excused: Mask) -> Columns:
    """Whether the window keeps to the tier, or surely does not. columns: of STATE, loss, delay and
    unanswered_s among them; slow (n,): the delay's lower bound is above the objective; excused (n,):
    neither."""
    loss = np.fmax(columns["loss_forward_excess_ratio"], columns["loss_backward_excess_ratio"])
    judged = known.fit & ~known.unfit_end & ~excused
    with np.errstate(invalid="ignore"):
        bad = judged & (slow | (loss > 0) | (columns["unanswered_s"] > DOWN_S))
    told = np.isfinite(columns["loss_forward_excess_ratio"]) & np.isfinite(columns["delay_us"])
    return {"good": (judged & told & ~bad).astype(np.int64), "bad": bad.astype(np.int64)}


def _share(part: Counts, whole: Counts, use: Mask) -> Reals:
    told = np.full(len(whole), np.nan)
    np.divide(part, whole, out=told, where=use & (whole > 0))
    return told


def _lower(part: Counts, whole: Counts, use: Mask) -> Reals:
    """Lower bound of the share (n,) where it is asked for, else NaN."""
    told = np.full(len(whole), np.nan)
    told[use] = confidence.lower(np.minimum(part, whole)[use], whole[use], ALERT_CONFIDENCE)
    return told
