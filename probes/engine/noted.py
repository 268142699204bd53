"""What the engine noted of itself in one window. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fitness:
    """Counters are those of this window alone; unfit: sum of Unfit bits; names are those of the table health.

    self_rtt_*: round trip of the probe to itself over loopback, NaN when none came back.
    drill: 1: the reflector played a fault on purpose.
    """

    start_ns: int
    length_ns: int
    unfit: int
    loop_lag_max_us: float
    receive_dropped: int
    malformed: int
    unmatched: int
    too_late: int
    flows_deferred: int
    send_retried: int
    missed: int
    reflected: int
    refused_peer: int
    refused_loop: int
    refused_malformed: int
    refused_authentication: int
    refused_replay: int
    refused_rate: int
    refused_table: int
    self_rtt_p50_us: float
    self_rtt_max_us: float
    self_lost: int
    drill: int = 0
