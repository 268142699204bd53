"""From a plan to the sessions that carry it out: which link, class and flow leaves through which port.

A session is one flow of one class of one link. All links of a local address share a port (a socket with a
source port of its own) for each flow; where two sessions could not be told apart on one port, the second gets
another.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkgauge.errors import ConfigError
from linkgauge.plan import Plan, PlanLink
from probes.engine.flights import Flights
from probes.engine.sender import Check, Sender
from probes.sockets.arrival import Received
from probes.sockets.message import Outgoing
from probes.sockets.port import Port
from probes.sockets.raw_name import NAME_SIZE, raw_name
from probes.sockets.sockets import BatchSocket
from probes.stamp.authentication import verify
from probes.stamp.packet import reflector_columns
from probes.stamp.requests import Requests
from probes.stamp.sessions import Ends, Sessions, Timing
from probes.stamp.timetable import LONGEST_TRAIN, PoissonTimes, Wheel, wheel
from probes.stamp.tlv import Layout, layout
from probes.stamp.window import Groups

CHEAP_STAMPS_PPS = 20_000
"""Transmit stamps are on by default up to this many packets a second."""
MOST_ROWS = 32_768
"""Datagrams that are kept until they are taken into the table: while a window is reported they must wait."""
MOST_SESSIONS = 60_000
"""SSIDs are 16 bits."""
LATEST_SHARE = 4
LATEST_LEAST_NS, LATEST_MOST_NS = 20_000_000, 250_000_000
_ECT = 2


@dataclass(frozen=True, slots=True)
class _Session:
    link: PlanLink
    group: int
    dscp: int
    flow: int
    port: int
    layout: Layout


@dataclass(frozen=True, slots=True)
class Staffed:
    """A sender for a plan, what its rows are, and the links that could not be probed for want of a key."""

    sender: Sender
    groups: Groups
    keyless: tuple[str, ...]


def staff(
    plan: Plan,
    keys: Mapping[str, bytes],
    start_mono_ns: int,
    flights: Flights,
    port_of: Mapping[str, int] | None = None,
) -> Staffed:
    """Bind the ports and lay out the sessions of a plan. Raises ConfigError when an address is not here.

    port_of: UDP port of a peer where it is not the plan's. flights: packets of sweeps, which leave here too.
    """
    wanted, names, keyless = _sessions(plan, keys)
    if len(wanted) > MOST_SESSIONS:
        raise ConfigError(
            f"the plan has {len(wanted)} STAMP sessions (links x classes x flows), an agent carries out at "
            f"most {MOST_SESSIONS}; take fewer classes or paths in probing.stamp of the inventory"
        )
    interval_ns = plan.stamp_interval_ns * plan.flows
    laid = wheel(
        [s.group for s in wanted], [s.flow for s in wanted], plan.flows, [s.port for s in wanted],
        interval_ns, secrets.randbelow,
        1 if plan.poisson else LONGEST_TRAIN,
    )  # fmt: skip
    ordered = [wanted[i] for i in laid.order]
    rate_pps = len(ordered) * 1e9 / interval_ns
    stamps = plan.transmit_stamps == "on" or (plan.transmit_stamps == "auto" and rate_pps <= CHEAP_STAMPS_PPS)
    ports = _ports(plan, ordered, laid, keys, port_of or {}, stamps, rate_pps)
    sessions = Sessions(
        Ends(
            _names(ordered, plan, port_of or {}),
            _ssids(len(ordered)),
            np.array([s.port for s in ordered], np.int64),
            np.array([s.link.reflector == "twamp-light" for s in ordered]),
        ),
        layout(0, tlvs=True, authenticated=plan.authenticated),
        Timing.for_window(interval_ns, plan.stamp_timeout_ns, plan.window_ns, laid.train),
        stamps,
    )
    for port in ports:
        port.requests.set_ssid(sessions.ends.ssid[port.session])
    latest_ns = min(max(interval_ns // LATEST_SHARE, LATEST_LEAST_NS), LATEST_MOST_NS)
    start_mono_ns += secrets.randbelow(laid.tick_ns)  # or all agents would send at the same moments
    sender = Sender(
        sessions, ports, laid, start_mono_ns, latest_ns,
        rows=int(min(max(512, rate_pps), MOST_ROWS)),
        flights=flights,
        poisson=_poisson(plan, len(ordered), interval_ns, start_mono_ns),
        check=_check(sessions, ordered, keys) if plan.authenticated else None,
    )  # fmt: skip
    return Staffed(sender, _groups(ordered, names, ports), keyless)


def _sessions(
    plan: Plan, keys: Mapping[str, bytes]
) -> tuple[list[_Session], list[tuple[str, str]], tuple[str, ...]]:
    """All sessions; link and class of each group; links left out."""
    wanted: list[_Session] = []
    names: list[tuple[str, str]] = []
    keyless: list[str] = []
    taken: dict[tuple[str, int, str], int] = {}
    ports: dict[tuple[str, int, int], int] = {}
    for link in plan.links:
        if plan.authenticated and link.peer not in keys:
            keyless.append(link.link)
            continue
        light = link.reflector == "twamp-light"
        shape = layout(
            link.size_bytes or plan.size_bytes,
            tlvs=not light,
            authenticated=plan.authenticated,
        )
        for dscp in plan.classes[: 1 if light else None]:
            names.append((link.link, str(dscp)))
            for flow in range(plan.flows):
                same = (link.local, flow, link.peer)
                further = 0
                if light:  # no SSID tells its sessions apart
                    further = taken[same] = taken.get(same, -1) + 1
                port = ports.setdefault((link.local, flow, further), len(ports))
                wanted.append(_Session(link, len(names) - 1, dscp, flow, port, shape))
    return wanted, names, tuple(keyless)


def _ports(
    plan: Plan,
    ordered: Sequence[_Session],
    laid: Wheel,
    keys: Mapping[str, bytes],
    port_of: Mapping[str, int],
    stamps: bool,
    rate_pps: float,
) -> list[Port]:
    ports: list[Port] = []
    try:
        for number in range(max((s.port for s in ordered), default=-1) + 1):
            rows = [i for i, s in enumerate(ordered) if s.port == number]
            mine = [ordered[i] for i in rows]
            share_pps = rate_pps * len(mine) / len(ordered)
            ports.append(_port(plan, rows, mine, laid.train, keys, port_of, stamps, share_pps))
    except BaseException:
        for port in ports:
            port.socket.close()
        raise
    return ports


def _port(
    plan: Plan,
    rows: Sequence[int],
    mine: Sequence[_Session],
    train: int,
    keys: Mapping[str, bytes],
    port_of: Mapping[str, int],
    stamps: bool,
    rate_pps: float,
) -> Port:
    classes = {s.dscp for s in mine}
    socket = BatchSocket(mine[0].link.local, 0, transmit_stamps=stamps, tos=min(classes) << 2 | _ECT)
    repeated = [s for s in mine for _ in range(train)]
    tos = np.array([s.dscp << 2 | _ECT for s in repeated], np.uint8) if len(classes) > 1 else None
    outgoing = Outgoing(
        _names(repeated, plan, port_of),
        np.array([s.layout.size for s in repeated], np.int64),
        max(s.layout.size for s in mine),
        socket.v6,
        tos,
    )
    requests = Requests(
        outgoing.data,
        [s.layout for s in mine],
        [s.dscp for s in mine],
        [keys.get(s.link.peer) for s in mine] if plan.authenticated else [None] * len(mine),
        train,
    )
    session = np.repeat(np.array(rows, np.int64), train)
    place = np.tile(np.arange(train), len(mine))
    return Port(socket, mine[0].link.local, mine[0].flow, outgoing, requests, session, place, rate_pps)


def _names(sessions: Sequence[_Session], plan: Plan, port_of: Mapping[str, int]) -> NDArray[np.uint8]:
    """Raw address of each far end, (n, NAME_SIZE)."""
    names = [raw_name(s.link.peer, port_of.get(s.link.peer, plan.stamp_port)) for s in sessions]
    return np.array(names, np.uint8).reshape(-1, NAME_SIZE)


def _poisson(plan: Plan, count: int, interval_ns: int, start_mono_ns: int) -> PoissonTimes | None:
    if not plan.poisson or not count:
        return None
    random = np.random.default_rng(secrets.randbits(64))
    return PoissonTimes(count, interval_ns, start_mono_ns, random.random)


def _check(sessions: Sessions, ordered: Sequence[_Session], keys: Mapping[str, bytes]) -> Check:
    """Replies are authentic when their HMAC fits the key of the session that their SSID names."""
    row_of = {int(ssid): row for row, ssid in enumerate(sessions.ends.ssid)}
    key_of = [keys.get(s.link.peer) for s in ordered]

    def check(got: Received) -> NDArray[np.bool_]:
        ssids = reflector_columns(got.data, sessions.layout.base)["ssid"]
        held = np.zeros(len(ssids), np.bool_)
        for at, ssid in enumerate(ssids.tolist()):
            key = key_of[row_of[ssid]] if ssid in row_of else None
            if key is not None:
                one = slice(at, at + 1)
                held[at] = verify(got.data[one], got.length[one], sessions.layout, key)[0]
        return held

    return check


def _groups(ordered: Sequence[_Session], names: Sequence[tuple[str, str]], ports: Sequence[Port]) -> Groups:
    first: dict[int, int] = {}
    by_link: dict[int, int] = {}
    peers = [""] * len(names)
    for session in ordered:
        by_link[session.group] = id(session.link)
        peers[session.group] = session.link.peer
    for group in range(len(names)):
        first.setdefault(by_link.get(group, -group), group)
    return Groups(
        [link for link, _ in names],
        [dscp for _, dscp in names],
        np.array([first[by_link.get(group, -group)] for group in range(len(names))], np.int64),
        np.array([s.group for s in ordered], np.int64),
        np.array([s.flow for s in ordered], np.int64),
        np.array([ports[s.port].socket.port for s in ordered], np.int64),
        np.array([s.dscp for s in ordered], np.int64),
        np.array([s.link.reflector == "stateful" for s in ordered], np.bool_),
        peers,
    )


def _ssids(count: int) -> NDArray[np.uint16]:
    """Unpredictable distinct SSIDs, neither 0 (RFC 8972 section 3) nor that of sweeps."""
    numbers = np.arange(1, 0xFFFF, dtype=np.uint16)
    np.random.default_rng(secrets.randbits(128)).shuffle(numbers)
    return numbers[:count].copy()
