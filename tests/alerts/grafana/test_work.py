"""Announced work and silences in the policies: muted when the inventory says so, whatever overlaps."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.grafana.files import Alerting, alerting_of
from alerts.grafana.policies import Contacts
from alerts.grafana.rules import COLLECTOR_SILENT, Times
from alerts.rule import load_rules
from linkgauge.clock import NS_PER_S
from linkgauge.inventory import Inventory, build
from linkgauge.inventory_file import InventoryFile
from tests.alerts.grafana.tree import every, is_muted, routes

Json = dict[str, Any]
T0 = datetime(2026, 11, 23, tzinfo=UTC)
NOW_NS = int((T0 - timedelta(days=1)).timestamp()) * NS_PER_S
FOLDER = {"grafana_folder": "linkgauge alerts"}
SITES = {"jinan": "network", "guiyang": "west", "qingdao": "network", "lasa": "lab"}
NODES = [f"{site}-{number}" for site in SITES for number in (1, 2)]
NETWORKS = ("backbone", "private")
RULES = {"state": ("link-loss", "link-delay"), "node": ("node-down", "agent-unfit"),
         "place": ("common-cause", "common-mtu"), "collector": (COLLECTOR_SILENT,)}  # fmt: skip
NAMES = [name for names in RULES.values() for name in names]
SEVERITIES = {rule.name: rule.severity for rule in load_rules()} | {COLLECTOR_SILENT: "page"}


def inventory(maintenance: list[Json], silences: list[Json], teams: bool = True) -> Inventory:
    """Eight nodes in four sites of three teams; the private network has a team of its own."""
    private = {"name": "private", "kind": "private", **({"team": "core"} if teams else {})}
    file = InventoryFile.model_validate(
        {
            "version": 1,
            "sites": [
                {"name": site, "region": "r", "operator": "o", **({"team": team} if teams else {})}
                for site, team in SITES.items()
            ],
            "networks": [{"name": "backbone", "kind": "backbone"}, private],
            "nodes": [
                {"name": node, "site": node[:-2],
                 "addresses": {name: f"127.0.{at}.{number + 1}" for at, name in enumerate(NETWORKS)}}
                for number, node in enumerate(NODES)
            ],
            "maintenance": [{"reason": "fibre", **each} for each in maintenance],
            "silences": [{"reason": "known", **each} for each in silences],
        }
    )  # fmt: skip
    return build(file, "inventory")


def work(begin_h: float, hours: float, **scope: list[str]) -> Json:
    begin = T0 + timedelta(hours=begin_h)
    return {"from": begin.isoformat(), "until": (begin + timedelta(hours=hours)).isoformat(), **scope}


def alerting(made: Inventory, quiet: bool = False) -> Alerting:
    return alerting_of(load_rules(), Contacts({}, quiet=quiet), Times(), made, NOW_NS)


def alerts(made: Inventory, teams: Alerting) -> list[dict[str, str]]:
    """One of each rule of RULES on each link, node and place of the inventory, labelled as Grafana's."""
    things: list[tuple[str, Mapping[str, str]]] = [
        ("state", {**spec.tags, "site": spec.tags["src_site"]}) for spec in made.links.values()
    ]
    things += [("node", {"node": each.name, "site": each.site}) for each in made.nodes.values()]
    places = [("node", node, node[:-2]) for node in made.nodes] + [
        ("site", site, site) for site in made.sites
    ]
    places += [("gateway", NODES[0], NODES[0][:-2]), ("hop", "10.0.0.1", ""), ("trunk", "guiyang jinan", "")]
    things += [
        ("place", {"place": name, "kind": kind, "network": network, "site": site})
        for kind, name, site in places
        for network in NETWORKS
    ]
    things += [
        ("place", {"place": name, "kind": "network", "network": name, "site": ""}) for name in NETWORKS
    ]
    things.append(("collector", {"collector": "c-1"}))
    found = []
    for table, labels in things:
        team = teams.teams.of(labels.get("network", ""), labels.get("site", "")) or "network"
        both = {"teams": ",network,west"} if labels.get("kind") == "trunk" and team == "network" else {}
        for rule in RULES[table]:
            found.append(
                {**FOLDER, **labels, "rule": rule, "severity": SEVERITIES[rule], "team": team, **both}
            )
    return found


