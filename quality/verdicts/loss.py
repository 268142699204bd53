"""Loss of each direction, with what is not known of it. Pure.

A loss whose direction cannot be told (`lost_unattributed`) may lie in either: it counts in `most` of both
directions and in `least` of neither. It counts in `least` of the forward direction too, because that is the
one that a link is judged in and trouble must be found:

- in a window in which nothing came back at all;
- where the forward losses and those without a direction together are surely more than both directions may
  lose, twice the objective (`Losses.placed`): then one of them breaks it, whichever it is. So a dead flow, of
  which nothing comes back to tell the direction, and a far end that counts nothing are judged as well.

Packets that were refused were answered by an ICMP error: they are neither carried
nor lost, and no part of the trials.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quality.evidence import Evidence, Rows, summed
from quality.statistics import confidence

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Losses:
    """One direction of n windows or links: trials (n,), and of them lost `least` to `most` (n,)."""

    trials: Counts
    least: Counts
    most: Counts

    @classmethod
    def within(cls, trials: Counts, least: Counts, most: Counts) -> Losses:
        """Losses held to 0..trials, should an agent have counted more."""
        trials = np.maximum(trials, 0)
        return cls(trials, np.clip(least, 0, trials), np.clip(most, 0, trials))

    @property
    def ratio(self) -> Reals:
        """Loss ratio (n,), 0..1; NaN without trials, or where the direction of a loss is not known."""
        return np.where(self.least == self.most, _ratio(self.most, self.trials), np.nan)

    @property
    def most_ratio(self) -> Reals:
        """Loss ratio (n,) with every loss whose direction is not known; NaN without trials."""
        return _ratio(self.most, self.trials)

    def lower(self, level: float) -> Reals:
        """Lower bound of the ratio (n,) at this one-sided confidence; NaN without trials."""
        return confidence.lower(self.least, self.trials, level)

    def upper(self, level: float) -> Reals:
        """Upper bound of the ratio (n,) at this one-sided confidence; NaN without trials."""
        return confidence.upper(self.most, self.trials, level)

    def placed(self, objective_ratio: Reals, level: float) -> Losses:
        """With the losses of unknown direction in `least`, where all of them are more than twice the
        objective (n,) at this one-sided confidence."""
        surely = confidence.lower(self.most, self.trials, level) > 2 * objective_ratio
        return Losses(self.trials, np.where(surely, self.most, self.least), self.most)

    def by(self, group: Rows, groups: int) -> Losses:
        """Sums over the windows of each group, (groups,)."""
        return Losses(*(summed(each, group, groups) for each in (self.trials, self.least, self.most)))


def forward(evidence: Evidence) -> Losses:
    """Losses on the way out, one row for each window. Trials: sent, less refused."""
    trials = evidence.count("sent") - evidence.count("refused")
    least, unknown = evidence.count("lost_forward"), evidence.count("lost_unattributed")
    silent = evidence.count("replied") + evidence.count("late") == 0
    return Losses.within(trials, least + np.where(silent, unknown, 0), least + unknown)


def backward(evidence: Evidence) -> Losses:
    """Losses on the way back, one row for each window. Trials: what the reflector may have got."""
    trials = evidence.count("sent") - evidence.count("refused") - evidence.count("lost_forward")
    least = evidence.count("lost_backward")
    return Losses.within(trials, least, least + evidence.count("lost_unattributed"))


def _ratio(part: Counts, whole: Counts) -> Reals:
    told = np.full(len(whole), np.nan)
    np.divide(part, whole, out=told, where=whole > 0)
    return told
