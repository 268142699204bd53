"""The probe of an agent to itself: the same packets over loopback, through its own sender and reflector.

No network is in between, so what is lost or slow here is the agent's or its host's doing.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from linkgauge.code import Unfit
from linkgauge.plan import Plan, PlanLink
from probes.engine.closing import Closings
from probes.engine.flights import Flights
from probes.engine.plan_sessions import staff
from probes.sockets.raw_name import raw_name
from probes.stamp.packet import SIZE
from probes.stamp.window import Span

ADDRESS = "127.0.0.1"
INTERVAL_NS = 1_000_000_000
"""Between its packets; each costs two wakings of the loop. Two a window at least."""
MOST_US = 1_000.0
"""A median round trip above this over loopback: the host is too busy to measure a network."""
MOST_LOST_RATIO = 0.05


NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Told:
    """What the probe says of a window. rtt NaN when nothing came back; unfit: Unfit bits."""

    rtt_p50_us: float = NAN
    rtt_max_us: float = NAN
    lost: int = 0
    unfit: int = 0


class SelfProbe:
    """Probes the reflector of this agent at port `port` of `far_ends`."""

    def __init__(self, plan: Plan, port: int, start_mono_ns: int) -> None:
        own = msgspec.structs.replace(
            plan, links=[PlanLink("self>self@loopback", ADDRESS, ADDRESS)], classes=[0], flows=1,
            stamp_interval_ns=min(INTERVAL_NS, plan.window_ns // 2), poisson=False, authenticated=False,
            size_bytes=0, transmit_stamps="on",
        )  # fmt: skip
        staffed = staff(own, {}, start_mono_ns, Flights(port, SIZE, {}), {ADDRESS: port})
        self.sender = staffed.sender
        self.closings = Closings(self.sender.sessions, staffed.groups)
        self._name = raw_name(ADDRESS, self.sender.ports[0].socket.port)

    @staticmethod
    def far_ends() -> list[tuple[str, int]]:
        """Where the reflector is to be bound for this probe: nowhere on a host without loopback."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind((ADDRESS, 0))
            except OSError:
                return []
        return [(ADDRESS, 0)]

    def is_own(self, name: NDArray[np.uint8]) -> bool:
        """Whether a raw address is that of this probe's packets."""
        return bool((name[: len(self._name)] == self._name[: len(name)]).all())

    def told(self, span: Span) -> Told:
        """Close a window."""
        frame = self.closings.close(span)[0]["window"]
        frame = frame.take(frame.count("start_ns") == span.start_ns)
        if not frame.rows:
            return Told()
        sent = int(frame.count("sent")[-1])
        lost = sent - int((frame.count("replied") + frame.count("late"))[-1])
        p50_us, max_us = float(frame.real("rtt_p50_us")[-1]), float(frame.real("rtt_max_us")[-1])
        bad = lost > MOST_LOST_RATIO * sent or p50_us > MOST_US
        return Told(p50_us, max_us, lost, Unfit.SELF_PROBE.value if bad else 0)
