"""Codes that stand in the store for a meaning: why unfit, what changed, how a test ended."""

from __future__ import annotations

from enum import Enum


class Unfit(Enum):
    """Why an agent was not fit to measure; values are bits of the field `unfit`."""

    LOOP_LAG = 1
    CLOCK_STEP = 2
    RECEIVE_DROPPED = 4
    SUSPENDED = 8
    CPU_STARVED = 16
    SELF_PROBE = 32


class EventKind(Enum):
    """What changed on a link; values of the key `kind` of the table `event`."""

    PATH = "path"
    """Another way through the network, delay as before."""
    REROUTE = "reroute"
    """Another way, and the smallest delay changed with it."""
    BELOW_IP = "below-ip"
    """The smallest delay changed while the hops stayed the same: a reroute below IP."""
    MTU = "mtu"


class Outcome(Enum):
    """How a throughput test ended; values of the field `outcome`."""

    MEASURED = 0
    BUSY = 1
    UNREACHABLE = 2
    FAILED = 3
    ABSENT = 4
