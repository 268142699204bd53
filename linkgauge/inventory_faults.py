"""What an inventory says wrong across its parts: one sentence for each fault, with the path of its key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from linkgauge import mesh
from linkgauge.compute_id import ComputeId
from linkgauge.errors import ConfigError
from linkgauge.inventory_file import InventoryFile, NetworkEntry, NodeEntry, ScopeEntry
from linkgauge.model import DEFAULT_TIERS, Link

MOST_LINKS = 1_000_000
"""Of all networks together: about what one collector can plan for and one store can hold."""


def faults_of(file: InventoryFile) -> Iterator[str]:
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
    yield from _twice("links", (entry.link for entry in file.links), "link", "link")
    yield from _node_faults(file)
    yield from _gateway_faults(file)
    yield from _address_faults(file.nodes)
    yield from _link_faults(file)
    yield from _scope_faults(file)
    yield from _size_faults(file)


def _twice(where: str, names: Iterable[str], noun: str, key: str = "name") -> Iterator[str]:
    first: dict[str, int] = {}
    for at, name in enumerate(names):
        if name in first:
            mend = "remove or rename one"
            yield f"{where}[{at}].{key}: {noun} {name} is already at {where}[{first[name]}]; {mend}"
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


def _gateway_faults(file: InventoryFile) -> Iterator[str]:
    on = {node.name: node.addresses for node in file.nodes}
    for at, network in enumerate(file.networks):
        for number, name in enumerate(network.gateways):
            if network.name not in on.get(name, ()):
                where = f"networks[{at}].gateways[{number}]"
                yield f"{where}: {name} is no node on network {network.name}; name one of its nodes"


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


def _scope_faults(file: InventoryFile) -> Iterator[str]:
    """What maintenance and silences say wrong."""
    for at, work in enumerate(file.maintenance):
        where = f"maintenance[{at}]"
        if work.until <= work.from_:
            yield f"{where}.until: {work.until.isoformat()} is not after `from`; correct one of the two"
        if not _names(work):
            yield f"{where}: it names nothing; add sites, nodes, networks or links that the work touches"
        yield from _unknown_names(where, work, file)
    for at, silence in enumerate(file.silences):
        where = f"silences[{at}]"
        if not (_names(silence) or silence.rules):
            yield f"{where}: it names nothing; add rules, sites, nodes, networks or links to be silent about"
        yield from _unknown_names(where, silence, file)


def _names(scope: ScopeEntry) -> bool:
    return bool(scope.sites or scope.nodes or scope.networks or scope.links)


def _unknown_names(where: str, scope: ScopeEntry, file: InventoryFile) -> Iterator[str]:
    parts = (
        ("sites", "site", {site.name for site in file.sites}),
        ("nodes", "node", {node.name for node in file.nodes}),
        ("networks", "network", {network.name for network in file.networks}),
    )
    for key, noun, known in parts:
        for number, name in enumerate(getattr(scope, key)):
            if name not in known:
                yield f"{where}.{key}[{number}]: there is no {noun} {name}; correct the name or take it out"
    on = {node.name: node.addresses for node in file.nodes}
    for number, text in enumerate(scope.links):
        try:
            link = Link.parse(text)
        except ConfigError as err:
            yield f"{where}.links[{number}]: {err}"
            continue
        if not all(link.network in on.get(name, ()) for name in (link.src, link.dst)):
            yield f"{where}.links[{number}]: there can be no link {text}; correct it or take it out"


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


def _size_faults(file: InventoryFile) -> Iterator[str]:
    """Too many links, told at the network that has most of them."""
    sizes = [_size(network, file) for network in file.networks]
    if sum(sizes) <= MOST_LINKS:
        return
    at = sizes.index(max(sizes))
    network, total = file.networks[at], f"the file has {sum(sizes)} links, at most {MOST_LINKS} may be"
    if network.mesh == "full":
        nodes = sum(network.name in node.addresses for node in file.nodes)
        full = f"a full mesh of {nodes} nodes is {sizes[at]} links"
        yield f"networks[{at}].mesh: {full}, and {total}; use thinned"
    elif network.mesh == "thinned":
        yield f"networks[{at}].representatives: {network.representatives} are too many: {total}; take fewer"
    else:
        yield f"links: {total}; list fewer"


def _size(network: NetworkEntry, file: InventoryFile) -> int:
    """Links of a network, those listed beside a thinned mesh left aside."""
    per_site = Counter(node.site for node in file.nodes if network.name in node.addresses)
    if network.mesh == "full":
        return mesh.size_of_full(per_site.total())
    if network.mesh == "thinned":
        return mesh.size_of_thinned(list(per_site.values()), network.representatives)
    return sum(entry.link.endswith(f"@{network.name}") for entry in file.links)
