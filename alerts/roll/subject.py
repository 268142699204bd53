"""Who and what an alert is about: the labels of a row of each table, and which things are there at all. Pure.

Every alert has the labels rule severity direction network site team about (network and site may be empty);
one of a link also link src dst src_site dst_site src_region dst_region tier, of a node node region operator,
of a sink collector sink, of a collector collector, of a place place kind. `drill: "true"`: a fault is played
on purpose. The site of a link is that of its first node; the team is the network's, else the site's.

Of a place of which it is known what it explains, `trouble` is the gravest sort of that (dark, lossy, slow,
small, remarked), and `teams` are all that are called for one of the links' ends, "a,b", where there are
several; the team of a place that is neither of one site nor of a network with a team is the one called for
most of these ends. Of what explains pages of further teams when it begins these are in `teams` as well
(alerts.roll.audience).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property

from alerts.causes.trouble import DARK, LOSSY, REMARKED, SLOW, SMALL
from alerts.evaluation.thing import things
from alerts.rule import NO_DIRECTION, Watch
from linkgauge.errors import ConfigError
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory
from linkgauge.model import DEFAULT_TEAM, Link, LinkSpec

_KEYS = ("node", "site", "region", "operator", "collector", "sink", "place", "kind", "network")
_SITES = "src_site", "dst_site"
_GRAVITY = REMARKED, SMALL, SLOW, LOSSY, DARK


class Subjects:
    """The links that are expected, and the inventory for nodes, sites and teams. specs: None: the
    inventory's own links; without an inventory only what rows and specs say is known."""

    def __init__(self, specs: Sequence[LinkSpec] | None = None, inventory: Inventory | None = None) -> None:
        self._specs, self._inventory = specs, inventory

    @cached_property
    def links(self) -> Mapping[Link, LinkSpec]:
        """Expected links; made when it is first asked for, as most windows need none."""
        if self._specs is None:
            return self._inventory.links if self._inventory else {}
        return {spec.link: spec for spec in self._specs}

    def has(self, table: str, thing: str) -> bool:
        """Whether the thing of that table is still there; what the inventory does not name always is."""
        if table == "state":
            return self._spec(thing) is not None
        if table == "node" and self._inventory is not None:
            return thing in self._inventory.nodes
        return True

    def labels(self, watch: Watch, frame: Frame, row: int) -> dict[str, str] | None:
        """Labels of an alert of this watch on a row of its table; None for a link that is not expected."""
        rule, thing = watch.rule, str(things(frame)[row])
        made = {"rule": rule.name, "severity": rule.severity, "direction": watch.direction or NO_DIRECTION}
        made |= {"network": "", "site": "", "team": "", "about": thing}
        if watch.table == "state":
            of_link = self.of_link(thing)
            if of_link is None:
                return None
            made |= of_link
        else:
            made |= {key: str(frame.text(key)[row]) for key in _KEYS if key in frame.table.keys}
        if watch.table == "place":
            made["direction"] = str(frame.text("direction")[row]) or NO_DIRECTION
        made["team"] = self.team(made["network"], made["site"])
        if "drill" in frame.columns and frame.count("drill")[row] == 1:
            made["drill"] = "true"
        return made

    def of_link(self, link: str) -> dict[str, str] | None:
        """Labels of a link; None for one that is not expected."""
        spec = self._spec(link)
        return None if spec is None else {**spec.tags, "site": spec.tags["src_site"]}

    def of_place(self, labels: Mapping[str, str], troubles: Mapping[str, str]) -> dict[str, str]:
        """More labels of a place that explains the troubles of links: alerts.causes.explanation."""
        if not troubles:
            return {}
        ends = [made for link in troubles if (made := self.of_link(link))]
        called = Counter(self.team(each["network"], each[site]) for each in ends for site in _SITES)
        known, team = self._inventory, labels["team"]
        network = known.networks.get(labels["network"]) if known else None
        owned = known is not None and (labels["site"] in known.sites or bool(network and network.team))
        if called and not owned:
            team = min(called, key=lambda each: (-called[each], each))
        teams = [team, *sorted(set(called) - {team})]
        made = {"team": team, "trouble": max(troubles.values(), key=_GRAVITY.index)}
        return {**made, "teams": ",".join(teams)} if len(teams) > 1 else made

    def team(self, network: str, site: str) -> str:
        """Who is called for something on that network (may be empty) at that site (may be empty)."""
        known = self._inventory
        if known is None:
            return DEFAULT_TEAM
        if network in known.networks and known.networks[network].team:
            return known.networks[network].team
        return known.sites[site].team if site in known.sites else DEFAULT_TEAM

    def _spec(self, link: str) -> LinkSpec | None:
        try:
            return self.links.get(Link.parse(link))
        except ConfigError:
            return None
