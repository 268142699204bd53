"""alertmanager.yml for Prometheus Alertmanager 0.22 and later: routes, groups, and who holds back whom. Pure.

It takes alerts of the collector (`receivers:` of kind alertmanager) and of Grafana's rules; both carry the
same labels. Who is told is not filled in: each receiver is empty until somebody does.

Alertmanager joins two alerts by labels of the same name and value. So an alert of a link is held back by
another of the same link by itself; that a node that is down holds back the links to and from it takes a rule
for each node, which stand there when the file is rendered with an inventory. A node or place holds back
alerts of the team that is told of it, no others: the collector, which tells all teams, has gone before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.grafana.plain_yaml import plain_yaml
from alerts.grafana.policies import Contacts, of_team, receiver
from alerts.rule import Rule
from linkgauge.inventory import Inventory

Json = dict[str, Any]

RESOLVE_MINUTES = 15
"""Grafana's alerts name no end, and come again every five minutes (alerts.grafana.policies); the collector's
name one."""
DRILL = "linkgauge-drill"
_REAL = 'drill!="true"'
_HEAD = """\
# Who is told of linkgauge's alerts. Until a receiver is filled in, its alerts are shown at port 9093 and go
# nowhere: put webhook_configs, email_configs or others below the receiver's name, secrets in files
# (url_file, password_file). Look whether the file is good: amtool check-config alertmanager.yml
"""
_TIMES = {
    "page": {"group_wait": "10s", "group_interval": "1m", "repeat_interval": "4h"},
    "ticket": {"group_wait": "30s", "group_interval": "5m", "repeat_interval": "24h"},
}
_SAME = ("link", "node", "collector", "sink", "place", "network")
"""What makes two alerts be about the same thing; a label that neither has is equal as well."""
_DARK, _LOSSY = "link-unreachable", "link-loss|loss-bursts|flow-loss"
_GRADES = (
    ('trouble="dark"', ()),
    ('trouble="lossy"', (f'rule!="{_DARK}"',)),
    ('trouble!~"dark|lossy"', (f'rule!~"{_DARK}|{_LOSSY}"',)),
)
"""A place holds back what is no graver than its trouble (alerts.causes.inhibition); Grafana knows no such."""
_ALTERED = (("common-mtu", "mtu-shrunk"), ("common-remark", "dscp-remarked"))
"""A place that alters packets holds back the tickets of just that (alerts.causes.altered_places)."""


@dataclass(frozen=True, slots=True)
class Places:
    """Nodes and sites that alerts of links and nodes may be explained by."""

    nodes: Sequence[str] = ()
    sites: Sequence[str] = ()


def places_of(inventory: Inventory) -> Places:
    """Those of an inventory."""
    return Places(tuple(inventory.nodes), tuple(inventory.sites))


def alertmanager_file(rules: Sequence[Rule], teams: Sequence[str] = (), places: Places | None = None) -> str:
    """The file's text. teams: those that are told apart, when there are several."""
    contacts = Contacts({}, teams=teams)
    names = [receiver(*audience) for audience in contacts.audiences]
    file: Json = {
        "global": {"resolve_timeout": f"{RESOLVE_MINUTES}m"},
        "route": {
            "receiver": receiver("ticket", contacts.home),
            "group_by": ["rule"],
            **_TIMES["ticket"],
            "routes": [
                {"receiver": DRILL, "matchers": ['drill="true"'], "group_by": ["..."], "group_wait": "0s"},
                *_routes(contacts),
            ],
        },
        "inhibit_rules": [*_explained(rules), *_placed(places or Places())],
        "receivers": [{"name": name} for name in (*names, DRILL)],
    }
    return _HEAD + plain_yaml(file)


def _routes(contacts: Contacts) -> Iterator[Json]:
    """A route for each severity, team and kind of thing; see alerts.grafana.policies. A place of several
    teams goes to each of them; a page of teams that are all unknown to the home team."""
    for severity, team in contacts.audiences:
        grave, name = f'severity="{severity}"', receiver(severity, team)
        own = of_team(team, contacts.teams, contacts.home)
        of = [f'{own[0]}{own[1]}"{own[2]}"'] if own else []
        links: Json = {"matchers": [grave, *of, 'link=~".+"'], "group_by": ["network", "dst_site"]}
        alone = ['teams=""'] if team else []
        rest: Json = {"matchers": [grave, *of, *alone], "group_by": ["site", "collector"]}
        among: Json = {
            "continue": True,
            "matchers": [grave, f'teams=~"(.*,)?{team}(,.*)?"'],
            "group_by": rest["group_by"],
        }
        yield from (
            {"receiver": name, **each, **_TIMES[severity]}
            for each in (links, *([among] if team else []), rest)
        )
    if contacts.home:
        known = f'teams!~"(.*,)?({"|".join(contacts.teams)})(,.*)?"'
        name = receiver("page", contacts.home)
        yield {"receiver": name, "matchers": ['severity="page"', known], **_TIMES["page"]}


def _explained(rules: Sequence[Rule]) -> Iterator[Json]:
    """`explained_by` of the rules: of the same thing. A place is a node by its name alone: _placed."""
    for rule in rules:
        if rule.explained_by and rule.table != "place":
            source = [f'rule=~"{"|".join(rule.explained_by)}"', _REAL]
            yield _inhibition(source, [f'rule="{rule.name}"', _REAL], *_SAME)


def _placed(places: Places) -> Iterator[Json]:
    """What a node that is down and a common cause explain: links by their ends, on that network."""
    for node in places.nodes:
        down = ['rule="node-down"', f'node="{node}"', _REAL]
        for end in ("src", "dst"):
            links = ['link=~".+"', f'{end}="{node}"', _REAL]
            yield _inhibition(down, links, "team")
            for trouble, milder in _GRADES:
                source = [*_common("node", node, end), trouble]
                yield _inhibition(source, [*links, *milder], "network", "team")
            yield from _altered("node", node, end, links)
        yield _inhibition(down, ['rule="common-cause"', 'kind="node"', f'place="{node}"', _REAL], "team")
    for site in places.sites:
        for end in ("src", "dst"):
            links = ['link=~".+"', f'{end}_site="{site}"', _REAL]
            for trouble, milder in _GRADES:
                source = [*_common("site", site, end), trouble]
                yield _inhibition(source, [*links, *milder], "network", "team")
            yield from _altered("site", site, end, links)


def _altered(kind: str, place: str, end: str, links: Sequence[str]) -> Iterator[Json]:
    for rule, of_link in _ALTERED:
        source = _common(kind, place, end, rule)
        yield _inhibition(source, [*links, f'rule="{of_link}"'], "network", "team")


def _common(kind: str, place: str, end: str, rule: str = "common-cause") -> list[str]:
    """Packets into a place come by links that end there, packets out of it by links that begin there."""
    way = "in|both" if end == "dst" else "out|both"
    return [f'rule="{rule}"', f'kind="{kind}"', f'place="{place}"', f'direction=~"{way}"', _REAL]


def _inhibition(source: Sequence[str], target: Sequence[str], *equal: str) -> Json:
    return {"source_matchers": list(source), "target_matchers": list(target), "equal": list(equal)}
