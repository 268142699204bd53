"""The inventory: one YAML file that names sites, nodes, networks, tiers and how links are probed.

The form of the file is linkgauge.inventory_file; `load` turns it into the frozen values of `linkgauge.model`
and reports every fault at once, each with the path of its key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linkgauge import mesh
from linkgauge.compute_id import ComputeId
from linkgauge.errors import ConfigError
from linkgauge.inventory_faults import faults_of
from linkgauge.inventory_file import InventoryFile, LinkEntry, NetworkEntry, NodeEntry, ScopeEntry
from linkgauge.link_tags import LinkTags
from linkgauge.maintenance import Maintenance, Scope, Silence
from linkgauge.model import DEFAULT_TIERS, Link, LinkSpec, Network, NetworkKind, Node, Site, Tier
from linkgauge.probing import Probing
from linkgauge.yaml_file import Partly, read_partly


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
    maintenance: tuple[Maintenance, ...] = ()
    silences: tuple[Silence, ...] = ()

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
    return _built(partly(path).whole())


def partly(path: Path) -> Partly[InventoryFile]:
    """As far as the file can be read, and every fault found; raises ConfigError where it is no YAML."""
    return read_partly(path, InventoryFile, faults_of)


def build(file: InventoryFile, name: str) -> Inventory:
    """Check what the file says across its parts; raises ConfigError whose sentences start with `name`."""
    faults = list(faults_of(file))
    if faults:
        raise ConfigError(*(f"{name}: {fault}" for fault in faults))
    return _built(file)


def _built(file: InventoryFile) -> Inventory:
    tiers = {key: Tier(key, **entry.model_dump()) for key, entry in file.tiers.items()}
    return Inventory(
        window_s=file.window_s,
        period_s=file.period_s,
        tiers={**DEFAULT_TIERS, **tiers},
        sites={s.name: Site(**s.model_dump()) for s in file.sites},
        networks={n.name: _network(n) for n in file.networks},
        nodes={n.name: _node(n) for n in file.nodes},
        probing=file.probing,
        listed={Link.parse(entry.link): entry for entry in file.links},
        meshes={n.name: n for n in file.networks},
        maintenance=tuple(
            Maintenance(_scope(each), _ns(each.from_), _ns(each.until), each.reason)
            for each in file.maintenance
        ),
        silences=tuple(
            Silence(_scope(each), frozenset(each.rules), _ns(each.until), each.reason)
            for each in file.silences
        ),
    )


def _network(entry: NetworkEntry) -> Network:
    kind = NetworkKind(entry.kind)
    return Network(entry.name, kind, entry.promised_bps, tuple(entry.gateways), entry.team or "")


def _node(entry: NodeEntry) -> Node:
    addresses = {network: str(address) for network, address in entry.addresses.items()}
    identifier = ComputeId.parse(entry.compute_id) if entry.compute_id else None
    return Node(entry.name, entry.site, addresses, identifier, entry.reflector)


def _scope(entry: ScopeEntry) -> Scope:
    names = (entry.sites, entry.nodes, entry.networks, entry.links)
    return Scope(*(frozenset(each) for each in names))


def _ns(moment: datetime) -> int:
    """Unix ns."""
    return round(moment.timestamp() * 1_000_000) * 1000
