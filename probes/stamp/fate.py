"""What became of each packet of a window, from the table of sessions. Pure.

Every packet has one fate: replied in time, late, refused, failed to be sent, or lost, and a lost one has a
direction where it can be told. Packets before and after the window are looked at too: they tell the direction
of losses at its edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.stamp.direction import Direction, attribute
from probes.stamp.order import reordered
from probes.stamp.sessions import FAILED, REFUSED, UNREACHABLE, Sessions

BEFORE, AFTER = 64, 256
"""Packets before and after the window that are looked at too, of each session that lost any."""
TOO_FAR = 48
"""Packets that one may be overtaken by; direction is worked out from what lies within 64."""
REFUSED_NEAR_NS = 2_000_000_000
"""Hosts tell at least one refusal a second to each peer (net.ipv4.icmp_ratelimit)."""
NEAR = 8
"""Packets before and after the window that are looked at of every session, for reordering at its edges."""

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fates:
    """n packets, flat, sorted by group, session and number. inside: sent in the window, the others around it.

    reply: REPLY records, of use where seen. t1_ns, and kernel_t1: it is the kernel's transmit stamp.
    direction int8 (Direction); extent: reordering extent, 0 = in order.
    """

    session: Ints
    seq: Ints
    inside: Mask
    reply: NDArray[Any]
    t1_ns: Ints
    kernel_t1: Mask
    seen: Mask
    late: Mask
    refused: Mask
    unreachable: Mask
    failed: Mask
    lost: Mask
    direction: NDArray[np.int8]
    extent: Ints


def gather(
    sessions: Sessions, first: Ints, end: Ints, stateful: Mask, chosen: Ints, group: Ints | None = None
) -> Fates:
    """The packets first[i] <= seq < end[i] of the sessions in `chosen`, in their order, and some around."""
    made = _look(sessions, first, end, chosen, NEAR, NEAR)
    if made.lost.any():
        losing = np.zeros(len(sessions), np.bool_)
        losing[made.session[made.lost]] = True
        wide = _look(sessions, first, end, chosen[losing[chosen]], BEFORE, AFTER)
        _refuse_runs(wide, np.arange(len(sessions)) if group is None else group)
        same = made.inside & losing[made.session]
        made.refused[same], made.lost[same] = wide.refused[wide.inside], wide.lost[wide.inside]
        direction = _direction(wide, sessions.copies(), stateful)
        direction[_overtaken_far(wide) & wide.lost & ~wide.unreachable] = Direction.UNATTRIBUTED
        made.direction[same] = direction[wide.inside]
    row = np.flatnonzero(made.seen)
    late_row, extent = reordered(made.session[row], made.seq[row], made.reply["t4_ns"][row])
    made.extent[row[late_row]] = extent
    return made


def _look(sessions: Sessions, first: Ints, end: Ints, chosen: Ints, before: int, after: int) -> Fates:
    """Fates but for direction and extent."""
    ring = sessions.timing.ring
    next_seq = sessions.next_seq[chosen]
    begin = np.maximum(np.maximum(first[chosen] - before, next_seq - ring), 0)
    stop = np.minimum(next_seq, end[chosen] + after)
    length = np.maximum(stop - begin, 0)
    session = np.repeat(chosen, length)
    seq = np.arange(len(session)) - np.repeat(np.cumsum(length) - length - begin, length)
    inside = (seq >= first[session]) & (seq < end[session])
    slot = seq & sessions.mask
    reply = sessions.reply[session, slot]
    seen = reply["seq"] == seq
    t1_ns, kernel_t1 = sessions.t1_ns(session, seq)
    late = seen & (reply["t4_ns"] - t1_ns > sessions.timing.timeout_ns)
    kind = np.zeros(len(seq), np.int8)
    if not seen.all():
        odd = np.flatnonzero(~seen)
        at = (session[odd], slot[odd])
        kind[odd] = np.where(sessions.mishap_seq[at] == seq[odd], sessions.mishap[at], 0)
    refused, unreachable, failed = (kind == what for what in (REFUSED, UNREACHABLE, FAILED))
    lost = ~(seen | refused | failed)
    return Fates(
        session, seq, inside, reply, t1_ns, kernel_t1, seen, late, refused, unreachable, failed, lost,
        np.zeros(len(seq), np.int8), np.zeros(len(seq), np.int64),
    )  # fmt: skip


def _refuse_runs(fates: Fates, group: Ints) -> None:
    """Hosts send only few "port unreachable" a second. So of packets of a group in a row without a reply all
    were refused that left within REFUSED_NEAR_NS of one that was: nobody listened meanwhile.

    group (sessions,): sessions with one far end. In a row: as they left, whatever their flow.
    """
    if not fates.refused.any():
        return
    order = np.lexsort((fates.t1_ns, group[fates.session]))
    owner, left_ns = group[fates.session][order], fates.t1_ns[order]
    refused = fates.refused[order]
    silent = fates.lost[order] & ~fates.unreachable[order] | refused
    begins = np.ones(len(order), np.bool_)
    begins[1:] = ~silent[1:] | ~silent[:-1] | (np.diff(owner) != 0)
    run = np.cumsum(begins)
    near = np.zeros(len(order), np.bool_)
    told = np.flatnonzero(refused)
    at = np.searchsorted(told, np.arange(len(order)))
    for side in (np.maximum(at - 1, 0), np.minimum(at, len(told) - 1)):
        other = told[side]
        near |= (run[other] == run) & (np.abs(left_ns[other] - left_ns) <= REFUSED_NEAR_NS)
    turned = order[silent & near]
    fates.refused[turned], fates.lost[turned] = True, False


def _overtaken_far(fates: Fates) -> Mask:
    """Packets of sessions in which some came so much too late that the numbers tell no direction.

    By the order of arrival and by the reflector's numbers: a clock step upsets only the first, a restart of
    the reflector only the second.
    """
    row = np.flatnonzero(fates.seen)
    row = row[np.argsort(fates.session[row], kind="stable")]
    session, seq, reply = fates.session[row], fates.seq[row], fates.reply[row]
    far = np.ones(len(fates.session), np.bool_)
    for arrival in (reply["t4_ns"], reply["number"].astype(np.int64)):
        late, extent = reordered(session, seq, arrival)
        far &= np.isin(fates.session, session[late[extent > TOO_FAR]])
    return far


def _direction(fates: Fates, copies: Ints, stateful: Mask) -> NDArray[np.int8]:
    """Only where something was lost, and the far end counts, is there anything to tell."""
    direction = np.where(fates.lost, Direction.UNATTRIBUTED, Direction.NONE).astype(np.int8)
    losing = np.zeros(len(stateful), np.bool_)
    losing[fates.session[fates.lost]] = True
    told = (losing & stateful)[fates.session] & (fates.lost | fates.seen)
    told &= ~fates.unreachable  # it is known that these took no number of the reflector
    order = np.flatnonzero(told)
    order = order[np.argsort(fates.session[order], kind="stable")]
    number = fates.reply["number"][order].astype(np.int64)
    session, seq, lost = fates.session[order], fates.seq[order], fates.lost[order]
    found = attribute(session, seq, lost, number, copies)
    _at_start(found, session, seq, lost, number)
    direction[order] = found
    direction[fates.unreachable] = Direction.FORWARD
    return direction


def _at_start(found: NDArray[np.int8], session: Ints, seq: Ints, lost: Mask, number: Ints) -> None:
    """Losses at a session's beginning: the reflector counts from 0 (RFC 8762 section 4.3), so its lowest
    number tells how many of them it had answered, those before the first reply first. A number that is too
    high for that: it counts otherwise, no direction.
    """
    for begin in np.flatnonzero(seq == 0).tolist():
        end = int(np.searchsorted(session, session[begin], side="right"))
        replied = begin + np.flatnonzero(~lost[begin:end])[:NEAR]
        if not len(replied):
            continue
        first, answered = int(replied[0]), int(number[replied].min())
        near = slice(first, min(first + NEAR, end))
        overtaken = first + np.flatnonzero(found[near] == Direction.FORWARD)
        beyond = max(0, answered - (first - begin))
        if beyond <= len(overtaken):
            found[begin:first] = Direction.FORWARD
            found[max(begin, first - answered) : first] = Direction.BACKWARD
            found[overtaken[:beyond]] = Direction.BACKWARD


def duplicates(
    sessions: Sessions, first: Ints, end: Ints, group: Ints, stateful: Mask, groups: int
) -> dict[str, Ints]:
    """Further replies to packets of the window, by group: all, and those made on the way out and back.

    A reply that came twice has one number of the reflector; a packet that came twice there has two.
    """
    copies = sessions.copies()
    session, seq, number = copies.T
    inside = (seq >= first[session]) & (seq < end[session])
    session, seq, number = session[inside], seq[inside], number[inside]
    same = sessions.reply["number"][session, seq & sessions.mask].astype(np.int64) == number

    def each(mask: Mask) -> Ints:
        return np.bincount(group[session[mask]], minlength=groups).astype(np.int64)

    known = stateful[session]
    return {
        "duplicate": each(np.ones(len(session), np.bool_)),
        "duplicate_forward": each(known & ~same),
        "duplicate_backward": each(known & same),
    }
