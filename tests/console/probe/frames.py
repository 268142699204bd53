"""WINDOW and FLOW rows as the engine delivers them."""

from __future__ import annotations

from typing import Any

import numpy as np

from linkgauge.frame import Frame
from linkgauge.histogram import Histogram
from linkgauge.schema import FLOW, WINDOW

RTT_US = 1_000.0
LINK = "here>there@octets-72"
SIZES = {LINK: 72}


def window(start_ns: int = 0, dscp: int = 0, **changed: Any) -> Frame:
    """One window with 25 packets, all answered after a millisecond."""
    rtt_ns = Histogram.of(np.full(changed.get("replied", 25), RTT_US * 1e3))
    row = {
        "link": LINK,
        "probe": "stamp",
        "class": str(dscp),
        "start_ns": start_ns,
        "length_ns": 250_000_000,
        "sent": 25,
        "replied": 25,
        "rtt_min_us": RTT_US,
        "rtt_max_us": RTT_US,
    }
    return Frame.of(
        WINDOW, {"rtt_ns": [rtt_ns], **{name: [value] for name, value in (row | changed).items()}}
    )


def flow(port: int, sent: int, lost: int, dscp: int = 0) -> Frame:
    """One flow that lost some on the way out."""
    row: dict[str, Any] = {"link": LINK, "probe": "stamp", "class": str(dscp)}
    row |= {"flow": str(port), "port": port, "sent": sent, "lost_forward": lost, "start_ns": 0}
    return Frame.of(FLOW, {name: [value] for name, value in row.items()})
