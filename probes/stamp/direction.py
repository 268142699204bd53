"""In which direction was a packet lost? Told from the stateful reflector's own counter. Pure.

A stateful reflector numbers its replies 0, 1, 2 ... as it sends them (RFC 8762 section 4.3). So a number that
never came back was a reply: that packet reached the far end and was lost on the way back. A packet without a
reply for which no number is missing never reached the reflector: lost on the way out.

For two replies a, b that are neighbours in the reflector's order, h = Rb - Ra - 1 numbers are missing and u
packets sent between them are without a reply: min(h, u) of these were lost backward, the others forward.
Which of the u it was cannot be known when h < u; the last ones are named, so that the counts are exact.
Replies to copies of a packet have a number too and are taken into account (`copies`). Where packets overtook
each other, numbers are missing between neighbours not sent in that order: they belong to the losses nearest
to them. Losses before the first or after the last reply of a stretch, or across a restart of the reflector,
stay without a direction.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

RESTART_FALL = 64
"""A fall of the reflector's number by more than this, while packets go on, is a restart, not reordering."""
NEARBY = 64
"""How far from a missing number its packet is looked for when packets overtook each other, in packets."""
_SEQ_SPAN = 1 << 40


class Direction(IntEnum):
    """What became of a packet as to direction."""

    NONE = 0
    """Not lost."""
    FORWARD = 1
    BACKWARD = 2
    UNATTRIBUTED = 3


def attribute(
    session: NDArray[np.int64],
    seq: NDArray[np.int64],
    lost: NDArray[np.bool_],
    number: NDArray[np.int64],
    copies: NDArray[np.int64] | None = None,
) -> NDArray[np.int8]:
    """Direction of each packet.

    session, seq (n,) int64: sorted by session, then seq (0 <= seq < 2**40). lost (n,) bool.
    number (n,): the reflector's sequence number modulo 2**32 where not lost. copies (k, 3) int64: session,
    seq, number of every further reply to a packet. Returns (n,) int8 Direction.
    """
    direction = np.where(lost, Direction.UNATTRIBUTED, Direction.NONE).astype(np.int8)
    row = np.flatnonzero(~lost)
    if not len(row):
        return direction
    stretch, unwrapped = _unwrap(session[row], number[row])
    direction[_between(row, stretch, lost)] = Direction.FORWARD
    order_row, order_stretch, order_number = _with_copies(
        row, stretch, unwrapped, session, seq, number, copies
    )
    by_number = np.lexsort((order_number, order_stretch))
    a, b = by_number[:-1], by_number[1:]
    missing = order_number[b] - order_number[a] - 1
    lost_before = np.concatenate([[0], np.cumsum(lost)])
    silent = lost_before[order_row[b]] - lost_before[order_row[a]]
    gap = (order_stretch[a] == order_stretch[b]) & (missing > 0)
    placed = np.where(order_row[b] > order_row[a], np.minimum(missing, np.maximum(silent, 0)), 0)
    lost_row = np.flatnonzero(lost)
    count = placed[gap]
    end = np.searchsorted(lost_row, order_row[b[gap]])
    before = np.repeat(np.cumsum(count) - count, count)
    direction[lost_row[np.repeat(end - count, count) + np.arange(len(before)) - before]] = Direction.BACKWARD
    unplaced = gap & (missing > placed)
    for here, lacking in zip(b[unplaced], (missing - placed)[unplaced], strict=True):
        _place_nearby(direction, session, int(order_row[here]), int(lacking), copies)
    return direction


def _place_nearby(
    direction: NDArray[np.int8],
    session: NDArray[np.int64],
    at: int,
    count: int,
    copies: NDArray[np.int64] | None,
) -> None:
    """`count` numbers are missing near row `at`, but not between packets in order: some were overtaken.

    They are the numbers of the nearest losses that were taken for forward; where packets were copied on the
    way out they may be those of copies as well, so the direction of these losses is then not known.
    """
    near = np.arange(max(0, at - NEARBY), min(len(direction), at + NEARBY))
    near = near[(direction[near] == Direction.FORWARD) & (session[near] == session[at])]
    copied = copies is not None and bool((copies[:, 0] == session[at]).any())
    known = Direction.UNATTRIBUTED if copied else Direction.BACKWARD
    direction[near[np.argsort(np.abs(near - at), kind="stable")[:count]]] = known


def _unwrap(
    session: NDArray[np.int64], number: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Stretch of each reply (a new one per session and reflector restart), and its number without wrap."""
    step = (np.diff(number) + 2**31) % 2**32 - 2**31
    new_session = np.diff(session) != 0
    restart = ~new_session & ((step < -RESTART_FALL) | ((step < 0) & (number[1:] == 0)))
    stretch = np.concatenate([[0], np.cumsum(new_session | restart)])
    unwrapped = np.concatenate([[0], np.cumsum(np.where(new_session | restart, 0, step))])
    return stretch.astype(np.int64), unwrapped.astype(np.int64)


def _between(row: NDArray[np.intp], stretch: NDArray[np.int64], lost: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Lost packets that have a reply of the same stretch before and after them."""
    last_reply = np.searchsorted(row, np.arange(len(lost)), side="right") - 1
    next_reply = np.minimum(last_reply + 1, len(row) - 1)
    inside: NDArray[np.bool_] = (
        lost & (last_reply >= 0) & (last_reply + 1 < len(row)) & (stretch[last_reply] == stretch[next_reply])
    )
    return inside


def _with_copies(
    row: NDArray[np.intp],
    stretch: NDArray[np.int64],
    unwrapped: NDArray[np.int64],
    session: NDArray[np.int64],
    seq: NDArray[np.int64],
    number: NDArray[np.int64],
    copies: NDArray[np.int64] | None,
) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int64]]:
    """Replies and the further replies to the same packets: row, stretch, unwrapped number of each."""
    if copies is None or not len(copies):
        return row, stretch, unwrapped
    key = session * _SEQ_SPAN + seq
    copy_key = copies[:, 0] * _SEQ_SPAN + copies[:, 1]
    copy_row = np.minimum(np.searchsorted(key, copy_key), len(key) - 1)
    here = key[copy_row] == copy_key
    copy_row, further = copy_row[here], copies[here, 2]
    reply = np.searchsorted(row, copy_row)
    known = (reply < len(row)) & (row[np.minimum(reply, len(row) - 1)] == copy_row)
    copy_row, reply, further = copy_row[known], reply[known], further[known]
    away = (further - number[copy_row] + 2**31) % 2**32 - 2**31
    return (
        np.concatenate([row, copy_row]),
        np.concatenate([stretch, stretch[reply]]),
        np.concatenate([unwrapped, unwrapped[reply] + away]),
    )
