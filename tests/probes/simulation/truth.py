"""What a run in memory really did to each packet: from the links' doing, not from what anybody counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.probes.simulation.course import FLOWS, TIMEOUT_NS, WINDOW_TICKS, Course, Played
from tests.probes.simulation.play import PORT_UNREACHABLE, PROHIBITED

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
NEVER_NS = 1 << 62
NEAR_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Truth:
    """Columns (packets,): first_ns: true time at which the first reply came, NEVER_NS = none that can count;
    t1_ns of the packet, stamped: by the kernel; t4_ns, t2_ns, t3_ns of that reply; life: of the reflector
    that made it. copies, copies_forward: further replies, and those of them with a number of their own.
    unseen: numbers given to copies that never came.

    Each packet is exactly one of replied, late, refused, failed, lost; gone: of the lost, its reply came when
    nobody took it any more; away: of the lost, it did not come to the reflector. knowable: its direction can
    be told, because replies of one life of the reflector stand on either side of it, or because somebody said
    that he would not carry it. mixed: lost with others in a row, both ways and on both sides of a window's
    border: how many each window lost each way cannot be told.
    """

    course: Course
    first_ns: Ints
    t1_ns: Ints
    stamped: Mask
    t4_ns: Ints
    t2_ns: Ints
    t3_ns: Ints
    life: Ints
    copies: Ints
    copies_forward: Ints
    unseen: Ints
    replied: Mask
    late: Mask
    refused: Mask
    failed: Mask
    lost: Mask
    gone: Mask
    away: Mask
    knowable: Mask
    mixed: Mask

    def table(self, mask: NDArray[np.generic]) -> Ints:
        """Sum of a column as (windows, groups)."""
        groups = self.course.sessions // FLOWS
        key = self.course.window_of * groups + self.course.group_of
        made = np.bincount(key, mask.astype(np.float64), self.course.windows * groups)
        return made.astype(np.int64).reshape(-1, groups)


def truth(played: Played) -> Truth:
    course, replies, n = played.course, played.replies, played.course.packets
    taken_ns = course.closed_ns(course.window_of + 1)  # with the correction, at the next window's close
    order = np.argsort(replies.packet, kind="stable")
    packet = replies.packet[order]
    first = order[np.append(True, packet[1:] != packet[:-1])] if len(order) else order
    at_ns = np.full(n, NEVER_NS)
    at_ns[replies.packet[first]] = replies.at_ns[first]
    gone = (at_ns < NEVER_NS) & (at_ns >= taken_ns)

    def of_first(column: Ints) -> Ints:
        made = np.full(n, -1, np.int64)
        made[replies.packet[first]] = column[first]
        return made

    t4_ns = course.near.read(at_ns % NEVER_NS)
    number, life = of_first(replies.number), of_first(replies.life)
    came = np.bincount(replies.packet, minlength=n)
    other = replies.number != number[replies.packet]
    told = np.unique(np.stack([replies.packet, replies.number]), axis=1)[0]
    seen = (at_ns < NEVER_NS) & ~gone
    late = seen & (t4_ns - played.t1_ns > TIMEOUT_NS)
    refused = ~seen & np.isin(played.told_off, PORT_UNREACHABLE)
    prohibited = ~seen & np.isin(played.told_off, PROHIBITED)
    refused = _in_refused_runs(played, refused, ~seen & ~played.failed & ~prohibited)
    lost = ~seen & ~refused & ~played.failed
    return Truth(
        course, at_ns, played.t1_ns, played.stamped, t4_ns, of_first(replies.t2_ns),
        of_first(replies.t3_ns), life,
        np.maximum(came - 1, 0), np.bincount(replies.packet[other], minlength=n),
        played.arrived - np.bincount(told, minlength=n) - (lost & ~gone & (played.arrived > 0)),
        seen & ~late, late, refused, played.failed, lost, gone, played.arrived == 0,
        _between(course, np.where(seen, life, -1)) | np.isin(played.told_off, PROHIBITED),
        _mixed(course, seen, lost, played.arrived == 0),
    )  # fmt: skip


def _in_refused_runs(played: Played, refused: Mask, silent: Mask) -> Mask:
    """Packets without a reply that left at most NEAR_NS from a refused one, with only such packets of their
    group between."""
    made, group_of = refused.copy(), played.course.group_of
    order = np.lexsort((played.t1_ns, group_of))
    for way in (order, order[::-1]):
        since_ns, group = -NEVER_NS, -1
        columns = (way, group_of[way], played.t1_ns[way], silent[way], refused[way])
        for packet, own, t1_ns, mute, told in zip(*(each.tolist() for each in columns), strict=True):
            if not mute or own != group:
                since_ns, group = -NEVER_NS, own
            if told:
                since_ns = t1_ns
            elif mute and abs(t1_ns - since_ns) <= NEAR_NS:
                made[packet] = True
    return made


def _between(course: Course, life: Ints) -> Mask:
    """Packets with replies of one life before and after them in their session, or before all replies where
    both ends count from 0; life (packets,), -1 = none."""
    by_session = life.reshape(course.ticks, course.sessions)
    tick = np.arange(course.ticks)[:, None]
    before = np.maximum.accumulate(np.where(by_session >= 0, tick, -1))
    after = np.minimum.accumulate(np.where(by_session >= 0, tick, course.ticks)[::-1])[::-1]
    inside = (before >= 0) & (after < course.ticks)
    column = np.arange(course.sessions)
    same = by_session[before % course.ticks, column] == by_session[after % course.ticks, column]
    counted = (before < 0) & (after < course.ticks) & (course.first_seq == course.first_number == 0)
    made: Mask = (inside & same | counted).ravel()
    return made


def _mixed(course: Course, seen: Mask, lost: Mask, away: Mask) -> Mask:
    """Lost packets in rows of packets without a reply that cross a window's border, with losses both ways."""
    shape = (course.ticks, course.sessions)
    mixed = np.zeros(shape, np.bool_)
    out, back = (lost & away).reshape(shape), (lost & ~away).reshape(shape)
    silent = ~seen.reshape(shape)
    for border in range(WINDOW_TICKS, course.ticks, WINDOW_TICKS):
        for session in np.flatnonzero(silent[border - 1] & silent[border]):
            answered = np.flatnonzero(~silent[:, session])
            at = int(np.searchsorted(answered, border))
            first = answered[at - 1] + 1 if at else 0
            run = slice(first, answered[at] if at < len(answered) else course.ticks)
            if out[run, session].any() and back[run, session].any():
                mixed[run, session] = (out | back)[run, session]
    made: Mask = mixed.ravel()
    return made


def reordering(arrival_ns: Ints) -> tuple[Mask, Ints]:
    """Which packets of one session came after a later one, and by how many; a slow twin (RFC 4737 section 3).

    arrival_ns (n,) of each, NEVER_NS = never.
    """
    extent = np.zeros(len(arrival_ns), np.int64)
    came: list[int] = []
    for seq in sorted(range(len(arrival_ns)), key=lambda s: int(arrival_ns[s])):
        if arrival_ns[seq] == NEVER_NS:
            break
        for back, earlier in enumerate(reversed(came), 1):
            if earlier > seq:
                extent[seq] = back
            if back > 400:
                break
        came.append(seq)
    return extent > 0, extent
