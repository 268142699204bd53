"""What is measured: sites, nodes, networks, links, and the tier that says how good a link must be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType

from linkgauge.compute_id import ComputeId
from linkgauge.errors import ConfigError

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""Names of sites, nodes, networks and tiers: host-name rules, so that a link's text form is unambiguous."""

DEFAULT_TEAM = "network"


class NetworkKind(Enum):
    """What sort of plane a network is."""

    BACKBONE = "backbone"
    PRIVATE = "private"
    EXCHANGE = "exchange"


class Probe(Enum):
    """A kind of measurement."""

    STAMP = "stamp"
    ICMP = "icmp"
    TCP = "tcp"
    TLS = "tls"
    PATH = "path"
    THROUGHPUT = "throughput"


class Verdict(IntEnum):
    """What is said of a link; numeric because Grafana's state panels and InfluxQL want numbers."""

    UNKNOWN = 0
    MET = 1
    MISSED = 2

    @property
    def word(self) -> str:
        return self.name.lower()


class DelayBasis(IntEnum):
    """On what the delay of a link was judged."""

    NONE = 0
    ONE_WAY = 1
    HALF_ROUND_TRIP = 2

    @property
    def word(self) -> str:
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True)
class Tier:
    """The objectives of a class of links.

    delay_us: one-way delay that `delay_quantile` (0..1) of the packets must keep to.
    loss_ratio: highest loss one way, 0..1. pdv_us: highest delay variation of the round trip. ce_ratio:
    highest share of packets marked Congestion Experienced. good_ratio: share of windows that must keep to
    loss and delay; what is left to 1 is the error budget.
    """

    name: str
    delay_us: int
    delay_quantile: float
    loss_ratio: float
    pdv_us: int = 0
    """0: as long as delay_us."""
    ce_ratio: float = 0.01
    good_ratio: float = 0.99

    @property
    def pdv_objective_us(self) -> int:
        """pdv_us, or what stands for it."""
        return self.pdv_us or self.delay_us


DEFAULT_TIERS: Mapping[str, Tier] = MappingProxyType(
    {
        "metro": Tier("metro", 1_000, 0.5, 0.001),
        "region": Tier("region", 5_000, 0.5, 0.001),
        "hub": Tier("hub", 20_000, 0.5, 0.001),
    }
)
"""The latency circles of the plan: 1 ms in a city, 5 ms in a region, 20 ms between national hubs."""


@dataclass(frozen=True, slots=True)
class Site:
    """A compute centre. Coordinates in degrees, None when not told."""

    name: str
    region: str
    operator: str
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    team: str = DEFAULT_TEAM
    """Who is called for its nodes."""


@dataclass(frozen=True, slots=True)
class Network:
    """A plane that nodes share. promised_bps: what one link should carry, 0 when nothing was promised.

    gateways: nodes by which their site reaches other sites on this network. team: who is called for its
    links; empty: the team of the link's first site.
    """

    name: str
    kind: NetworkKind
    promised_bps: int = 0
    gateways: tuple[str, ...] = ()
    team: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A host with an agent: one address (IPv4 or IPv6 text) for each network that it is on."""

    name: str
    site: str
    addresses: Mapping[str, str]
    compute_id: ComputeId | None = None
    reflector: str = "stateful"
    """How it answers STAMP: "stateful", "stateless" or "twamp-light"; devices of other makes may do less."""


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """An ordered pair of nodes on one network; text form ``src>dst@network``."""

    src: str
    dst: str
    network: str

    @classmethod
    def parse(cls, text: str) -> Link:
        """Read the text form; raises ConfigError."""
        src, arrow, rest = text.partition(">")
        dst, at, network = rest.partition("@")
        if not (arrow and at and all(NAME.fullmatch(name) for name in (src, dst, network)) and src != dst):
            raise ConfigError(f"link {text!r} is not of the form src>dst@network with two different nodes")
        return cls(src, dst, network)

    @property
    def reverse(self) -> Link:
        return Link(self.dst, self.src, self.network)

    def __str__(self) -> str:
        return f"{self.src}>{self.dst}@{self.network}"


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """A link that is expected to be measured, with what it should do.

    mirrored: the reverse link is expected as well, so backward loss here is told as forward loss there.
    """

    link: Link
    tier: Tier
    promised_bps: int
    mirrored: bool
    tags: Mapping[str, str]
    """link src dst src_site dst_site src_region dst_region network tier: the bounded tags of the store."""
