"""Which links' packets arrive with another DSCP, and which as they were sent: evidence for places. Pure.

The direction is known: the far end says what arrived. A way is in trouble when packets were remarked on it in
several windows lately and in this one. It is well when none was lately and enough arrived in this window,
with their marks told.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alerts.causes.trouble import usable_links
from alerts.rule import BACKWARD, FORWARD
from linkgauge.frame import Frame
from quality.places.sights import BAD, WELL, Evidence
from quality.signals.columns import LEAST_MARKS
from quality.statistics.confidence import ALERT_CONFIDENCE

Counts = NDArray[np.int64]

_MOST_LOSS = 1 - (1 - ALERT_CONFIDENCE) ** (1 / LEAST_MARKS)
"""Upper bound of the loss of LEAST_MARKS packets of which none was lost; where it is lower more arrived."""
_SURELY = 0.8
"""Of the share that is remarked: so many of a way's packets cross the place at least."""


def remarked(state: Frame, breaches: Sequence[Counts]) -> Evidence | None:
    """None: at most one way is in trouble. breaches: in how many windows of late the links (n,) were
    remarked, forward and backward."""
    usable, told = usable_links(state), []
    for way, count in zip((FORWARD, BACKWARD), breaches, strict=True):
        ratio, marks = state.real(f"remarked_{way}_ratio"), state.real(f"ce_{way}_ratio")
        enough = state.real(f"loss_{way}_upper_ratio") <= _MOST_LOSS * (1 + 1e-9)
        bad = usable & (count > 1) & (ratio > 0)
        well = usable & (count == 0) & np.isnan(ratio) & np.isfinite(marks) & enough
        told.append(np.where(bad, BAD, np.where(well, WELL, 0)).astype(np.int8))
    if sum(np.count_nonzero(each == BAD) for each in told) < 2:
        return None
    least = _SURELY * np.nan_to_num(state.real("remarked_forward_ratio"))
    return Evidence(told[0], told[1], np.zeros(state.rows, np.int8), least=least)
