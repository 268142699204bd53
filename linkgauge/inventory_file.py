"""The form of an inventory file: pydantic models that refuse unknown keys.

What must hold across its parts is said by linkgauge.inventory_faults.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from linkgauge.model import DEFAULT_TEAM
from linkgauge.probing import Model, Probing

LONGEST_PERIOD_S = 86400 * 31
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]


def _address(value: object) -> object:
    """An address must be text: YAML reads 5 as a number, and ipaddress takes that for 0.0.0.5."""
    if isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address):
        return value
    try:
        address = ipaddress.ip_address(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("must be an IPv4 or IPv6 address, written as text") from None
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address.ipv4_mapped):
        raise ValueError("must be an address without scope and, where it is IPv4, not written as IPv6")
    return address


def _time(value: object) -> object:
    """A moment needs its offset: a time of day alone is another moment on each host."""
    try:
        made = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        made = None
    if not isinstance(made, datetime) or made.tzinfo is None:
        raise ValueError("must be a time with its offset, as 2026-11-21T22:00:00+08:00")
    return made


Address = Annotated[ipaddress.IPv4Address | ipaddress.IPv6Address, BeforeValidator(_address)]
Time = Annotated[datetime, BeforeValidator(_time)]
Reason = Annotated[str, Field(min_length=1, max_length=200)]


class TierEntry(Model):
    delay_us: int = Field(gt=0)
    delay_quantile: float = Field(0.5, gt=0, lt=1)
    loss_ratio: float = Field(0.001, gt=0, lt=1)
    pdv_us: int = Field(0, ge=0)
    ce_ratio: float = Field(0.01, gt=0, lt=1)
    good_ratio: float = Field(0.99, gt=0, lt=1)


class SiteEntry(Model):
    name: Name
    region: Name
    operator: Name
    latitude_deg: float | None = Field(None, ge=-90, le=90)
    longitude_deg: float | None = Field(None, ge=-180, le=180)
    team: Name = DEFAULT_TEAM


class NetworkEntry(Model):
    name: Name
    kind: Literal["backbone", "private", "exchange"]
    promised_bps: int = Field(0, ge=0)
    mesh: Literal["full", "listed", "thinned"] = "full"
    """Which pairs of nodes are links: all, those listed, or those of `linkgauge.mesh` and those listed."""
    representatives: int = Field(2, ge=2, le=8)
    """Nodes that stand for a site in each pair of sites, where the mesh is thinned."""
    gateways: list[Name] = Field(default_factory=list)
    """Nodes by which their site reaches others on this network."""
    team: Name | None = None


class NodeEntry(Model):
    name: Name
    site: Name
    addresses: dict[Name, Address] = Field(min_length=1)
    compute_id: str | None = None
    reflector: Literal["stateful", "stateless", "twamp-light"] = "stateful"


class LinkEntry(Model):
    link: str
    tier: Name | None = None
    promised_bps: int | None = Field(None, ge=0)


class ScopeEntry(Model):
    """What is meant; a list that is left out means all, and what several name must be in each."""

    sites: list[Name] = Field(default_factory=list)
    nodes: list[Name] = Field(default_factory=list)
    networks: list[Name] = Field(default_factory=list)
    links: list[str] = Field(default_factory=list)


class MaintenanceEntry(ScopeEntry):
    from_: Time = Field(alias="from")
    until: Time
    reason: Reason


class SilenceEntry(ScopeEntry):
    until: Time
    reason: Reason
    rules: list[Name] = Field(default_factory=list)


class InventoryFile(Model):
    version: Literal[1]
    window_s: int = Field(10, ge=1, le=300)
    period_s: int = Field(900, ge=1, le=LONGEST_PERIOD_S)
    tiers: dict[Name, TierEntry] = Field(default_factory=dict)
    sites: list[SiteEntry] = Field(min_length=1)
    networks: list[NetworkEntry] = Field(min_length=1)
    nodes: list[NodeEntry] = Field(min_length=1)
    links: list[LinkEntry] = Field(default_factory=list)
    probing: Probing = Probing()
    maintenance: list[MaintenanceEntry] = Field(default_factory=list)
    """Announced work."""
    silences: list[SilenceEntry] = Field(default_factory=list)
    """Alerts that are told to nobody for a while."""
