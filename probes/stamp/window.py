"""STAMP packets of one window become rows of the table `window`: counts by fate and direction, delay. Pure.

A packet belongs to the window in which it was sent. The rows are made after the timeout of the window's last
packet, so later replies are at hand and tell the direction of losses at the window's end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkgauge.frame import Frame
from linkgauge.schema import WINDOW
from probes import delays
from probes.stamp.direction import Direction, attribute
from probes.stamp.packet import error_ns
from probes.stamp.sessions import FAILED, LATE, REFUSED, REPLIED, Sessions

CONTEXT = 64
"""Packets before the window that are looked at too, for the direction of losses at its beginning."""


@dataclass(frozen=True, slots=True)
class Span:
    """One window: its time, the sequence numbers sent in it by each session, and what the agent noted.

    first, end (n,) int64: session i sent first[i] <= seq < end[i]. missed (n,): slots that passed unused.
    own_error_ns: bound on this host's clock error, NaN when it is not synchronised. unfit: sum of
    schema.Unfit bits. under_test: a throughput test ran here.
    """

    start_ns: int
    length_ns: int
    first: NDArray[np.int64]
    end: NDArray[np.int64]
    missed: NDArray[np.int64]
    own_error_ns: float
    unfit: int
    under_test: bool


@dataclass(frozen=True, slots=True)
class _Packets:
    """Packets of several sessions, flat: session, seq, fate and whether they lie in the window (n,)."""

    session: NDArray[np.int64]
    seq: NDArray[np.int64]
    slot: tuple[NDArray[np.int64], NDArray[np.int64]]
    fate: NDArray[np.int8]
    inside: NDArray[np.bool_]


def window_frame(sessions: Sessions, links: Sequence[str], klass: str, span: Span) -> Frame:
    """One WINDOW row for each session that was due in the window; `links` names them, in table order."""
    n = len(sessions)
    copies = sessions.copies()
    packets = _gather(sessions, span)
    columns: dict[str, Any] = dict(_counts(packets, sessions, copies, n))
    _refuse_all(columns)
    own = (copies[:, 1] >= span.first[copies[:, 0]]) & (copies[:, 1] < span.end[copies[:, 0]])
    columns["duplicate"] = np.bincount(copies[own, 0], minlength=n).astype(np.int64)
    sessions.forget_copies(span.end - CONTEXT)
    columns |= _delays(packets, sessions, span.own_error_ns, n)
    sent = columns["sent"]
    lost = columns["lost_forward"] + columns["lost_backward"] + columns["lost_unattributed"]
    known = columns["lost_unattributed"] == 0
    tried = sent - columns["refused"]
    arrived = tried - columns["lost_forward"]
    columns["loss_ratio"] = _ratio(lost, tried)
    columns["loss_forward_ratio"] = np.where(known, _ratio(columns["lost_forward"], tried), np.nan)
    columns["loss_backward_ratio"] = np.where(known, _ratio(columns["lost_backward"], arrived), np.nan)
    columns["missed"] = span.missed
    columns["unfit"] = np.full(n, span.unfit)
    columns["under_test"] = np.full(n, int(span.under_test))
    columns["start_ns"] = np.full(n, span.start_ns)
    columns["length_ns"] = np.full(n, span.length_ns)
    names = {"link": list(links), "probe": ["stamp"] * n, "class": [klass] * n}
    frame = Frame.of(WINDOW, {**names, **columns}, rows=n)
    return frame.take((span.end > span.first) | (span.missed > 0))


def _gather(sessions: Sessions, span: Span) -> _Packets:
    """The window's packets, CONTEXT packets before them and all after them."""
    ring = sessions.timing.ring
    first = np.maximum(np.maximum(span.first - CONTEXT, sessions.next_seq - ring), 0)
    length = sessions.next_seq - first
    session = np.repeat(np.arange(len(sessions)), length)
    seq = np.arange(len(session)) - np.repeat(np.cumsum(length) - length, length) + first[session]
    slot = (session, seq % ring)
    inside = (seq >= span.first[session]) & (seq < span.end[session])
    return _Packets(session, seq, slot, sessions.fate[slot], inside)


