"""The inventory: one YAML file that names sites, nodes, networks, tiers and how links are probed.

The file is read by pydantic models that refuse unknown keys; `load` turns it into the frozen values of
`linkgauge.model` and reports every fault at once, each with the path of its key.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from linkgauge.compute_id import ComputeId
from linkgauge.errors import ConfigError
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
    mesh: Literal["full", "listed"] = "full"


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

    window_s: length of a window; period_s: how long back a verdict looks.
    """

    window_s: int
    period_s: int
    tiers: Mapping[str, Tier]
    sites: Mapping[str, Site]
    networks: Mapping[str, Network]
    nodes: Mapping[str, Node]
    probing: Probing
    listed: Mapping[Link, LinkEntry]
    full_mesh: frozenset[str]

    @cached_property
    def links(self) -> Mapping[Link, LinkSpec]:
        """Every link that is expected to be measured, ordered by network, src, dst as in the file."""
        links = list(self._expected())
        expected = set(links)
        return {link: self._spec(link, link.reverse in expected) for link in links}

    @property
    def judged_class(self) -> str:
        """The class of STAMP that links are judged in, as the tables have it: the first of
        probing.stamp.classes."""
        return str(self.probing.stamp.classes[0])

    def members(self, network: str) -> list[Node]:
        """The nodes on a network, in file order."""
        return [node for node in self.nodes.values() if network in node.addresses]

    def _expected(self) -> Iterator[Link]:
        for network in self.networks:
            if network in self.full_mesh:
                names = [node.name for node in self.members(network)]
                yield from (Link(src, dst, network) for src, dst in permutations(names, 2))
            else:
                yield from (link for link in self.listed if link.network == network)

    def _spec(self, link: Link, mirrored: bool) -> LinkSpec:
        entry = self.listed.get(link)
        src, dst = (self.sites[self.nodes[name].site] for name in (link.src, link.dst))
        tier = self.tiers[entry.tier if entry and entry.tier else default_tier(src, dst)]
        promised_bps = self.networks[link.network].promised_bps
        if entry and entry.promised_bps is not None:
            promised_bps = entry.promised_bps
        tags = {
            "link": str(link),
            "src": link.src,
            "dst": link.dst,
            "src_site": src.name,
            "dst_site": dst.name,
            "src_region": src.region,
            "dst_region": dst.region,
            "network": link.network,
            "tier": tier.name,
        }
        return LinkSpec(link, tier, promised_bps, mirrored, tags)


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
    faults = list(_faults(file))
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
        full_mesh=frozenset(n.name for n in file.networks if n.mesh == "full"),
    )


def _node(entry: NodeEntry) -> Node:
    addresses = {network: str(address) for network, address in entry.addresses.items()}
    identifier = ComputeId.parse(entry.compute_id) if entry.compute_id else None
    return Node(entry.name, entry.site, addresses, identifier, entry.reflector)


def _faults(file: InventoryFile) -> Iterator[str]:
    classes = file.probing.stamp.classes
    if len(set(classes)) < len(classes):
        yield "probing.stamp.classes: a class stands twice; remove one"
    for at, node in enumerate(file.nodes if file.probing.stamp.authenticated else ()):
        if node.reflector == "twamp-light":
            mend = "set probing.stamp.authenticated to false"
            yield f"nodes[{at}].reflector: TWAMP-Light cannot be authenticated; {mend}"
    if file.period_s < file.window_s:
        yield f"period_s: {file.period_s} is shorter than one window of {file.window_s}; make it longer"
    yield from _twice("sites", (s.name for s in file.sites), "site")
    yield from _twice("networks", (n.name for n in file.networks), "network")
    yield from _twice("nodes", (n.name for n in file.nodes), "node")
    yield from _twice("links", (entry.link for entry in file.links), "link")
    yield from _node_faults(file)
    yield from _address_faults(file.nodes)
    yield from _link_faults(file)


def _twice(where: str, names: Iterable[str], noun: str) -> Iterator[str]:
    first: dict[str, int] = {}
    for at, name in enumerate(names):
        if name in first:
            yield f"{where}[{at}]: {noun} {name} is already at {where}[{first[name]}]; remove or rename one"
        first.setdefault(name, at)


def _node_faults(file: InventoryFile) -> Iterator[str]:
    sites, networks = {s.name for s in file.sites}, {n.name for n in file.networks}
    for at, node in enumerate(file.nodes):
        if node.site not in sites:
            yield f"nodes[{at}].site: {node.site} is not among sites; add it there or correct the name"
        for network in node.addresses:
            if network not in networks:
                yield f"nodes[{at}].addresses.{network}: there is no such network; add it to networks"
        if node.compute_id is not None:
            try:
                ComputeId.parse(node.compute_id)
            except ConfigError as err:
                yield f"nodes[{at}].compute_id: {err}"


def _address_faults(nodes: Iterable[NodeEntry]) -> Iterator[str]:
    owner: dict[str, str] = {}
    for at, node in enumerate(nodes):
        for network, address in node.addresses.items():
            where = f"nodes[{at}].addresses.{network}"
            if address.is_unspecified or address.is_multicast:
                yield f"{where}: {address} is no host's address; give the address that the node has there"
            if str(address) in owner:
                yield f"{where}: {address} is already {owner[str(address)]}; each address may stand once"
            owner.setdefault(str(address), f"that of node {node.name} on {network}")


def _link_faults(file: InventoryFile) -> Iterator[str]:
    networks = {n.name for n in file.networks}
    on: dict[str, set[str]] = {}
    for node in file.nodes:  # a name that stands twice is told once, elsewhere
        on.setdefault(node.name, set()).update(node.addresses)
    tiers = {**DEFAULT_TIERS, **file.tiers}
    for at, entry in enumerate(file.links):
        where = f"links[{at}]"
        try:
            link = Link.parse(entry.link)
        except ConfigError as err:
            yield f"{where}.link: {err}"
            continue
        if link.network not in networks:
            yield f"{where}.link: there is no network {link.network}; add it to networks"
        for name in (link.src, link.dst):
            if name not in on:
                yield f"{where}.link: there is no node {name}; add it to nodes"
            elif link.network in networks and link.network not in on[name]:
                yield f"{where}.link: node {name} is not on network {link.network}; give it an address there"
        if entry.tier is not None and entry.tier not in tiers:
            yield f"{where}.tier: there is no tier {entry.tier}; it may be one of {', '.join(tiers)}"
