"""In which direction was a packet lost? Told from the stateful reflector's own counter. Pure.

A stateful reflector numbers its replies 0, 1, 2 ... as it sends them (RFC 8762 section 4.3). So a number that
never came back was a reply: that packet reached the far end and was lost on the way back. A packet without a
reply for which no number is missing never reached the reflector: lost on the way out.

For two replies a, b that are neighbours in the reflector's order, h = Rb - Ra - 1 numbers are missing and u
packets sent between them are without a reply: min(h, u) of these were lost backward, the others forward.
Which of the u it was cannot be known when h < u; the last ones are named, so that the counts are exact.
Replies to copies of a packet have a number too and are taken into account (`copies`); a copy whose reply was
lost leaves a missing number that cannot be told from a packet's. Where packets overtook each other, numbers
are missing between neighbours not sent in that order: they belong to the losses nearest to them. Losses
before the first or after the last reply of a stretch, or across a restart of the reflector, stay without a
direction.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

RESTART_FALL = 64
"""A jump of the reflector's number by more than this beyond the packets sent is a restart, not reordering."""
NEARBY = 8
"""At least so far from a missing number its packet is looked for when packets overtook each other."""
FARTHEST = 48
"""And so far where others have taken what was nearer; less than is looked at around a window."""
_SEQ_SPAN = 1 << 40
_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


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
    stretch, unwrapped = _unwrap(session[row], seq[row], number[row])
    direction[_between(row, stretch, lost)] = Direction.FORWARD
    order_row, order_stretch, order_number = _with_copies(
        row, stretch, unwrapped, session, seq, number, copies
    )
    by_number = np.lexsort((order_number, order_stretch))
    order_row, order_stretch, order_number = (
        column[by_number] for column in (order_row, order_stretch, order_number)
    )
    missing = np.diff(order_number) - 1
    gap = np.flatnonzero((np.diff(order_stretch) == 0) & (missing > 0))
    lacking = missing[gap] - _place(direction, lost, order_row[gap], order_row[gap + 1], missing[gap])
    if lacking.any():
        _place_nearby(direction, session, order_row, by_number < len(row), order_row[gap + 1], lacking)
    return direction


def _place(
    direction: NDArray[np.int8],
    lost: NDArray[np.bool_],
    a: NDArray[np.intp],
    b: NDArray[np.intp],
    missing: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Between replies in rows a[i] and b[i] so many numbers are missing: the last losses between them were
    backward. Returns for how many of each gap there was a loss that no other gap had taken.
    """
    lost_row = np.flatnonzero(lost)
    end = np.searchsorted(lost_row, b)
    count = np.clip(end - np.searchsorted(lost_row, a), 0, missing)
    owner = np.repeat(np.arange(len(a)), count)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    taken, first = np.unique(lost_row[np.repeat(end - count, count) + place], return_index=True)
    direction[taken] = Direction.BACKWARD
    return np.bincount(owner[first], minlength=len(a))


def _place_nearby(
    direction: NDArray[np.int8],
    session: NDArray[np.int64],
    order_row: NDArray[np.intp],
    is_reply: NDArray[np.bool_],
    at: NDArray[np.intp],
    lacking: NDArray[np.int64],
) -> None:
    """lacking[i] numbers are missing near row at[i], but not between packets in order: some were overtaken.

    They are the numbers of the nearest losses that were taken for forward; where packets were copied on the
    way out they may be those of copies as well, so the direction of these losses is then not known.
    order_row: of the replies in order of their numbers; is_reply: not of a copy.
    """
    row = order_row[is_reply]
    owner = session[row]
    overtaken = np.maximum.accumulate(row) - row  # sessions and stretches follow each other
    copied = set(session[order_row[~is_reply]].tolist())
    for again in (False, True):
        for i in np.flatnonzero(lacking):
            here, one = int(at[i]), int(session[at[i]])
            first, end = (int(np.searchsorted(session, one, side)) for side in _SIDES)
            own = slice(*(int(np.searchsorted(owner, one, side)) for side in _SIDES))
            far = max(int(overtaken[own].max()), 1 if one in copied else NEARBY)
            if again:  # near the ends it may be one of the packets beyond them
                far = 0 if one in copied else min(FARTHEST, far + min(here - first, end - here))
            near = np.arange(max(first, here - far), min(end, here + far + 1))
            free = direction[near] == Direction.FORWARD
            if one not in copied:
                free |= direction[near] == Direction.UNATTRIBUTED
            near = near[free]
            near = near[np.argsort(np.abs(near - here), kind="stable")[: lacking[i]]]
            direction[near] = Direction.UNATTRIBUTED if one in copied else Direction.BACKWARD
            lacking[i] -= len(near)


def _unwrap(
    session: NDArray[np.int64], seq: NDArray[np.int64], number: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Stretch of each reply (a new one per session and reflector restart), and its number without wrap.

    After a restart the number is less than the packets sent since the last reply, or it is so far from the
    last that overtaking does not explain it. At the beginning of a session overtaking may look the same.
    """
    step = (np.diff(number) + 2**31) % 2**32 - 2**31
    sent = np.diff(seq)
    new_session = np.diff(session) != 0
    place = np.arange(1, len(session)) - np.searchsorted(session, session[1:])
    begun = (step < -NEARBY) | ((step < 0) & (place > NEARBY))
    restart = (step < -RESTART_FALL) | (step > sent + RESTART_FALL) | (begun & (number[1:] < sent))
    new = new_session | restart
    stretch = np.concatenate([[0], np.cumsum(new)])
    unwrapped = np.concatenate([[0], np.cumsum(np.where(new, 0, step))])
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
    """Replies, and further ones to the same packets that have a number of their own: row, stretch, unwrapped
    number of each."""
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
    own = away != 0
    return (
        np.concatenate([row, copy_row[own]]),
        np.concatenate([stretch, stretch[reply[own]]]),
        np.concatenate([unwrapped, (unwrapped[reply] + away)[own]]),
    )
