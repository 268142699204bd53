"""What a number of packets allows to be said: exact bounds of a ratio, and of a quantile. Pure.

Both suppose that packets are lost or late independently of each other. Loss comes in bursts, so the bounds
are narrower than the truth on a link whose losses hang together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, bdtrik, betaincinv

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]

ALERT_CONFIDENCE = 0.99
"""One-sided, of the bounds of one window: they wake people, and there are many windows in a day."""
VERDICT_CONFIDENCE = 0.95
"""One-sided, of what is said of a period. 300 s at 10 packets/s are 3 000 packets: enough to tell loss below
0.1 % at 95 % (2 995 without a loss), and not at 99 % (4 603)."""


def lower(lost: Counts, sent: Counts, confidence: float = ALERT_CONFIDENCE) -> Reals:
    """Clopper-Pearson lower bound of the loss ratio. lost, sent (n,), 0 <= lost <= sent.

    With probability `confidence` the true ratio is not below it. (n,) float64 0..1; NaN where sent is 0.
    (Clopper and Pearson, Biometrika 26, 1934: the beta quantile of lost and sent - lost + 1.)
    """
    some = (sent > 0) & (lost > 0)
    bound = np.where(sent > 0, 0.0, np.nan)
    alike, which = _alike(lost[some], sent[some])
    bound[some] = betaincinv(alike[0], alike[1] - alike[0] + 1, 1 - confidence)[which]
    return bound


def upper(lost: Counts, sent: Counts, confidence: float = ALERT_CONFIDENCE) -> Reals:
    """Clopper-Pearson upper bound of the loss ratio, the mirror of `lower`."""
    some = (sent > 0) & (lost < sent)
    bound = np.where(sent > 0, 1.0, np.nan)
    alike, which = _alike(lost[some], sent[some])
    bound[some] = betaincinv(alike[0] + 1, alike[1] - alike[0], confidence)[which]
    return bound


def quantile_ranks(
    samples: Counts, quantile: ArrayLike, confidence: float = VERDICT_CONFIDENCE
) -> tuple[Counts, Counts]:
    """Ranks l, u of the order statistics X(l), X(u) that enclose the quantile with `confidence`, two-sided.

    samples (n,) >= 0, quantile 0..1 scalar or (n,). Ranks count from 1, (n,) int64; l is 0 where no sample is
    surely below, u is samples + 1 where none is surely above: below 6 samples for a median, below 72 for
    the upper rank of a 95th percentile. The number of samples at or below the quantile is binomial, so l is
    the largest rank with P(Bin < l) <= tail and u the smallest with P(Bin >= u) <= tail.
    """
    tail = (1 - confidence) / 2
    given = np.broadcast_to(np.asarray(quantile, np.float64), samples.shape)
    (samples, quantile), which = _alike(samples, given)
    n = np.maximum(samples, 1)
    low = np.floor(np.nan_to_num(bdtrik(tail, n, quantile)))
    low = np.where(bdtr(low, n, quantile) <= tail, low + 1, 0)
    high = np.ceil(np.nan_to_num(bdtrik(1 - tail, n, quantile)))
    high = np.where(bdtr(high, n, quantile) >= 1 - tail, high, high + 1) + 1
    none = samples < 1
    return (
        np.where(none, 0, low).astype(np.int64)[which],
        np.where(none, 1, np.minimum(high, samples + 1)).astype(np.int64)[which],
    )


def _alike(
    first: NDArray[Any], second: NDArray[Any]
) -> tuple[tuple[NDArray[Any], NDArray[Any]], NDArray[Any]]:
    """The distinct pairs, and which of them each pair (n,) is: many links have the same counts, and a bound
    takes microseconds."""
    order = np.lexsort((second, first))
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (np.diff(first[order]) != 0) | (np.diff(second[order]) != 0)
    which = np.empty(len(order), np.intp)
    which[order] = np.cumsum(begins) - 1
    distinct = order[begins]
    return (first[distinct], second[distinct]), which