def moments(made: Inventory) -> list[datetime]:
    """In the midst between each begin or end and the next, and before and after all."""
    ends = {each.from_ns for each in made.maintenance} | {each.until_ns for each in made.maintenance}
    ends |= {each.until_ns for each in made.silences} | {NOW_NS}
    edges = sorted(datetime.fromtimestamp(each // NS_PER_S, UTC) for each in ends)
    between = [begin + (end - begin) / 2 for begin, end in pairwise(edges)]
    return [*between, edges[-1] + timedelta(hours=1)]


def held(made: Inventory, labels: Mapping[str, str], at: datetime) -> bool:
    """What the collector says: alerts.roll.silences."""
    at_ns = int(at.timestamp()) * NS_PER_S
    return any(each.runs(at_ns, at_ns + 1) and each.covers(labels) for each in made.maintenance) or any(
        each.runs(at_ns) and each.covers(labels) for each in made.silences
    )


def differs(made: Inventory) -> list[tuple[str, str, datetime]]:
    """Alerts and times at which a policy that takes the alert does not do as the inventory says."""
    whole = alerting(made)
    tree, timings = {"receiver": "root", "routes": [whole.route]}, whole.timings
    return [
        (one["rule"], one.get("link", one.get("node", one.get("place", ""))), at)
        for one in alerts(made, whole)
        for taken in [every(tree, one)]
        for at in moments(made)
        if any(is_muted(each, timings, at) != held(made, one, at) for each in taken)
    ]


def test_five_nights_on_two_nodes_in_turns_are_all_muted() -> None:
    nights = [
        work(24 * night + 22, 4, nodes=["jinan-1" if night % 2 else "guiyang-1"], networks=["private"])
        for night in range(5)
    ]
    assert differs(inventory(nights, [])) == []


@pytest.mark.parametrize("teams", [False, True])
def test_what_many_entries_touch_is_muted_in_each_of_them(teams: bool) -> None:
    maintenance = [
        work(0, 2, sites=["jinan"]),
        work(1, 2, nodes=["jinan-1", "lasa-2"]),
        work(4, 1, networks=["private"]),
        work(6, 1, links=["jinan-1>lasa-2@backbone", "jinan-1>guiyang-1@private"]),
        work(8, 1, nodes=["jinan-1"], networks=["backbone"]),
        work(10, 1, sites=["guiyang"], nodes=["jinan-1"]),
        work(12, 1, networks=["backbone", "private"]),
        work(14, 1, nodes=["qingdao-1"]),
        work(16, 1, sites=["jinan"]),
        work(18, 1, links=["jinan-1>lasa-2@backbone"]),
    ]
    silences = [
        {"until": (T0 + timedelta(hours=20)).isoformat(), "rules": ["link-delay"], "nodes": ["lasa-2"]},
        {
            "until": (T0 + timedelta(hours=21)).isoformat(),
            "rules": ["link-delay", "common-cause", COLLECTOR_SILENT],
        },
        {"until": (T0 + timedelta(hours=22)).isoformat(), "rules": ["node-down"], "sites": ["jinan"]},
        {"until": (T0 + timedelta(hours=23)).isoformat(), "sites": ["lasa"], "networks": ["private"]},
    ]
    assert differs(inventory(maintenance, silences, teams)) == []


SCOPES = st.fixed_dictionaries(
    {},
    optional={
        "nodes": st.lists(st.sampled_from(NODES), min_size=1, max_size=3, unique=True),
        "sites": st.lists(st.sampled_from(list(SITES)), min_size=1, max_size=2, unique=True),
        "networks": st.lists(st.sampled_from(NETWORKS), min_size=1, max_size=1),
    },
)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5), SCOPES), max_size=8),
    st.lists(st.tuples(st.integers(1, 40), st.sets(st.sampled_from(NAMES), max_size=3), SCOPES),
             max_size=3),
)  # fmt: skip
def test_whatever_is_announced(works: list[Any], silences: list[Any]) -> None:
    made = inventory(
        [work(begin, length, **scope) for begin, length, scope in works if scope],
        [{"until": (T0 + timedelta(hours=until)).isoformat(), "rules": sorted(rules), **scope}
         for until, rules, scope in silences if rules or scope],
    )  # fmt: skip
    assert differs(made) == []


def test_two_hundred_entries_are_no_forest() -> None:
    draw = random.Random(7)
    entries = [work(24 * day, 6, nodes=draw.sample(NODES, draw.choice((1, 2, 3)))) for day in range(200)]
    made = inventory(entries, [])
    whole = alerting(made)
    assert len(whole.timings) <= len({tuple(sorted(each["nodes"])) for each in entries})
    things = len(made.links) + len(made.nodes) * (1 + len(NETWORKS)) + len(made.sites) * len(NETWORKS)
    assert sum(1 for _ in routes(whole.route)) <= 2 * things + 24


def test_usual_work_is_few_policies() -> None:
    plain = sum(1 for _ in routes(alerting(inventory([], [])).route))
    nightly = [work(24 * night, 4, sites=["jinan"], networks=["backbone"]) for night in range(30)]
    whole = alerting(inventory(nightly, []))
    assert len(whole.timings) == 1
    assert sum(1 for _ in routes(whole.route)) <= plain + 20


def test_a_grafana_that_tells_only_of_a_silent_collector_heeds_what_mutes_that() -> None:
    silence = {"until": (T0 + timedelta(hours=2)).isoformat(), "rules": [COLLECTOR_SILENT]}
    whole = alerting(inventory([work(5, 1, sites=["jinan"])], [silence]), quiet=True)
    of = {**FOLDER, "rule": COLLECTOR_SILENT, "severity": "page", "collector": "c", "team": "network"}
    (taken,) = every({"receiver": "root", "routes": [whole.route]}, of)
    assert is_muted(taken, whole.timings, T0)
    assert not is_muted(taken, whole.timings, T0 + timedelta(hours=5, minutes=30))
