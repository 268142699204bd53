"""Which replies came out of order, and by how far (RFC 4737). Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def reordered(session: Ints, seq: Ints, arrival: Ints) -> tuple[NDArray[np.intp], Ints]:
    """Packets (rows) that came after a later one of their session, and the reordering extent of each.

    session, seq, arrival (n,): sorted by session, then seq; arrival: any rising measure of when each came.
    A packet is reordered when its number is below one that came before it (section 3.3, NextExp). Its extent
    is the number of packets by which the earliest of those with a higher number came before it (section 4.2).
    """
    backwards = (np.diff(arrival) < 0) & (np.diff(session) == 0)
    if not backwards.any():
        return np.empty(0, np.intp), np.empty(0, np.int64)
    concerned = np.isin(session, session[1:][backwards])
    row = np.flatnonzero(concerned)
    order = row[np.lexsort((arrival[row], session[row]))]  # in order of arrival, session by session
    rank = session[order] * (1 << 40) + seq[order]
    highest = np.maximum.accumulate(rank)
    late = np.flatnonzero(rank < highest)
    first_higher = np.searchsorted(highest, rank[late], side="right")
    return order[late], late - first_higher
