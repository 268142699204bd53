"""What Grafana's alerts can be about, by an inventory: the labels of each thing. Pure.

A place beside a node or site (hop, gateway, trunk, network) has no name in the inventory; its network and
site, which may be unknown, tell whether work touches it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alerts.grafana.teams import Teams
from linkgauge.inventory import Inventory

Matcher = list[str]
"""Label, operator, value."""
Labels = Mapping[str, str]
LINKS, AMONG, REST = "links", "among", "rest"
"""Which alerts a policy takes: of links; of a trunk, for the teams of both its ends; of all else."""


@dataclass(frozen=True, slots=True)
class Things:
    """Things of one sort. tables: of the rules that tell of them. matchers: what every alert of the sort
    matches and no other. keys: labels that tell one thing from another, the finest first. labels: of each
    thing. teams: who is called for each; empty: whoever. name: a label that names a thing, if there is one.
    """

    tables: frozenset[str]
    matchers: tuple[Matcher, ...]
    keys: tuple[str, ...]
    labels: Sequence[Labels]
    teams: Sequence[str]
    name: str = ""


def things_of(inventory: Inventory, teams: Teams) -> dict[str, tuple[Things, ...]]:
    """All sorts by the policy that takes them; the last of a policy takes what is of no other sort."""
    nodes = [{"node": each.name, "site": each.site} for each in inventory.nodes.values()]
    node = Things(
        frozenset({"node"}), (["node", "=~", ".+"],), ("node", "site"), nodes,
        [teams.of("", each["site"]) for each in nodes],
    )  # fmt: skip
    whole = Things(frozenset({"sink", "collector"}), (), (), [{}], [""])
    trunks = _places(inventory, teams, "", [""])
    return {
        LINKS: (_links(inventory, teams),),
        AMONG: (trunks,),
        REST: (
            node,
            _places(inventory, teams, "node", list(inventory.nodes)),
            _places(inventory, teams, "site", list(inventory.sites)),
            _places(inventory, teams, "", [*inventory.sites, ""]),
            whole,
        ),
    }


def _links(inventory: Inventory, teams: Teams) -> Things:
    keys = ("src", "dst", "network", "src_site", "dst_site")
    labels = [spec.tags for spec in inventory.links.values()]
    called = [teams.of(each["network"], each["src_site"]) for each in labels]
    return Things(frozenset({"state"}), (), keys, labels, called, "link")


def _places(inventory: Inventory, teams: Teams, kind: str, names: Sequence[str]) -> Things:
    """Nodes, sites or (kind empty) what else is a place, told by its site, on each network."""
    rows: list[Labels] = []
    for network in inventory.networks:
        for name in names:
            site = inventory.nodes[name].site if kind == "node" else name
            place = {"kind": kind, "place": name} if kind else {}
            rows.append({"network": network, "site": site, **place})
    matchers: tuple[Matcher, ...] = (
        (["kind", "=", kind],) if kind else (["kind", "!~", "node|site"], ["place", "=~", ".+"])
    )
    keys = ("place", "site", "network") if kind else ("site", "network")
    called = [teams.of(each["network"], each["site"]) for each in rows]
    return Things(frozenset({"place"}), matchers, keys, rows, called)
