"""A prober over the network in memory, with a wall clock that a test moves."""

from __future__ import annotations

import msgspec

from linkgauge.clock import Instant, SystemClock
from linkgauge.frame import Frame
from linkgauge.plan import Plan
from linkgauge.schema import WINDOW
from probes.path.probe import PathProber
from tests.probes.path.net import MS, Net


class Clock:
    """The clock of this host, with a wall clock that a test moves ahead."""

    def __init__(self) -> None:
        self.ahead_ns = 0

    def now(self) -> Instant:
        real = SystemClock().now()
        return Instant(real.mono_ns, real.wall_ns + self.ahead_ns)


def prober(net: Net, plan: Plan, clock: Clock | None = None) -> PathProber:
    made = PathProber(msgspec.structs.replace(plan, stamp_timeout_ns=50 * MS), net, clock or Clock(), seed=1)
    net.caught = made.caught
    return made


def fixed(text: str) -> Net:
    return Net(lambda flight, hop: text.split())


def events(path: PathProber) -> list[tuple[str, str, str]]:
    told = path.observe(Frame.of(WINDOW, {"link": [], "probe": [], "class": []}, 0))
    return list(zip(told.text("kind"), told.text("before"), told.text("after"), strict=True))
