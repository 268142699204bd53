"""The judgement of one window: a STATE row for every link that is expected, measured or not. Pure.

A link is judged in its own, forward direction. Its backward loss is the same fact as the forward loss of the
reverse link, so where the agent of that link measured at all in the period, fit or not, the backward excess
is NaN: one fault gives one finding, told by the end that owns the direction. In a window in which that end
was not fit, or of which its rows did not come, the direction is unknown: what the other end saw may be that
host's own trouble, and a finding must not change hands from window to window. Only an end without a row in
the whole period does not measure (a bare reflector, an agent that its collector has not heard for so long);
its direction is told by the other end. Where the far end's own rows say that it was not fit, the forward
excess is NaN as well: what it did not take is its own loss; and so it is while the far end, which usually
tells what it heard, has yet to tell it of this window and most of the loss has no direction: flows that are
dead on the way back look like that. Loss while a throughput test of our own ran counts: others on the link
see it as well. Numbers of the window are NaN unless a fit agent measured it; delay
also when such a test ran. In a window in which nothing came back, or more was lost than both directions may
lose, every loss without a known direction counts as forward loss (see quality.verdicts.loss): a dead link
breaches its objective, and so does one with a dead flow. The delay of a dead link is NaN.

Bad flows (quality.verdicts.flows) and probes that disagree (quality.verdicts.divergence) are told beside the
verdicts and change none: the loss of a bad flow is part of the link's loss already.

Verdicts look back over all rows of `period` (see quality.verdicts.period), at VERDICT_CONFIDENCE; the bounds
of the window are at ALERT_CONFIDENCE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.model import LinkSpec
from quality.objectives import Objectives
from quality.statistics.confidence import ALERT_CONFIDENCE
from quality.verdicts.flows import Unequal
from quality.verdicts.loss import Losses
from quality.verdicts.period import Period, Sums

Columns = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Window:
    """What is known of the window that is judged, each of n links."""

    start_ns: int
    length_ns: int
    sums: Sums
    unfit_end: NDArray[np.bool_]
    """The far end says of itself that it was not fit: what it did not answer is its own loss."""
    delay_us: NDArray[np.float64]
    flows: Unequal
    divergent: NDArray[np.int64]
    runs: NDArray[np.float64]
    """Runs of lost packets; NaN where they were not counted."""
    unheard: NDArray[np.bool_] | None = None
    """Most of the loss may be on the way back, and the far end has yet to say so; None: of no link."""


def verdicts(verdict: Period, window: Window, objectives: Objectives) -> Columns:
    """The columns of STATE but the signals, one row for each link, in their order."""
    links = len(objectives)
    return {
        "link": list(objectives.rows),
        "start_ns": np.full(links, window.start_ns),
        "length_ns": np.full(links, window.length_ns),
        **_verdicts(verdict, objectives),
        **_loss(window, objectives, verdict.told_elsewhere),
        "delay_basis": verdict.basis,
        "delay_us": window.delay_us,
        "delay_objective_us": objectives.delay_us,
        "delay_excess_us": window.delay_us - objectives.delay_us,
        "flows": window.flows.flows,
        "flows_bad": window.flows.bad,
        "flows_bad_loss_ratio": window.flows.bad_loss_ratio,
        "divergent": window.divergent,
    }


def _verdicts(period: Period, objectives: Objectives) -> Columns:
    return {
        "verdict": period.verdict,
        "verdict_delay": period.verdict_delay,
        "verdict_loss": period.verdict_loss,
        "verdict_throughput": period.verdict_throughput,
        "period_loss_upper_ratio": period.loss_upper_ratio,
        "period_delay_us": period.delay.value_us,
        "availability_ratio": period.availability_ratio,
        "received_bps": period.received_bps,
        "promised_bps": objectives.promised_bps,
    }


def unfit_ends(unfit: NDArray[np.bool_], specs: Sequence[LinkSpec]) -> NDArray[np.bool_]:
    """Links (n,) whose far end says that it was not fit. unfit (n,): the link's own agent says so."""
    names = {specs[row].link.src for row in np.flatnonzero(unfit).tolist()}
    if not names:
        return np.zeros(len(specs), np.bool_)
    return np.array([spec.link.dst in names for spec in specs], np.bool_)


def _loss(window: Window, objectives: Objectives, told_elsewhere: NDArray[np.bool_]) -> Columns:
    sums = window.sums
    columns = {
        "measured": sums.measured,
        "fit": sums.windows,
        "loss_objective_ratio": objectives.loss_ratio,
        **_direction(
            "forward", sums.forward.placed(objectives.loss_ratio, ALERT_CONFIDENCE), window, objectives
        ),
        **_direction("backward", sums.backward, window, objectives),
    }
    unheard = window.unfit_end if window.unheard is None else window.unfit_end | window.unheard
    for way, unknown in (("backward", told_elsewhere), ("forward", unheard)):
        for name in (f"loss_{way}_excess_ratio", f"loss_{way}_spread_ratio"):
            columns[name] = np.where(unknown, np.nan, columns[name])
    return columns


def _direction(name: str, losses: Losses, window: Window, objectives: Objectives) -> Columns:
    lower = losses.lower(ALERT_CONFIDENCE)
    bursts = np.where(
        np.isnan(window.runs), losses.least, np.minimum(losses.least, np.maximum(window.runs, 1))
    )
    spread = Losses(losses.trials, bursts.astype(np.int64), losses.most).lower(ALERT_CONFIDENCE)
    return {
        f"loss_{name}_ratio": losses.ratio,
        f"loss_{name}_lower_ratio": lower,
        f"loss_{name}_upper_ratio": losses.upper(ALERT_CONFIDENCE),
        f"loss_{name}_excess_ratio": lower - objectives.loss_ratio,
        f"loss_{name}_spread_ratio": spread - objectives.loss_ratio,
    }
