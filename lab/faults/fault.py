"""A fault as a value, the kinds there are, and the truth that a fault makes. Pure.

A truth says which links are in trouble, in which direction, where, and which rules must and may say so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from linkgauge.errors import LabError
from linkgauge.magnitude import Magnitude

Link = tuple[str, str, str]
"""(src, dst, network)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Magnitude):
    """What faults of one kind are.

    on: what a fault names: link, node, site, hub (a router on one of several equal ways) or trunk.
    magnitude: what is used when none is given, within [least, most]; unit: "" where there is nothing to
    choose. must: rules of which one has to fire. may: rules that may fire, too. seen_in: columns of WINDOW
    that show it. direction: as alerts tell it, "-" when they do not. place: kind of the place.
    """

    name: str
    what: str
    on: str = "link"
    magnitude: float = 1.0
    unit: str = ""
    least: float = 0.0
    most: float = 1.0
    must: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()
    seen_in: tuple[str, ...] = ()
    direction: str = "forward"
    place: str = ""


_US = 10_000_000.0
_BURN = frozenset({"burn-fast", "burn-slow", "loss-bursts"})
_SLOW = frozenset({"link-delay", "delay-step", "delay-variation", "delay-asymmetry", "throughput-low"})
_DEAD = frozenset(
    {
        "link-unreachable",
        "link-loss",
        "flow-loss",
        "throughput-low",
        "path-changed",
        "mtu-shrunk",
        "common-cause",
    }
)


def _kind(
    name: str, what: str, must: str = "", may: frozenset[str] = frozenset(), seen_in: str = "", **rest: object
) -> Kind:
    wanted = frozenset(must.split())
    return Kind(
        name=name,
        what=what,
        must=wanted,
        may=(may | _BURN) - wanted,
        seen_in=tuple(seen_in.split()),
        **rest,  # type: ignore[arg-type]  # the fields of Kind, by name
    )


_ALL = (
    _kind(
        "loss",
        "lose a share of what src sends to dst",
        "link-loss",
        frozenset({"throughput-low"}),
        "lost_forward",
        magnitude=0.05,
        unit="ratio",
    ),
    _kind(
        "delay",
        "delay what src sends to dst",
        "link-delay delay-step",
        _SLOW,
        magnitude=60_000,
        unit="us",
        most=_US,
        direction="-",
    ),
    _kind(
        "jitter",
        "delay what src sends to dst by a chance that changes with each packet; the order stays",
        "delay-variation",
        _SLOW,
        magnitude=60_000,
        unit="us",
        most=_US,
        direction="-",
    ),
    _kind(
        "reorder",
        "let a share of what src sends to dst arrive after what was sent later",
        may=_SLOW,
        seen_in="reordered",
        magnitude=0.1,
        unit="ratio",
        direction="-",
    ),
    _kind(
        "duplicate",
        "let a share of what src sends to dst arrive twice",
        seen_in="duplicate",
        magnitude=0.1,
        unit="ratio",
        direction="-",
    ),
    _kind(
        "remark",
        "write another DSCP into what src sends to dst",
        "dscp-remarked",
        seen_in="remarked_forward",
        magnitude=10,
        unit="dscp",
        most=63,
    ),
    _kind(
        "mark-ce",
        "mark a share of what src sends to dst Congestion Experienced",
        "congestion-marks",
        frozenset({"throughput-low"}),
        "ce_forward",
        magnitude=0.2,
        unit="ratio",
    ),
    _kind(
        "throttle",
        "drop what src sends to dst above a rate",
        "throughput-low",
        frozenset({"link-loss"}),
        magnitude=2_000_000,
        unit="bit/s",
        least=8_000,
        most=1e12,
        direction="-",
    ),
    _kind(
        "blackhole",
        "lose all that src sends to dst",
        "link-unreachable",
        _DEAD,
        direction="-",
    ),
    _kind(
        "flow-blackhole",
        "lose all that src sends to dst from one of its source ports",
        "flow-loss link-loss",
        frozenset({"common-cause"}),
    ),
    _kind(
        "path-blackhole",
        "a router on one of several equal ways loses all that comes to it from the side of src",
        "flow-loss link-loss common-cause",
        _DEAD,
        on="hub",
        place="hop",
    ),
    _kind(
        "bad-receiver",
        "a node loses a share of all that comes to it on a network",
        "link-loss common-cause",
        frozenset({"flow-loss", "throughput-low"}),
        on="node",
        magnitude=0.2,
        unit="ratio",
        place="node",
    ),
    _kind(
        "node-down",
        "a node hears and says nothing, on any network",
        "node-down",
        _DEAD | {"agent-silent", "agent-backlog", "plan-stale"},
        on="node",
        direction="-",
        place="node",
    ),
    _kind(
        "site-down",
        "a site's router loses all that enters or leaves the site on a network",
        "common-cause",
        _DEAD | {"node-down"},
        on="site",
        direction="-",
        place="site",
    ),
    _kind(
        "congest",
        "what crosses a trunk from the side of src queues up to the magnitude, and a twentieth of it is lost",
        "common-cause",
        _SLOW | {"link-loss", "flow-loss"},
        on="trunk",
        magnitude=30_000,
        unit="us",
        most=_US,
        place="hop",
    ),
    _kind(
        "mtu-cut",
        "the router before dst passes no longer packets than so",
        "mtu-shrunk common-mtu",
        frozenset({"throughput-low", "path-changed"}),
        magnitude=1_280,
        unit="bytes",
        least=576,
        most=9_000,
        direction="-",
        place="node",
    ),
    _kind(
        "port-remark",
        "a node's port writes another DSCP into all that comes to it on a network",
        "dscp-remarked common-remark",
        on="node",
        seen_in="remarked_forward",
        magnitude=10,
        unit="dscp",
        most=63,
        place="node",
    ),
)
KINDS = {kind.name: kind for kind in _ALL}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault to be injected.

    link: the link, or one in the direction meant where the fault is on a hub or trunk. place: the node, site,
    hub or trunk (LEFT-RIGHT) where it is not on a link; the network is the link's. magnitude: None: the
    kind's. flow: which of the link's source ports, for flow-blackhole. port: the far end's STAMP port, by
    which the flows of a link are told from its other packets.
    """

    kind: str
    link: Link
    place: str = ""
    magnitude: float | None = None
    flow: int = 0
    port: int = 862

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise LabError(f"there is no fault {self.kind!r}: choose one of {', '.join(KINDS)}")
        kind, value = self.of, self.size
        if math.isnan(value) or not kind.least <= value <= kind.most:
            raise LabError(f"fault {self.kind}: its magnitude is no {value:.10g}: give {kind.between}")
        if kind.on != "link" and not self.place:
            raise LabError(f"fault {self.kind} is on a {kind.on}: name it as its place")

    @property
    def of(self) -> Kind:
        """Its kind."""
        return KINDS[self.kind]

    @property
    def size(self) -> float:
        """The magnitude, in the kind's unit."""
        return self.of.magnitude if self.magnitude is None else self.magnitude


@dataclass(frozen=True, slots=True)
class Truth:
    """What a fault does.

    links: those in trouble. also: those that may see it because they measure round trips over it. direction:
    as an alert on them tells it, "-" for none. places: (kind, name) of each right answer to "where"; empty
    where one link alone is in trouble and nothing more can be said. must, may: rules; must: one of them.
    """

    links: frozenset[Link]
    also: frozenset[Link]
    direction: str
    places: frozenset[tuple[str, str]]
    must: frozenset[str]
    may: frozenset[str]
    seen_in: tuple[str, ...]
