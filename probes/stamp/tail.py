"""The end of a window: packets after the last one that was answered, whichever flow they were of. Pure.

A window whose end is silent tells of a link that has just died, long before the loss of the whole window
does (a loss period of RFC 3357, cut by the window's end). An answer is a reply, late ones included, or the
word of the far end that nobody listens there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import NS_PER_S
from probes.stamp.fate import Fates

Ints = NDArray[np.int64]


def columns(fates: Fates, group: Ints, sent: Ints, end_ns: int) -> dict[str, Any]:
    """`unanswered` and `unanswered_s` of each group (g,). group: of each packet; sent (g,): packets of the
    group in the window, which ends at end_ns (Unix)."""
    count, first_ns = np.zeros(len(sent), np.int64), np.full(len(sent), end_ns)
    lost = np.flatnonzero(fates.inside & fates.lost)
    if len(lost):
        answered = np.flatnonzero(fates.inside & (fates.seen | fates.refused))
        last_ns = np.full(len(sent), np.iinfo(np.int64).min)
        np.maximum.at(last_ns, group[answered], fates.t1_ns[answered])
        lost = lost[fates.t1_ns[lost] > last_ns[group[lost]]]
        count = np.bincount(group[lost], minlength=len(sent)).astype(np.int64)
        np.minimum.at(first_ns, group[lost], fates.t1_ns[lost])
    seconds = np.where(sent > 0, np.maximum(end_ns - first_ns, 0) / NS_PER_S, np.nan)
    return {"unanswered": count, "unanswered_s": seconds}
