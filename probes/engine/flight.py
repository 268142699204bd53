"""Packets of a sweep: sent with chosen hop limits and sizes in a flow's 5-tuple, and what came of them. Pure.

They are STAMP packets with the SSID `SWEEP_SSID`, which no session uses, so that they count nowhere else. The
engine sends them from the source port of the flow, because another port may take another way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SWEEP_SSID = 0xFFFF

Ints = NDArray[np.int64]
Octets = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Flight:
    """n packets from `local`, source port of flow number `flow`, to `peer`, class `dscp`.

    seq (n,) int64: 0..2**32-1, unique among those under way. hop_limit (n,) uint8. size (n,) int64: octets of
    the UDP payload, at least 44.
    """

    local: str
    flow: int
    peer: str
    dscp: int
    seq: Ints
    hop_limit: Octets
    size: Ints


@dataclass(frozen=True, slots=True)
class Departures:
    """k packets that were handed to the kernel. stamp_ns: its transmit stamp, or when it was handed over.

    failed: the kernel would not send it, for instance because it is larger than the interface's MTU.
    """

    seq: Ints
    stamp_ns: Ints
    failed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Answers:
    """n replies of the far end. stamp_ns: receive stamp; hop_limit (n,) uint8 as it came, 255 = unknown.

    dwell_ns (n,): how long the far end says it kept the packet, T3 - T2 of the reply, of either sign as its
    clock may step; 0 where it tells none.
    """

    seq: Ints
    stamp_ns: Ints
    hop_limit: Octets
    dwell_ns: Ints


@dataclass(frozen=True, slots=True)
class Errors:
    """m ICMP errors about packets of ours.

    seq: of the packet quoted. stamp_ns: when it came, 0 = unknown. offender (m, 32) uint8: raw address of
    who sent it. reason: type << 8 | code, in the numbers of ICMP or ICMPv6. info: MTU of a packet-too-big,
    else 0. data (m, w), length: what follows the quoted UDP header, cut at w octets. extension_at: offset in
    data of the extension structure (RFC 4884 section 7), -1 = none.
    """

    seq: Ints
    stamp_ns: Ints
    offender: Octets
    reason: Ints
    info: Ints
    data: Octets
    length: Ints
    extension_at: Ints


@dataclass(frozen=True, slots=True)
class Caught:
    """What came of packets of sweeps since the last time."""

    sent: Departures
    replies: Answers
    errors: Errors
