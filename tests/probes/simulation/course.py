"""What a run in memory consists of: sessions, links, clocks and mishaps; and what it did to each packet."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from probes.sockets.raw_name import raw_name
from probes.stamp import tlv
from probes.stamp.sessions import Ends, Sessions, Timing
from probes.stamp.window import Groups
from tests.probes.simulation.way import HostClock, Way

MS = 1_000_000
INTERVAL_NS = 10 * MS
TIMEOUT_NS = 500 * MS
GRACE_NS = 50 * MS
WINDOW_TICKS = 250
FLOWS = 2
ERROR = 0x8C01
"""Error Estimate of both ends: synchronised, within 2**-20 s."""
LAYOUT = tlv.layout(0, tlvs=True, authenticated=False)

_PLAIN, _TRUE = Way(), HostClock()

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Course:
    """Every tick each session sends a packet; packet tick * sessions + session is one row of all columns.

    down: from, to when the reflector is gone, between two lives of it; refuses: its host says so meanwhile.
    refused, prohibited: share of packets that an ICMP error answers (port unreachable, administratively
    prohibited). failed: share that the kernel does not send. unstamped: share without transmit stamp.
    """

    seed: int
    forward: Way = _PLAIN
    backward: Way = _PLAIN
    near: HostClock = _TRUE
    far: HostClock = _TRUE
    sessions: int = 100
    ticks: int = 1250
    first_seq: int = 0
    first_number: int = 0
    down: tuple[tuple[int, int], ...] = ()
    refuses: bool = True
    refused: float = 0
    prohibited: float = 0
    failed: float = 0
    unstamped: float = 0
    follow_up: bool = False
    v6: bool = False

    @property
    def packets(self) -> int:
        return self.sessions * self.ticks

    @property
    def windows(self) -> int:
        return self.ticks // WINDOW_TICKS

    @property
    def window_of(self) -> Ints:
        return np.arange(self.packets) // self.sessions // WINDOW_TICKS

    @property
    def group_of(self) -> Ints:
        return np.arange(self.packets) % self.sessions // FLOWS

    def closed_ns(self, window: Ints) -> Ints:
        """True time at which windows are reported."""
        return (window + 1) * WINDOW_TICKS * INTERVAL_NS + TIMEOUT_NS + GRACE_NS

    def names(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Raw addresses of near end and far end."""
        near, far = ("fd00::1", "fd00::2") if self.v6 else ("10.0.0.1", "10.0.0.2")
        return raw_name(near, 40_000), raw_name(far, 862)

    def ssid(self) -> NDArray[np.uint16]:
        return (np.arange(self.sessions) * 7 + 3).astype(np.uint16)

    def table(self) -> Sessions:
        """The sender's table, nothing sent yet."""
        n = self.sessions
        ends = Ends(
            np.tile(self.names()[1], (n, 1)), self.ssid(), np.zeros(n, np.int64), np.zeros(n, np.bool_)
        )
        timing = Timing.for_window(INTERVAL_NS, TIMEOUT_NS, WINDOW_TICKS * INTERVAL_NS)
        made = Sessions(ends, LAYOUT, timing)
        made.next_seq[:] = self.first_seq
        return made

    def groups(self) -> Groups:
        """Links of FLOWS sessions each."""
        count, n = self.sessions // FLOWS, np.arange(self.sessions)
        return Groups(
            [f"a>b{link}@n" for link in range(count)], ["0"] * count, np.arange(count), n // FLOWS, n % FLOWS,
            40_000 + n % FLOWS, np.zeros(self.sessions, np.int64), np.ones(self.sessions, np.bool_),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Replies:
    """All replies that came back, (m,) each, by time: packet, true time, octets, and the reflector's doing:
    life, number (since that life began), t2_ns, t3_ns of its clock."""

    packet: Ints
    at_ns: Ints
    data: NDArray[np.uint8] = field(repr=False)
    life: Ints
    number: Ints
    t2_ns: Ints
    t3_ns: Ints


@dataclass(frozen=True, slots=True)
class Played:
    """What happened. Columns (packets,): t1_ns as stamped, stamped, failed, arrived: how often it came to a
    reflector that lives, life: of the first such; told_off: ICMP type and code sent about it, 0 = none."""

    course: Course
    t1_ns: Ints
    stamped: Mask
    failed: Mask
    arrived: Ints
    told_off: Ints
    told_off_ns: Ints
    requests: NDArray[np.uint8] = field(repr=False)
    replies: Replies