def _counts(
    packets: _Packets, sessions: Sessions, copies: NDArray[np.int64], n: int
) -> dict[str, NDArray[np.int64]]:
    fate = packets.fate
    replied, late = fate == REPLIED, fate == LATE
    lost = ~(replied | late | (fate == REFUSED) | (fate == FAILED))
    told = lost | replied | late
    direction = np.zeros(len(fate), np.int8)
    direction[told] = attribute(
        packets.session[told],
        packets.seq[told],
        lost[told],
        sessions.number[packets.slot][told],
        copies,
    )

    def each(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(packets.session[mask & packets.inside], minlength=n).astype(np.int64)

    return {
        "sent": each(fate != FAILED),
        "replied": each(replied),
        "late": each(late),
        "lost_forward": each(direction == Direction.FORWARD),
        "lost_backward": each(direction == Direction.BACKWARD),
        "lost_unattributed": each(direction == Direction.UNATTRIBUTED),
        "refused": each(fate == REFUSED),
        "send_failed": each(fate == FAILED),
        "reordered": each(_reordered(packets, sessions, replied | late)),
    }


def _refuse_all(columns: dict[str, Any]) -> None:
    """Where nothing was answered but by "port unreachable", the packets without an answer were refused too:
    hosts send only few of these errors a second."""
    refused = (columns["refused"] > 0) & (columns["replied"] + columns["late"] == 0)
    columns["refused"] = columns["refused"] + np.where(refused, columns["lost_unattributed"], 0)
    columns["lost_unattributed"] = np.where(refused, 0, columns["lost_unattributed"])


def _reordered(packets: _Packets, sessions: Sessions, arrived: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Replies whose number is below that of one that came before them (RFC 4737 section 3.3)."""
    row = np.flatnonzero(arrived)
    order = row[np.lexsort((sessions.t4_ns[packets.slot][row], packets.session[row]))]
    key = packets.session[order] * (1 << 40) + packets.seq[order]
    reordered = np.zeros(len(arrived), np.bool_)
    reordered[order] = key < np.maximum.accumulate(key) if len(key) else False
    return reordered


def _delays(packets: _Packets, sessions: Sessions, own_error_ns: float, n: int) -> dict[str, Any]:
    """Delay columns of packets with a reply in time; one-way values only between synchronised clocks."""
    use = packets.inside & (packets.fate == REPLIED)
    group, slot = packets.session[use], (packets.slot[0][use], packets.slot[1][use])
    t1, t2, t3, t4 = (a[slot] for a in (sessions.t1_ns, sessions.t2_ns, sessions.t3_ns, sessions.t4_ns))
    forward, backward = (t2 - t1).astype(np.float64), (t4 - t3).astype(np.float64)
    rtt, dwell = forward + backward, (t3 - t2).astype(np.float64)
    far_error = error_ns(sessions.error[slot])
    bound_us = delays.grouped(far_error + own_error_ns, group, n).max_us
    round_trip = delays.grouped(rtt, group, n)
    columns = {f"rtt_{field.name}": getattr(round_trip, field.name) for field in fields(round_trip)}
    for name, values in (("forward", forward), ("backward", backward)):
        one_way = delays.grouped(values, group, n)
        columns[f"{name}_min_us"] = np.where(np.isfinite(bound_us), one_way.min_us, np.nan)
        columns[f"{name}_p50_us"] = np.where(np.isfinite(bound_us), one_way.p50_us, np.nan)
    highest = np.where(np.isfinite(columns["rtt_p99_us"]), columns["rtt_p99_us"], columns["rtt_p95_us"])
    return {
        **columns,
        "pdv_us": highest - columns["rtt_min_us"],
        "jitter_us": delays.jitter_us(rtt, t4, group, n),
        "one_way_error_us": bound_us,
        "dwell_p50_us": delays.grouped(dwell, group, n).p50_us,
        "rtt_ns": delays.histograms(rtt, group, n),
        "forward_ns": delays.histograms(forward, group, n),
        "backward_ns": delays.histograms(backward, group, n),
    }


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, np.nan)
