"""The true T3 of earlier replies, as Follow-Up Telemetry tells it (RFC 8972 section 4.7). Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.stamp.packet import unix_ns
from probes.stamp.reply_record import T3_KERNEL

REACH = 8
"""How far back the reply may be of which a reply tells: mostly it is the one before."""

Ints = NDArray[np.int64]
Rows = NDArray[np.intp]
T1 = Callable[[Rows, Ints], tuple[Ints, NDArray[np.bool_]]]


def settle(
    reply: NDArray[Any], mask: int, t1_ns: T1, row: Rows, seq: Ints, number: Ints, t3: NDArray[np.uint64]
) -> None:
    """Put the stamps t3 (n,) into the records of the replies with the reflector's numbers `number`.

    reply: the ring of records of each session (sessions, ring or more), ring = mask + 1; row, seq (n,):
    session and number of the packets whose replies told it. t1_ns: T1 of packets. A stamp that cannot be is
    not believed.
    """
    for back in range(1, REACH + 1):
        if not len(row):
            return
        slot = seq - back & mask
        kept = reply[row, slot]
        hit = (kept["seq"] == seq - back) & (kept["number"] == number)
        here = np.flatnonzero(hit)
        here = here[_may_be(kept[here], t1_ns(row[here], seq[here] - back)[0], t3[here])]
        at = (row[here], slot[here])
        reply["t3"][at] = t3[here]
        reply["flags"][at] |= T3_KERNEL
        row, seq, number, t3 = row[~hit], seq[~hit], number[~hit], t3[~hit]


def _may_be(kept: NDArray[Any], t1_ns: Ints, t3: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether these replies may have left at t3: not before they were written, and not after they came."""
    error = np.ascontiguousarray(kept["error"])
    t2_ns, told_ns = (unix_ns(np.ascontiguousarray(kept[name]), error) for name in ("t2", "t3"))
    t3_ns = unix_ns(t3, error)
    may_be: NDArray[np.bool_] = (t3_ns >= told_ns) & (t3_ns - t2_ns <= kept["t4_ns"] - t1_ns)
    return may_be
