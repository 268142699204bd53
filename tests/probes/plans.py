"""A plan for tests."""

from __future__ import annotations

from linkgauge.plan import PLAN_VERSION, Plan, PlanLink, Turn

S = 1_000_000_000


def plan(
    agent: str = "n1",
    links: list[PlanLink] | None = None,
    turns: list[Turn] | None = None,
    cycle_ns: int = 60 * S,
) -> Plan:
    return Plan(
        version=PLAN_VERSION, agent=agent, window_ns=10 * S, links=links or [], peers=[], locals=[],
        stamp_interval_ns=S // 10, stamp_timeout_ns=2 * S, stamp_port=862, classes=[0],
        icmp_interval_ns=2 * S, icmp_timeout_ns=2 * S, tcp_interval_ns=2 * S, tcp_timeout_ns=2 * S,
        tcp_port=8620, throughput_port=5201, throughput_duration_ns=10 * S, cycle_ns=cycle_ns,
        turns=turns or [],
    )  # fmt: skip
