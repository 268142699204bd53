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
from quality.evidence import Evidence
from quality.objectives import Objectives
from quality.statistics.confidence import VERDICT_CONFIDENCE
from quality.verdicts import delay, loss
from quality.verdicts.delay import Delays
from quality.verdicts.loss import Losses
from quality.verdicts.throughput import GOODPUT_SHARE

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


@dataclass(frozen=True, slots=True)
class Sums:
    """What n links come to over the span, each (n,); every part adds up over its windows."""

    measured: Counts
    """Windows with packets, the agent fit or not."""
    windows: Counts
    """Windows measured by a fit agent; what follows is of these."""
    forward: Losses
    backward: Losses
    available: Counts
    """Windows with less than AVAILABLE_LOSS lost on the way out."""
    available_both: Counts
    """The same with the losses of the worse direction."""

    @classmethod
    def of(cls, evidence: Evidence) -> Sums:
        """Add up these rows."""
        fit = evidence.fit
        measured, windows = (
            np.bincount(each.link, minlength=each.links).astype(np.int64) for each in (evidence, fit)
        )
        forward, backward = loss.forward(fit), loss.backward(fit)
        out, both = forward.most_ratio, np.fmax(forward.most_ratio, backward.most_ratio)
        return cls(
            measured,
            windows,
            forward.by(fit.link, fit.links),
            backward.by(fit.link, fit.links),
            fit.each(out < AVAILABLE_LOSS),
            fit.each(both < AVAILABLE_LOSS),
        )


def assess(evidence: Evidence, received_bps: Reals, objectives: Objectives) -> Period:
    """Judge the span that `evidence` covers; of it only what a fit agent measured counts."""
    unloaded = evidence.fit.unloaded
    basis = delay.bases(unloaded, objectives.delay_us)
    delays = delay.delays(unloaded, basis, objectives.delay_quantile)
    keeps = delays.upper_us <= objectives.delay_us, delays.lower_us > objectives.delay_us
    return conclude(Sums.of(evidence), basis, delays, keeps, received_bps, objectives)


def conclude(
    sums: Sums,
    basis: Counts,
    delays: Delays,
    keeps: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    received_bps: Reals,
    objectives: Objectives,
) -> Period:
    """Judge what the links came to. keeps: links whose delay surely keeps to the objective, and those where
    it surely does not."""
    told_elsewhere = (objectives.reverse >= 0) & (sums.measured[objectives.reverse] > 0)
    forward = sums.forward.placed(objectives.loss_ratio, VERDICT_CONFIDENCE)
    backward = sums.backward
    up = _worse(forward.upper(VERDICT_CONFIDENCE), backward.upper(VERDICT_CONFIDENCE), told_elsewhere)
    low = _worse(forward.lower(VERDICT_CONFIDENCE), backward.lower(VERDICT_CONFIDENCE), told_elsewhere)
    enough_bps = GOODPUT_SHARE * objectives.promised_bps
    by_loss = _verdict(up <= objectives.loss_ratio, low > objectives.loss_ratio)
    by_delay = _verdict(*keeps)
    by_throughput = _verdict(received_bps >= enough_bps, received_bps < enough_bps)
    return Period(
        sums.windows,
        forward,
        backward,
        told_elsewhere,
        up,
        basis,
        delays,
        _availability(sums, told_elsewhere),
        received_bps,
        by_loss,
        by_delay,
        by_throughput,
        _overall(by_loss, by_delay, by_throughput),
    )


def _worse(forward: Reals, backward: Reals, told_elsewhere: NDArray[np.bool_]) -> Reals:
    """The higher of both directions; the forward one alone where the other is judged elsewhere or unknown."""
    return np.fmax(forward, np.where(told_elsewhere, np.nan, backward))


def _availability(sums: Sums, told_elsewhere: NDArray[np.bool_]) -> Reals:
    available = np.where(told_elsewhere, sums.available, sums.available_both)
    share = np.full(len(available), np.nan)
    np.divide(available, sums.windows, out=share, where=sums.windows > 0)
    return share


def _verdict(met: NDArray[np.bool_], missed: NDArray[np.bool_]) -> Counts:
    verdict = np.where(met, Verdict.MET, np.where(missed, Verdict.MISSED, Verdict.UNKNOWN))
    return verdict.astype(np.int64)


def _overall(by_loss: Counts, by_delay: Counts, by_throughput: Counts) -> Counts:
    """MISSED when anything is missed; MET when loss and delay are met; throughput need not be known."""
    missed = np.maximum(np.maximum(by_loss, by_delay), by_throughput) == Verdict.MISSED
    return _verdict(~missed & (by_loss == Verdict.MET) & (by_delay == Verdict.MET), missed)
