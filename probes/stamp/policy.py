"""How a reflector answers, and why it does not. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from probes.stamp.session_table import MAX_SESSIONS

CAP_PPS = 20_000
"""A peer's cap unless another is said: more than anybody should ask for, less than would hold a processor."""
STAMP_PORT = 862
"""Where reflectors are by default (RFC 8762 section 4.1)."""


class Refusal(IntEnum):
    """Why a datagram was not answered; indexes `Reflector.refused`."""

    SHORT = 0
    CORRUPT = 1
    """The Multiplier of its Error Estimate is 0."""
    PEER_UNKNOWN = 2
    TABLE_FULL = 3
    LONG = 4
    """Longer than the receive block: it could not be sent back whole."""
    AUTHENTICATION = 5
    """Its HMAC is wrong."""
    REPLAY = 6
    RATE = 7
    LOOP = 8
    """It comes from a port that reflectors have: the reply would be answered, and so on for ever."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a reflector answers. max_sessions: at most so many. rate_pps: of each peer address, 0 = no cap.

    tai_offset_s: answer with PTPv2 stamps, TAI being so far ahead of UTC; None = NTP stamps.
    dscp_allowed: classes that a request may ask its reply to be sent in. reflector_ports: source ports that
    are not answered, besides the port that a packet came to.
    """

    stateless: bool = False
    twamp_light: bool = False
    max_sessions: int = MAX_SESSIONS
    rate_pps: float = 0
    tai_offset_s: int | None = None
    dscp_allowed: frozenset[int] = frozenset(range(64))
    reflector_ports: frozenset[int] = frozenset({STAMP_PORT})
