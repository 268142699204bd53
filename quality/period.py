"""What is said of links over a span of windows: loss, delay, throughput, availability, verdict. Pure.

Every statement needs its packets. Loss is MET when even the upper bound keeps to the objective, MISSED when
even the lower bound breaks it, each with VERDICT_CONFIDENCE; delay is MET or MISSED when the interval of the
quantile lies wholly on one side of the objective. Anything else is UNKNOWN: not enough packets to tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkgauge.model import Verdict
from quality import delay, loss
from quality.confidence import VERDICT_CONFIDENCE
from quality.delay import Delays
from quality.evidence import Evidence, summed
from quality.loss import Losses
from quality.objectives import Objectives
from quality.throughput import GOODPUT_SHARE

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]

AVAILABLE_LOSS = 0.5
"""A window counts as available below this loss (the threshold of MEF's availability, 50 %)."""


@dataclass(frozen=True, slots=True)
class Period:
    """n links over the span. Verdicts are values of `Verdict`; see the fields of the table `state`."""

    windows: Counts
    """Windows measured by a fit agent."""
    forward: Losses
    backward: Losses
    told_elsewhere: NDArray[np.bool_]
    """The far end measures, fit or not, so backward loss here is judged as forward loss there."""
    loss_upper_ratio: Reals
    """Upper bound of the worse direction judged here; NaN without packets."""
    basis: Counts
    """DelayBasis."""
    delay: Delays
    availability_ratio: Reals
    """Share of windows with less than AVAILABLE_LOSS lost; one in which all was refused is not available."""
    received_bps: Reals
    verdict_loss: Counts
    verdict_delay: Counts
    verdict_throughput: Counts
    verdict: Counts


def assess(evidence: Evidence, received_bps: Reals, objectives: Objectives) -> Period:
    """Judge the span that `evidence` covers; of it only what a fit agent measured counts."""
    fit = evidence.fit
    windows = np.bincount(fit.link, minlength=fit.links).astype(np.int64)
    measured = np.bincount(evidence.link, minlength=evidence.links)
    told_elsewhere = (objectives.reverse >= 0) & (measured[objectives.reverse] > 0)
    window_losses = loss.forward(fit), loss.backward(fit)
    forward, backward = (losses.by(fit.link, fit.links) for losses in window_losses)
    forward = forward.placed(objectives.loss_ratio, VERDICT_CONFIDENCE)
    up = _worse(forward.upper(VERDICT_CONFIDENCE), backward.upper(VERDICT_CONFIDENCE), told_elsewhere)
    low = _worse(forward.lower(VERDICT_CONFIDENCE), backward.lower(VERDICT_CONFIDENCE), told_elsewhere)
    unloaded = fit.unloaded
    basis = delay.bases(unloaded, objectives.delay_us)
    delays = delay.delays(unloaded, basis, objectives.delay_quantile)
    enough_bps = GOODPUT_SHARE * objectives.promised_bps
    by_loss = _verdict(up <= objectives.loss_ratio, low > objectives.loss_ratio)
    by_delay = _verdict(delays.upper_us <= objectives.delay_us, delays.lower_us > objectives.delay_us)
    by_throughput = _verdict(received_bps >= enough_bps, received_bps < enough_bps)
    return Period(
        windows,
        forward,
        backward,
        told_elsewhere,
        up,
        basis,
        delays,
        _availability(*window_losses, fit, told_elsewhere, windows),
        received_bps,
        by_loss,
        by_delay,
        by_throughput,
        _overall(by_loss, by_delay, by_throughput),
    )


def _worse(forward: Reals, backward: Reals, told_elsewhere: NDArray[np.bool_]) -> Reals:
    """The higher of both directions; the forward one alone where the other is judged elsewhere or unknown."""
    return np.fmax(forward, np.where(told_elsewhere, np.nan, backward))


def _availability(
    forward: Losses, backward: Losses, fit: Evidence, told_elsewhere: NDArray[np.bool_], windows: Counts
) -> Reals:
    lost = _worse(forward.most_ratio, backward.most_ratio, told_elsewhere[fit.link])
    available = summed((lost < AVAILABLE_LOSS).astype(np.int64), fit.link, fit.links)
    share = np.full(fit.links, np.nan)
    np.divide(available, windows, out=share, where=windows > 0)
    return share


def _verdict(met: NDArray[np.bool_], missed: NDArray[np.bool_]) -> Counts:
    verdict = np.where(met, Verdict.MET, np.where(missed, Verdict.MISSED, Verdict.UNKNOWN))
    return verdict.astype(np.int64)


def _overall(by_loss: Counts, by_delay: Counts, by_throughput: Counts) -> Counts:
    """MISSED when anything is missed; MET when loss and delay are met; throughput need not be known."""
    missed = np.maximum(np.maximum(by_loss, by_delay), by_throughput) == Verdict.MISSED
    return _verdict(~missed & (by_loss == Verdict.MET) & (by_delay == Verdict.MET), missed)
