"""What `linkgauge probe` is asked to send, and the plan that makes the engine send it. Pure.

Each packet size is a link of the plan; the classes and flows of all go at the same time, so that they meet
the same network. The engine reports in windows that are aligned to the clock, so a run is a number of short
windows.
"""

from __future__ import annotations

from dataclasses import dataclass

from linkgauge.clock import NS_PER_S, seconds
from linkgauge.plan import PLAN_VERSION, Plan, PlanLink

WINDOW_S = 0.25
"""About as long as a window is: the shorter, the sooner the run begins."""


@dataclass(frozen=True, slots=True)
class Shot:
    """count: packets of each size and class. rate_pps: of each size and class.

    sizes: octets of the UDP payload, 0 = as small as it goes. classes: DSCPs. flows: source ports that the
    packets of a class are spread over. reflector: as in linkgauge.plan.PlanLink. tcp_port: 0 = no TCP.
    """

    peer: str
    local: str
    port: int = 862
    count: int = 100
    rate_pps: float = 50.0
    timeout_s: float = 2.0
    sizes: tuple[int, ...] = (0,)
    classes: tuple[int, ...] = (0,)
    flows: int = 1
    reflector: str = "stateful"
    authenticated: bool = False
    path: bool = False
    icmp: bool = False
    tcp_port: int = 0

    @property
    def links(self) -> dict[str, int]:
        """Link -> its size."""
        return {f"here>there@octets-{size}": size for size in self.sizes}

    @property
    def target(self) -> PlanLink:
        """The far end, as the probes see it that know no sizes."""
        return PlanLink("here>there@probe", self.local, self.peer, self.reflector)

    @property
    def interval_ns(self) -> int:
        """Between two packets of one size and class."""
        return max(1, seconds(1 / self.rate_pps))

    @property
    def window_ns(self) -> int:
        """Length of a window: a whole number of packets, of which the last window has few too many."""
        most = max(1, min(self.count, round(WINDOW_S * NS_PER_S / self.interval_ns)))
        least_waste = min(range(most, (most - 1) // 2, -1), key=lambda packets: -self.count % packets)
        return least_waste * self.interval_ns

    @property
    def windows(self) -> int:
        """Windows of a run: enough for `count` packets, so there may be a few more."""
        return -(-self.count * self.interval_ns // self.window_ns)

    @property
    def duration_s(self) -> float:
        """How long packets are sent."""
        return self.windows * self.window_ns / NS_PER_S

    def plan(self) -> Plan:
        """The plan that sends everything but the other probes."""
        return Plan(
            version=PLAN_VERSION,
            agent="here",
            window_ns=self.window_ns,
            links=[
                PlanLink(link, self.local, self.peer, self.reflector, size)
                for link, size in self.links.items()
            ],
            peers=[],
            locals=[],
            stamp_interval_ns=self.interval_ns,
            stamp_timeout_ns=seconds(self.timeout_s),
            stamp_port=self.port,
            classes=list(self.classes),
            icmp_interval_ns=0,
            icmp_timeout_ns=0,
            tcp_interval_ns=0,
            tcp_timeout_ns=0,
            tcp_port=self.tcp_port,
            throughput_port=0,
            throughput_duration_ns=0,
            cycle_ns=0,
            turns=[],
            flows=self.flows,
            authenticated=self.authenticated,
            transmit_stamps="on",
            path_interval_ns=seconds(5) if self.path else 0,
            path_flows=min(self.flows, 4),
        )
