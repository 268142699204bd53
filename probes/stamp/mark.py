"""With which DSCP, ECN and hop limit packets arrived, each way. Pure.

On the way out the reflector tells by its Class of Service TLV (RFC 8972 section 4.4); on the way back the
arriving reply shows it. Our packets are sent with ECT(0) (RFC 3168 section 5): one that arrives without was
bleached, one that arrives with CE met congestion.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.stamp.fate import Fates
from probes.stamp.reply_record import MARKED, OTHER_CLASS

ECT, CE = 2, 3
_FIRST_HOP_LIMIT = 255

Ints = NDArray[np.int64]


def columns(fates: Fates, group: Ints, dscp: Ints, groups: int) -> dict[str, Any]:
    """Columns of WINDOW, one value for each group, from the replied packets of the window.

    group (n,) of each packet; dscp (sessions,): with which each session sends.
    """
    use = np.flatnonzero(fates.inside & fates.seen)
    reply, group, sent = fates.reply[use], group[use], dscp[fates.session[use]]
    marked = (reply["flags"] & MARKED) != 0
    out, back = reply["tos_out"], reply["tos_back"]
    asked = np.where((reply["flags"] & OTHER_CLASS) != 0, out >> 2, sent)

    def each(mask: NDArray[np.bool_]) -> Ints:
        if not mask.any():
            return np.zeros(groups, np.int64)
        return np.bincount(group[mask], minlength=groups).astype(np.int64)

    replied_ect = marked & ((out & 3) != 0)  # the reflector answers with ECT where the packet came with it
    return {
        "marks": each(marked),
        "remarked_forward": each(marked & (out >> 2 != sent)),
        "bleached_forward": each(marked & ((out & 3) == 0)),
        "ce_forward": each(marked & ((out & 3) == CE)),
        "remarked_backward": each(marked & (back >> 2 != asked)),
        "bleached_backward": each(replied_ect & ((back & 3) == 0)),
        "ce_backward": each(marked & ((back & 3) == CE)),
        "dscp_forward": most_frequent(np.where(marked, out >> 2, np.int16(-1)), group, groups),
        "dscp_backward": most_frequent(back >> 2, group, groups),
        "hops_forward": _hops(reply["ttl_out"], group, groups),
        "hops_backward": _hops(reply["ttl_back"], group, groups),
    }


def _hops(ttl: NDArray[np.uint8], group: Ints, groups: int) -> NDArray[np.float64]:
    """Hops gone, from the next higher of the usual first limits; 255 may also mean that it is not known."""
    told = most_frequent(ttl, group, groups)
    first = np.where(told <= 64, 64, np.where(told <= 128, 128, _FIRST_HOP_LIMIT))
    return np.where(told == _FIRST_HOP_LIMIT, np.nan, first - told)


def most_frequent(values: NDArray[Any], group: Ints, groups: int) -> NDArray[np.float64]:
    """The most frequent value 0..255 of each group; NaN where there is none; -1 is left out."""
    told = np.full(groups, np.nan)
    if not len(values):
        return told
    lowest, highest = int(values.min()), int(values.max())
    if highest < 0:
        return told
    if lowest == highest:
        told[np.bincount(group, minlength=groups) > 0] = highest
        return told
    known = values >= 0
    key, count = np.unique(group[known] * 256 + values[known].astype(np.int64), return_counts=True)
    order = np.lexsort((count, key // 256))
    told[key[order] // 256] = key[order] % 256  # the last of each group has the highest count
    return told
