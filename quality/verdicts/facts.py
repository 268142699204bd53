"""What a verdict over many windows needs of each: counts that add up over the windows of a link. Pure.

A delay verdict asks how many samples keep to the objective for sure and how many break it for sure; so of a
delay histogram three counts are enough, and the verdict is the same as from all histograms merged. The delay
of the window itself is a rank in its histogram, and is kept as the bucket.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_US
from linkgauge.frame import Frame, Histograms
from linkgauge.histogram import MAX_BUCKET, value_of
from linkgauge.merged import quantile_rank
from linkgauge.model import DelayBasis
from quality.evidence import Evidence, Rows
from quality.objectives import Objectives
from quality.statistics.confidence import quantile_ranks
from quality.verdicts import loss
from quality.verdicts.delay import CLOCK_SHARE, widened
from quality.verdicts.loss import Losses
from quality.verdicts.period import AVAILABLE_LOSS, Sums

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]
Mask = NDArray[np.bool_]

NAMES = (
    "measured", "fit", "forward_trials", "forward_least", "forward_most", "backward_trials",
    "backward_least", "backward_most", "available", "available_both", "late", "sampled", "half",
    "rtt", "rtt_within", "rtt_beyond", "one_way", "one_way_within", "one_way_beyond",
)  # fmt: skip
"""Rows of a matrix of facts. From `late` on of windows without a throughput test of our own."""
COUNTED = slice(NAMES.index("measured") + 1, None)
DELAY_FROM = NAMES.index("late")
_AT = {name: row for row, name in enumerate(NAMES)}
_BUCKETS = np.arange(-MAX_BUCKET, MAX_BUCKET + 1).astype(np.int16)
_KNOWN = 2 * MAX_BUCKET


@dataclass(frozen=True, slots=True)
class Facts:
    """matrix (len(NAMES), n) of n links, of one window or summed."""

    matrix: Counts

    def __getitem__(self, name: str) -> Counts:
        return np.asarray(self.matrix[_AT[name]], np.int64)

    @property
    def sums(self) -> Sums:
        forward, backward = (
            Losses(self[f"{way}_trials"], self[f"{way}_least"], self[f"{way}_most"])
            for way in ("forward", "backward")
        )
        return Sums(
            self["measured"], self["fit"], forward, backward, self["available"], self["available_both"]
        )

    @property
    def basis(self) -> Counts:
        """DelayBasis of each link, as quality.verdicts.delay.bases."""
        half = (self["half"] > 0) | (self["sampled"] == 0)
        basis = np.where(half, DelayBasis.HALF_ROUND_TRIP, DelayBasis.ONE_WAY)
        return np.where(self["sampled"] + self["late"] > 0, basis, DelayBasis.NONE).astype(np.int64)

    def keeps(self, quantile: Reals, basis: Counts | None = None) -> tuple[Mask, Mask]:
        """Links whose delay quantile surely keeps to the objective, and those where it surely does not.
        basis: another than that of these facts."""
        basis = self.basis if basis is None else basis

        def on_basis(part: str) -> Counts:
            one_way, half = self[f"one_way{part}"], self[f"rtt{part}"]
            either = np.where(basis == DelayBasis.ONE_WAY, one_way, half)
            return np.where(basis == DelayBasis.NONE, 0, either)

        in_time = on_basis("")
        low, high = quantile_ranks(in_time + self["late"] * (basis != DelayBasis.NONE), quantile)
        return high <= on_basis("_within"), (low >= 1) & (low > in_time - on_basis("_beyond"))


@dataclass(frozen=True, slots=True)
class Limits:
    """For n links, by column `rtt_ns` or `forward_ns`: the last bucket of which every sample keeps to the
    delay objective, the first of which none does."""

    within: dict[str, Counts]
    beyond: dict[str, Counts]

    @classmethod
    def of(cls, objectives: Objectives) -> Limits:
        within, beyond = {}, {}
        for column, share in (("rtt_ns", 0.5), ("forward_ns", 1.0)):
            value_us = value_of(_BUCKETS) * share / NS_PER_US
            last = np.searchsorted(widened(value_us, 1), objectives.delay_us, side="right") - 1
            within[column] = last - MAX_BUCKET
            beyond[column] = np.searchsorted(widened(value_us, -1), objectives.delay_us, "right") - MAX_BUCKET
        return cls(within, beyond)


def facts(rows: Frame, link: Rows, objectives: Objectives, limits: Limits) -> Counts:
    """The matrix (len(NAMES), m) of the rows (m,) of WINDOW, whose COUNT columns are int64; a row without a
    packet is 0."""
    evidence = Evidence(rows, np.arange(rows.rows), link, len(objectives))
    measured = rows.count("sent") > 0
    fit = measured & (rows.count("unfit") == 0)
    forward, backward = loss.forward(evidence), loss.backward(evidence)
    both = np.fmax(forward.most_ratio, backward.most_ratio)
    made = {
        "measured": measured,
        "fit": fit,
        "available": fit & (forward.most_ratio < AVAILABLE_LOSS),
        "available_both": fit & (both < AVAILABLE_LOSS),
    }
    for way, losses in (("forward", forward), ("backward", backward)):
        made |= {f"{way}_trials": losses.trials * fit, f"{way}_least": losses.least * fit}
        made[f"{way}_most"] = losses.most * fit
    made |= _delay(evidence, fit & (rows.count("under_test") == 0), objectives, limits)
    return np.array([made[name] for name in NAMES], np.int64)


def carried(matrix: Counts, link: Rows, unattributed: Counts, silent: Mask) -> None:
    """The way out of the links (m,) is well, as their far ends say: packets (m,) lost without a direction
    tell nothing of it. silent (m,): nothing came back. The matrix of the window is changed in place."""
    trials, least, most = (_AT[f"forward_{name}"] for name in ("trials", "least", "most"))
    matrix[trials, link] = np.maximum(matrix[trials, link] - unattributed, 0)
    matrix[most, link] = np.maximum(matrix[most, link] - unattributed, 0)
    matrix[least, link] = np.where(silent, 0, np.minimum(matrix[least, link], matrix[most, link]))
    kept = (matrix[most, link] == 0) | (matrix[most, link] < AVAILABLE_LOSS * matrix[trials, link])
    matrix[_AT["available"], link] = matrix[_AT["fit"], link] * kept


def _delay(evidence: Evidence, use: Mask, objectives: Objectives, limits: Limits) -> dict[str, Counts]:
    rtt, forward = (evidence.windows.histograms(name) for name in ("rtt_ns", "forward_ns"))
    some, there = (np.diff(each.offsets) > 0 for each in (rtt, forward))
    with np.errstate(invalid="ignore"):
        known = evidence.real("one_way_error_us") <= CLOCK_SHARE * objectives.delay_us[evidence.link]
    made = {
        "late": evidence.count("late") * use,
        "sampled": (some & use).astype(np.int64),
        "half": (some & use & ~(known & there)).astype(np.int64),
    }
    for name, column, histograms in (("rtt", "rtt_ns", rtt), ("one_way", "forward_ns", forward)):
        within, beyond = (each[column][evidence.link] for each in (limits.within, limits.beyond))
        owner = np.repeat(np.arange(len(use)), np.diff(histograms.offsets))
        for part, mask in (
            ("", np.ones(len(owner), np.bool_)),
            ("_within", histograms.bucket <= within[owner]),
            ("_beyond", histograms.bucket >= beyond[owner]),
        ):
            samples = np.bincount(owner[mask], histograms.count[mask], len(use))
            made[name + part] = samples.astype(np.int64) * use
    return made


def ranked(rows: Frame, link: Rows, quantile: Reals) -> tuple[Counts, Counts]:
    """The bucket at the link's quantile of the round trips and of the one-way delays of each row, as numbers
    above 0 (see `told_us`); 0 where it is not known. As quality.verdicts.delay.delays does for one window."""
    use = (rows.count("sent") > 0) & (rows.count("unfit") == 0) & (rows.count("under_test") == 0)
    rtt, one_way = (
        _ranked(rows.histograms(name), rows.count("late"), quantile[link]) * use
        for name in ("rtt_ns", "forward_ns")
    )
    return rtt, one_way


def _ranked(histograms: Histograms, late: Counts, quantile: Reals) -> Counts:
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(histograms.count, dtype=np.int64)])
    first = before[histograms.offsets[:-1]]
    samples = before[histograms.offsets[1:]] - first
    rank = quantile_rank(samples + late, quantile)
    found = np.zeros(len(late), np.int64)
    some = rank <= samples
    place = np.searchsorted(before[1:], first[some] + rank[some])
    found[some] = histograms.bucket[place].astype(np.int64) + _KNOWN
    return found


def told_us(rtt: Counts, one_way: Counts, basis: Counts) -> Reals:
    """The delays of such numbers (n,) on the link's basis; NaN where it is not known."""
    on_way = basis == DelayBasis.ONE_WAY
    number = np.where(on_way, one_way, rtt)
    value_us = value_of((number - _KNOWN).astype(np.int16)) * np.where(on_way, 1.0, 0.5) / NS_PER_US
    return np.where((number > 0) & (basis != DelayBasis.NONE), value_us, np.nan)
