"""Which team is called for what, by network and site; also as a label that Grafana makes of tags. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from linkgauge.inventory import Inventory
from linkgauge.model import DEFAULT_TEAM


@dataclass(frozen=True, slots=True)
class Teams:
    """by_network: networks that have a team of their own; it comes before that of the first site."""

    by_network: Mapping[str, str] = field(default_factory=dict)
    by_site: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Every team there is, in order; never empty."""
        return tuple(sorted({*self.by_network.values(), *self.by_site.values(), DEFAULT_TEAM}))

    def of(self, network: str, site: str) -> str:
        """Who is called for something on that network at that site; empty: neither of them says."""
        return self.by_network.get(network) or self.by_site.get(site, "")

    def label(self, table: str) -> str:
        """The label `team` of a rule of that table: a template of Grafana, or a name where that does."""
        chosen = [
            *_choices("network", self.by_network if table in ("state", "place") else {}),
            *_choices("src_site" if table == "state" else "site", self.by_site if table in _SITED else {}),
            *(self._trunks("^({})[<>]") if table == "place" else ()),
        ]
        if not chosen:
            return DEFAULT_TEAM
        return "{{ if " + "{{ else if ".join(chosen) + "{{ else }}" + DEFAULT_TEAM + "{{ end }}"

    def of_trunk(self) -> str:
        """The label `teams` of the rule of places, ",a,b": the teams of both ends of a trunk, whose name has
        both sites; empty for every other place, and where there is one team only."""
        ends = "".join("{{ if " + each + "{{ end }}" for each in self._trunks("(^|>)({})($|[<>])", ","))
        if len(self.names) == 1 or not ends:
            return ""
        owned = " ".join(f'"{name}"' for name in self.by_network)
        of_network = f'eq (index $labels "network") {owned}' if owned else ""
        return f"{{{{ if {of_network} }}}}{{{{ else }}}}{ends}{{{{ end }}}}" if owned else ends

    def _trunks(self, pattern: str, before: str = "") -> list[str]:
        """Conditions that a trunk's name says so of a site, each with the team that it gives."""
        sites: dict[str, list[str]] = {}
        for site, team in sorted(self.by_site.items()):
            sites.setdefault(team, []).append(site)
        trunk = 'and (eq (index $labels "kind") "trunk") (match "'
        return [
            f'{trunk}{pattern.format("|".join(names))}" (index $labels "place")) }}}}{before}{team}'
            for team, names in sorted(sites.items())
            if before or team != DEFAULT_TEAM
        ]


_SITED = ("state", "place", "node")


def teams_of(inventory: Inventory) -> Teams:
    """The teams that an inventory names."""
    return Teams(
        {name: network.team for name, network in inventory.networks.items() if network.team},
        {name: site.team for name, site in inventory.sites.items()},
    )


def _choices(label: str, teams: Mapping[str, str]) -> list[str]:
    """Conditions of Go's templates, each with the team that it gives; the default team needs none."""
    members: dict[str, list[str]] = {}
    for name, team in teams.items():
        if team != DEFAULT_TEAM or label == "network":
            members.setdefault(team, []).append(f'"{name}"')
    return [
        f'eq (index $labels "{label}") {" ".join(names)} }}}}{team}'
        for team, names in sorted(members.items())
    ]
