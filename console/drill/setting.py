"""How the lab is set up for a drill: which topology, what is probed, which link is broken and where."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from console.demo.chain import Setting
from console.demo.files import NAMESPACE_PORTS
from lab.faults.fault import KINDS, Fault
from lab.places import drill_topology
from linkgauge.errors import LinkgaugeError
from linkgauge.model import Link

RATE_PPS = 10
LEAST_PACKETS = 66
"""Of a window: with fewer its delay variation would not be known (59 replies)."""
PERIOD_WINDOWS = 60
PATH_EVERY_S = 15
_LINK = ("jinan-1", "guiyang-1", "backbone")
_PLACES = {"hub": "mid-a", "node": "guiyang-1", "site": "guiyang", "trunk": "east-west"}
_LABS = {"auto": 0, "trunk": 1, "paths": 2}
LABS = tuple(_LABS)
"""trunk: one trunk that all site pairs share; paths: two equal ways; auto: what the fault needs."""


def lab_setting(kind: str, lab: str, window_s: int) -> Setting:
    """The lab for a fault of that kind. Raises LinkgaugeError for a lab or kind that there is not."""
    if kind not in KINDS:
        raise LinkgaugeError(f"there is no fault {kind!r}: choose one of {', '.join(KINDS)}")
    if lab not in _LABS:
        raise LinkgaugeError(f"--lab {lab}: choose one of {', '.join(LABS)}")
    paths = _LABS[lab] or (2 if kind in ("path-blackhole", "flow-blackhole") else 1)

    def adjust(inventory: dict[str, Any]) -> None:
        inventory["window_s"], inventory["period_s"] = window_s, PERIOD_WINDOWS * window_s
        del inventory["tiers"]
        inventory["silences"] = [
            {
                "until": (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds"),
                "reason": "the lab has the clock of its host",
                "rules": ["clock-unsynchronised"],
            }
        ]
        probing = inventory["probing"]
        probing["stamp"] |= {"rate_pps": max(RATE_PPS, LEAST_PACKETS / window_s), "paths": paths}
        probing["stamp"]["timeout_s"] = min(2.0, window_s / 2)
        probing["path"] = {"interval_s": PATH_EVERY_S, "flows": 4 if paths > 1 else 1}
        if kind == "throttle":
            probing["throughput"]["every_s"] = 60.0
            for network in inventory["networks"]:
                network["promised_bps"] //= 2  # of a busy machine no link of the lab carries all it could
        else:
            probing["throughput"] = None
            for network in inventory["networks"]:
                network.pop("promised_bps", None)

    return Setting(drill_topology(paths), shaped=True, influxdb=False, adjust=adjust)


def lab_fault(kind: str, link: str | None, place: str | None, magnitude: float | None) -> Fault:
    """The fault, on the usual link and place of the drill's lab unless others are named.

    Raises LinkgaugeError when what is named is not what such a fault is on.
    """
    if place is not None and KINDS[kind].on == "link":
        raise LinkgaugeError(f"--place {place}: fault {kind} is on a link; give --link instead")
    if link is None:
        on = _LINK
    else:
        named = Link.parse(link)
        on = (named.src, named.dst, named.network)
    where = place or _PLACES.get(KINDS[kind].on, "")
    return Fault(kind, on, where, magnitude, port=NAMESPACE_PORTS.stamp)
