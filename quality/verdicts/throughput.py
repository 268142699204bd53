"""Throughput against what was promised. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linkgauge.code import Outcome
from linkgauge.frame import Frame
from quality.objectives import Objectives

Reals = NDArray[np.float64]

GOODPUT_SHARE = 0.9
"""Share of the promised rate that a test must receive. A promise is a layer-2 rate, of which one TCP stream
carries 95.6 % as goodput (measured behind a token bucket); the rest is room for its start."""


def last_received_bps(tests: Frame, objectives: Objectives, end_ns: int) -> Reals:
    """Goodput of the last test of each link that measured and began before `end_ns`, (n,); NaN for none.

    The caller chooses how old a test may be by the rows that it hands over.
    """
    return last_two_bps(tests, objectives, end_ns)[0]


def last_two_bps(tests: Frame, objectives: Objectives, end_ns: int) -> tuple[Reals, Reals]:
    """The same, and the goodput of the test before it, each (n,)."""
    row = objectives.found(tests.text("link"))
    received_bps, start_ns = tests.real("received_bps"), tests.count("start_ns")
    use = (row >= 0) & (tests.count("outcome") == Outcome.MEASURED.value)
    use &= np.isfinite(received_bps) & (start_ns < end_ns)
    order = np.flatnonzero(use)
    order = order[np.argsort(start_ns[order], kind="stable")]
    last, began_ns = np.full(len(objectives), np.nan), np.zeros(len(objectives), np.int64)
    last[row[order]], began_ns[row[order]] = (
        received_bps[order],
        start_ns[order],
    )  # of several, the last stays
    order = order[start_ns[order] < began_ns[row[order]]]
    former = np.full(len(objectives), np.nan)
    former[row[order]] = received_bps[order]
    return last, former
