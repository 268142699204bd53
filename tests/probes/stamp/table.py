"""Tables of sessions for tests, and what far ends would answer, as a socket gives it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.sockets.raw_name import raw_name
from probes.stamp import tlv
from probes.stamp.packet import REFLECTOR, REFLECTOR_AUTHENTICATED, SIZE, error_estimate, ntp, octets
from probes.stamp.sessions import Ends, Sessions, Timing
from probes.stamp.window import Groups, Span
from tests.probes.stamp.arrivals import Arrived

MS = 1_000_000
INTERVAL, TIMEOUT, WINDOW = 10 * MS, 200 * MS, 1_000 * MS
T0 = 1_800_000_000 * 10**9
SYNCED = error_estimate(10_000, synchronised=True)
FIRST_SSID = 11


def table(
    count: int = 2,
    *,
    anonymous: Sequence[int] = (),
    socket: Sequence[int] | None = None,
    ring: int | None = None,
    first_seq: int = 0,
    authenticated: bool = False,
    stamping: bool = True,
) -> Sessions:
    """Sessions 0..count - 1, to 10.0.0.1, 10.0.0.2 ..., SSIDs from FIRST_SSID on."""
    timing = Timing(TIMEOUT, ring) if ring else Timing.for_window(INTERVAL, TIMEOUT, WINDOW)
    ends = Ends(
        np.array([raw_name(f"10.0.{i // 250}.{i % 250 + 1}", 862) for i in range(count)], np.uint8),
        np.arange(FIRST_SSID, FIRST_SSID + count, dtype=np.uint16),
        np.array(socket if socket is not None else [0] * count, np.int64),
        np.isin(np.arange(count), anonymous),
    )
    layout = tlv.layout(0, tlvs=True, authenticated=authenticated)
    sessions = Sessions(ends, layout, timing, stamping)
    sessions.next_seq += first_seq
    return sessions


def send(sessions: Sessions, packets: int, interval_ns: int = INTERVAL, start_ns: int = T0) -> None:
    """All sessions send so many packets, one every interval_ns."""
    for k in range(packets):
        sessions.sent(0, len(sessions), start_ns + k * interval_ns)


@dataclass(frozen=True)
class Reply:
    """A reply to packet `seq` of `session`. t1 None: as it was sent; times after T1, ns. octets: of the
    datagram, None = all of it. told: DSCP and ECN by the Class of Service TLV; follow_up: number and T3, ns
    Unix. rp: the reflector did not send in the class asked for."""

    session: int
    seq: int
    number: int = 0
    out_ns: int = 3 * MS
    dwell_ns: int = 1 * MS
    back_ns: int = 3 * MS
    ttl_out: int = 250
    ttl: int = 249
    tos: int = 2
    error: int = SYNCED
    t1: int | None = None
    ssid: int | None = None
    name: NDArray[np.uint8] | None = None
    octets: int | None = None
    told: tuple[int, int] | None = (0, 2)
    rp: int = 0
    follow_up: tuple[int, int] | None = None
    stamped: bool = True


def datagram(sessions: Sessions, reply: Reply) -> bytes:
    """The octets of a reply."""
    base = sessions.layout.base
    made = np.zeros(1, REFLECTOR if base == SIZE else REFLECTOR_AUTHENTICATED)
    t1_ns = int(sessions.told_ns[reply.session, reply.seq & sessions.mask])
    made["seq"], made["error"], made["sender_seq"] = reply.number, reply.error, reply.seq & 0xFFFF_FFFF
    made["ssid"] = int(sessions.ends.ssid[reply.session]) if reply.ssid is None else reply.ssid
    made["t1"] = ntp(np.array([t1_ns]))[0] if reply.t1 is None else reply.t1
    made["t2"], made["t3"] = ntp(np.array([t1_ns + reply.out_ns, t1_ns + reply.out_ns + reply.dwell_ns]))
    made["ttl"] = reply.ttl_out
    tlvs = b""
    if reply.told is not None:
        dscp, ecn = reply.told
        tlvs += struct.pack("!BBHI", 0, 4, 4, dscp << 20 | ecn << 18 | reply.rp << 16)
        number, t3_ns = reply.follow_up or (0, 0)
        stamp = int(ntp(np.array([t3_ns]))[0]) if reply.follow_up else 0
        tlvs += struct.pack("!BBHIQBxxx", 0, 7, 16, number, stamp, 2)
    return octets(made).tobytes() + tlvs


def take(sessions: Sessions, *replies: Reply, socket: int = 0) -> None:
    """One batch of replies arrives."""
    sessions.received(socket, got := arrive(sessions, *replies), got.ttl, got.tos)


def arrive(sessions: Sessions, *replies: Reply) -> Arrived:
    """A batch as the socket gives it; what lies behind a datagram is left over from an earlier one (0xAB)."""
    n = len(replies)
    block = np.full((n, 192), 0xAB, np.uint8)
    length = np.zeros(n, np.int64)
    stamp = np.zeros(n, np.int64)
    for row, reply in enumerate(replies):
        raw = datagram(sessions, reply)[: reply.octets]
        block[row, : len(raw)] = np.frombuffer(raw, np.uint8)
        length[row] = len(raw)
        t1_ns = int(sessions.told_ns[reply.session, reply.seq & sessions.mask])
        stamp[row] = (t1_ns + reply.out_ns + reply.dwell_ns + reply.back_ns) * reply.stamped
    names = [sessions.ends.names[r.session] if r.name is None else r.name for r in replies]
    return Arrived(
        block,
        length,
        np.array(names, np.uint8).reshape(n, 32),
        stamp,
        np.array([r.ttl for r in replies], np.uint8),
        np.array([r.tos for r in replies], np.uint8),
    )


def is_in(sessions: Sessions, session: int, seq: int) -> bool:
    """Whether a reply to this packet was taken."""
    return bool(sessions.reply["seq"][session, seq & sessions.mask] == seq)


def groups(
    sessions: Sessions,
    of: Sequence[int] | None = None,
    flow: Sequence[int] | None = None,
    stateful: bool = True,
    first_class: Sequence[int] | None = None,
    dscp: int = 0,
    peers: Sequence[str] = (),
) -> Groups:
    """Each session a link of its own, or as told."""
    n = len(sessions)
    of = list(range(n)) if of is None else list(of)
    count = max(of, default=-1) + 1
    return Groups(
        [f"link{g}" for g in range(count)],
        [str(dscp)] * count,
        np.array(range(count) if first_class is None else first_class, np.int64),
        np.array(of, np.int64),
        np.array(flow if flow is not None else [0] * n, np.int64),
        np.arange(40_000, 40_000 + n),
        np.full(n, dscp, np.int64),
        np.full(n, stateful),
        peers,
    )


def span(
    sessions: Sessions,
    first: int | NDArray[np.int64] = 0,
    end: int | NDArray[np.int64] | None = None,
    *,
    start_ns: int = T0,
    length_ns: int = WINDOW,
    own_error_ns: float = 10_000.0,
    unfit: int = 0,
    heard: Mapping[str, int] | None = None,
) -> Span:
    """Packets first..end - 1 of each session, all that were sent by default."""
    n = len(sessions)
    return Span(
        start_ns,
        length_ns,
        np.broadcast_to(first, n).astype(np.int64),
        sessions.next_seq.copy() if end is None else np.broadcast_to(end, n).astype(np.int64),
        sessions.missed.copy(),
        own_error_ns,
        0,
        unfit,
        False,
        heard or {},
    )
