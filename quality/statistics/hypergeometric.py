"""Fisher's exact test of one part against the rest: does it lose more than its share? Pure.

Of `sent` packets `lost` were lost. If every packet was equally likely to be lost, the losses among those of
one part are hypergeometric, whatever the loss ratio is. So the test needs no estimate of that ratio, and it
holds with few packets and where the rest lost nothing, where a binomial test against an estimated ratio of 0
would call any loss significant. (R. A. Fisher, The Design of Experiments, 1935, section 21.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]

_STEPS = 4_000
"""Terms summed at most; what is left is bounded from above, so that the result is never too small."""
_NEGLIGIBLE = 1e-13


def more_than_share(part_lost: Counts, part_sent: Counts, lost: Counts, sent: Counts) -> Reals:
    """Probability (n,) that the part loses at least `part_lost` when all packets are alike.

    0 <= part_lost <= part_sent <= sent, part_lost <= lost <= sent. Exactly 1 where the part loses no more
    than its share of the losses: nobody asks how little.
    """
    x, n, k, m = (np.asarray(each, np.float64) for each in (part_lost, part_sent, lost, sent))
    told = np.ones(len(x))
    some = np.flatnonzero(x * m > n * k)
    x, n, k, m = x[some], n[some], k[some], m[some]
    first = np.exp(_log_choose(k, x) + _log_choose(m - k, n - x) - _log_choose(m, n))
    told[some] = np.clip(np.nan_to_num(first * _following(x, n, k, m), nan=1.0), 0.0, 1.0)
    return told


def _following(x: Reals, n: Reals, k: Reals, m: Reals) -> Reals:
    """Sum of the probabilities of x, x + 1, ... as a multiple of that of x. Beyond the mean each term is
    smaller than the one before, and ever more so: a geometric series bounds what is left."""
    total, term = np.ones(len(x)), np.ones(len(x))
    active = np.arange(len(x))
    for step in range(_STEPS):
        at = x[active] + step
        grows = (n[active] - at) * (k[active] - at)
        ratio = np.maximum(grows, 0.0) / ((at + 1) * (m[active] - n[active] - k[active] + at + 1))
        rest = term[active] * ratio / np.maximum(1 - ratio, np.finfo(float).tiny)
        ended = (rest <= _NEGLIGIBLE * total[active]) | (step == _STEPS - 1)
        total[active[ended]] += rest[ended]
        active, ratio = active[~ended], ratio[~ended]
        if not len(active):
            break
        term[active] *= ratio
        total[active] += term[active]
    return total


def _log_choose(n: Reals, k: Reals) -> Reals:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), np.float64)
