"""The inventory: one YAML file that names sites, nodes, networks, tiers and how links are probed.

The file is read by pydantic models that refuse unknown keys; `load` turns it into the frozen values of
`linkgauge.model` and reports every fault at once, each with the path of its key.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from linkgauge import mesh
from linkgauge.compute_id import ComputeId
from linkgauge.errors import ConfigError
from linkgauge.inventory_faults import faults_of
from linkgauge.link_tags import LinkTags
from linkgauge.model import DEFAULT_TIERS, Link, LinkSpec, Network, NetworkKind, Node, Site, Tier
from linkgauge.probing import Model, Probing
from linkgauge.yaml_file import read_yaml

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


Address = Annotated[ipaddress.IPv4Address | ipaddress.IPv6Address, BeforeValidator(_address)]


class TierEntry(Model):
    delay_us: int = Field(gt=0)
    delay_quantile: float = Field(0.5, gt=0, lt=1)
    loss_ratio: float = Field(0.001, gt=0, lt=1)


class SiteEntry(Model):
    name: Name
    region: Name
    operator: Name
    latitude_deg: float | None = Field(None, ge=-90, le=90)
    longitude_deg: float | None = Field(None, ge=-180, le=180)


class NetworkEntry(Model):
    name: Name
    kind: Literal["backbone", "private", "exchange"]
    promised_bps: int = Field(0, ge=0)
    mesh: Literal["full", "listed", "thinned"] = "full"
    """Which pairs of nodes are links: all, those listed, or those of `linkgauge.mesh` and those listed."""
    representatives: int = Field(2, ge=2, le=8)
    """Nodes that stand for a site in each pair of sites, where the mesh is thinned."""


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


class InventoryFile(Model):
    version: Literal[1]
    window_s: int = Field(10, ge=1, le=300)
    period_s: int = Field(900, ge=1, le=86400 * 31)
    tiers: dict[Name, TierEntry] = Field(default_factory=dict)
    sites: list[SiteEntry] = Field(min_length=1)
    networks: list[NetworkEntry] = Field(min_length=1)
    nodes: list[NodeEntry] = Field(min_length=1)
    links: list[LinkEntry] = Field(default_factory=list)
    probing: Probing = Probing()


@dataclass(frozen=True)
class Inventory:
    """The checked inventory. Mappings are by name, in file order.

    window_s: length of a window; period_s: how long back a verdict looks. meshes: networks as in the file.
    """

    window_s: int
    period_s: int
    tiers: Mapping[str, Tier]
    sites: Mapping[str, Site]
    networks: Mapping[str, Network]
    nodes: Mapping[str, Node]
    probing: Probing
    listed: Mapping[Link, LinkEntry]
    meshes: Mapping[str, NetworkEntry]

    @cached_property
    def links(self) -> Mapping[Link, LinkSpec]:
        """Every link that is expected to be measured, ordered by network, src, dst as in the file."""
        return {
            link: self._spec(link, mirrored)
            for network in self.networks
            for link, mirrored in self._expected(network)
        }

    @property
    def judged_class(self) -> str:
        """The class of STAMP that links are judged in, as the tables have it: the first of
        probing.stamp.classes."""
        return str(self.probing.stamp.classes[0])

    def members(self, network: str) -> list[Node]:
        """The nodes on a network, in file order."""
        return [node for node in self.nodes.values() if network in node.addresses]

    def _expected(self, network: str) -> Iterator[tuple[Link, bool]]:
        """Links of a network, and whether the reverse is one as well."""
        listed = [link for link in self.listed if link.network == network]
        if self.meshes[network].mesh == "listed":
            there = set(listed)
            yield from ((link, link.reverse in there) for link in listed)
            return
        names = [node.name for node in self.members(network)]
        number = {name: at for at, name in enumerate(names)}
        pairs = self._pairs(network, number)
        of_mesh = pairs[:, 0] * len(names) + pairs[:, 1]
        asked = np.array([number[link.src] * len(names) + number[link.dst] for link in listed], np.int64)
        wanted = np.unique(np.concatenate([of_mesh, asked]))
        src, dst = np.divmod(wanted, len(names)) if len(names) else (wanted, wanted)
        mirrored = np.isin(dst * len(names) + src, wanted)
        for one, other, both in zip(src.tolist(), dst.tolist(), mirrored.tolist(), strict=True):
            yield Link(names[one], names[other], network), both

    def _pairs(self, network: str, number: Mapping[str, int]) -> NDArray[np.int64]:
        """Ordered pairs of the mesh by the members' numbers."""
        if self.meshes[network].mesh == "full":
            return mesh.full(range(len(number)))
        sites: dict[str, dict[str, int]] = {}
        for name, at in number.items():
            sites.setdefault(self.nodes[name].site, {})[name] = at
        return mesh.thinned(network, sites, self.meshes[network].representatives)

    def _spec(self, link: Link, mirrored: bool) -> LinkSpec:
        entry = self.listed.get(link)
        src, dst = (self.sites[self.nodes[name].site] for name in (link.src, link.dst))
        tier = self.tiers[entry.tier if entry and entry.tier else default_tier(src, dst)]
        promised_bps = self.networks[link.network].promised_bps
        if entry and entry.promised_bps is not None:
            promised_bps = entry.promised_bps
        return LinkSpec(link, tier, promised_bps, mirrored, LinkTags(link, src, dst, tier))


def default_tier(src: Site, dst: Site) -> str:
    """metro inside a site, region inside a region, hub between regions."""
    if src.name == dst.name:
        return "metro"
    return "region" if src.region == dst.region else "hub"


def load(path: Path) -> Inventory:
    """Read and check an inventory file; raises ConfigError with every fault found."""
    return build(read_yaml(path, InventoryFile), str(path))


def build(file: InventoryFile, name: str) -> Inventory:
    """Check what the file says across its parts; raises ConfigError whose sentences start with `name`."""
    faults = list(faults_of(file))
    if faults:
        raise ConfigError(*(f"{name}: {fault}" for fault in faults))
    tiers = {key: Tier(key, t.delay_us, t.delay_quantile, t.loss_ratio) for key, t in file.tiers.items()}
    return Inventory(
        window_s=file.window_s,
        period_s=file.period_s,
        tiers={**DEFAULT_TIERS, **tiers},
        sites={s.name: Site(**s.model_dump()) for s in file.sites},
        networks={n.name: Network(n.name, NetworkKind(n.kind), n.promised_bps) for n in file.networks},
        nodes={n.name: _node(n) for n in file.nodes},
        probing=file.probing,
        listed={Link.parse(entry.link): entry for entry in file.links},
        meshes={n.name: n for n in file.networks},
    )


def _node(entry: NodeEntry) -> Node:
    addresses = {network: str(address) for network, address in entry.addresses.items()}
    identifier = ComputeId.parse(entry.compute_id) if entry.compute_id else None
    return Node(entry.name, entry.site, addresses, identifier, entry.reflector)
