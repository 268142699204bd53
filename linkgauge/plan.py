"""The plan of one agent, as the collector serves it: JSON, so that people can read what an agent was told."""

from __future__ import annotations

import msgspec

from linkgauge.errors import WireError

PLAN_VERSION = 3
_READ = (2, 3)
MAX_FLOWS = 256
MAX_TAKE_OVER_S = 600
"""A plan takes over no later than this after it is known, however far ahead a clock was."""
REFLECTORS = ("stateful", "stateless", "twamp-light")
TRANSMIT_STAMPS = ("auto", "on", "off")


class PlanLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One link that the agent measures: from its own `local` address to `peer`.

    reflector: how the far end answers STAMP: "stateful", "stateless", or "twamp-light" (RFC 5357 appendix I).
    size_bytes: of the UDP payload where it differs from the plan's, else 0.
    """

    link: str
    local: str
    peer: str
    reflector: str = "stateful"
    size_bytes: int = 0


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A throughput test: at `offset_ns` of each cycle the source sends to the destination's address.

    role: "send" at the source (local -> peer), "serve" at the destination.
    """

    link: str
    role: str
    local: str
    peer: str
    offset_ns: int


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who probes whom, how and when, for one agent. Durations in ns; an interval of 0 switches a probe off.

    peers: addresses whose STAMP packets this agent answers. locals: this agent's own addresses.
    cycle_ns: the throughput timetable repeats with this period, aligned to the Unix epoch.
    stamp_interval_ns: between two packets of one link and class, whatever the number of flows; flow k of a
    link leaves from a source port of its own. classes: DSCPs that STAMP is sent with, the first is the one
    that is judged. size_bytes: of the UDP payload, 0 = as small as it goes. transmit_stamps: "auto", "on",
    "off". throughput_limit_bps: what the sender of a test keeps to, 0 = no limit. takes_over_ns: Unix time
    from which the plan is to be in force where another one is, so that both ends of a link change together.
    """

    version: int
    agent: str
    window_ns: int
    links: list[PlanLink]
    peers: list[str]
    locals: list[str]
    stamp_interval_ns: int
    stamp_timeout_ns: int
    stamp_port: int
    classes: list[int]
    icmp_interval_ns: int
    icmp_timeout_ns: int
    tcp_interval_ns: int
    tcp_timeout_ns: int
    tcp_port: int
    throughput_port: int
    throughput_duration_ns: int
    cycle_ns: int
    turns: list[Turn]
    throughput_limit_bps: int = 0
    flows: int = 1
    poisson: bool = False
    authenticated: bool = False
    size_bytes: int = 0
    transmit_stamps: str = "auto"
    path_interval_ns: int = 0
    path_flows: int = 1
    path_max_hops: int = 30
    tls_interval_ns: int = 0
    tls_timeout_ns: int = 0
    tls_port: int = 0
    takes_over_ns: int = 0


def encode_plan(plan: Plan) -> bytes:
    """A plan as JSON with stable key order."""
    return msgspec.json.encode(plan)


def decode_plan(body: bytes) -> Plan:
    """Check a plan; raises WireError."""
    try:
        plan = msgspec.json.decode(body, type=Plan)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        raise WireError("malformed", f"plan cannot be read: {err}") from None
    if plan.version not in _READ:
        raise WireError("version", f"plan has version {plan.version}, this reads {PLAN_VERSION}; upgrade one")
    if plan.window_ns <= 0 or plan.stamp_interval_ns <= 0 or plan.stamp_timeout_ns <= 0:
        raise WireError("bad_value", "plan has a window, interval or timeout that is not above zero")
    if not (plan.classes and all(0 <= dscp < 64 for dscp in plan.classes) and 0 < plan.flows <= MAX_FLOWS):
        raise WireError("bad_value", f"plan has no class of 0..63, or not 1 to {MAX_FLOWS} flows")
    reflectors = {link.reflector for link in plan.links}
    if plan.transmit_stamps not in TRANSMIT_STAMPS or not reflectors <= set(REFLECTORS):
        raise WireError("bad_value", "plan has a reflector or a use of transmit stamps not known here")
    return plan
