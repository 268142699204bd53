"""Labels of the rows of every table, and whose alert it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alerts.evaluation.thing import once, things
from alerts.roll.subject import Subjects
from alerts.rule import Watch, load_rules, watches
from linkgauge.inventory import Inventory, load
from linkgauge.schema import COLLECTOR, NODE, PLACE, SINK
from tests.alerts.world import spec, state, table_rows

TEXT = """
version: 1
sites:
  - {name: jinan, region: east, operator: unicom, team: shandong}
  - {name: guiyang, region: west, operator: telecom}
networks:
  - {name: backbone, kind: backbone}
  - {name: tenant, kind: private, team: tenants}
nodes:
  - {name: jinan-1, site: jinan, addresses: {backbone: 10.0.0.1, tenant: 10.1.0.1}}
  - {name: guiyang-1, site: guiyang, addresses: {backbone: 10.0.0.2, tenant: 10.1.0.2}}
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    path = tmp_path / "inventory.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return load(path)


def watch(rule: str, direction: str = "") -> Watch:
    (found,) = [
        each for each in watches(load_rules()) if (each.rule.name, each.direction) == (rule, direction)
    ]
    return found


def test_a_link(inventory: Inventory) -> None:
    frame = state([{}], links=[spec()])
    assert Subjects(None, inventory).labels(watch("link-loss", "backward"), frame, 0) == {
        "rule": "link-loss", "severity": "page", "direction": "backward", "network": "backbone",
        "site": "jinan", "team": "shandong", "about": "jinan-1>guiyang-1@backbone",
        "link": "jinan-1>guiyang-1@backbone", "src": "jinan-1", "dst": "guiyang-1", "src_site": "jinan",
        "dst_site": "guiyang", "src_region": "east", "dst_region": "west", "tier": "hub",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("link", "team"),
    [
        (("jinan-1", "guiyang-1", "backbone"), "shandong"),
        (("guiyang-1", "jinan-1", "backbone"), "network"),
        (("jinan-1", "guiyang-1", "tenant"), "tenants"),
    ],
)
def test_the_team_is_the_networks_else_that_of_the_first_site(
    inventory: Inventory, link: tuple[str, str, str], team: str
) -> None:
    labels = Subjects(None, inventory).labels(watch("link-delay"), state([{}], links=[spec(*link)]), 0)
    assert labels is not None
    assert (labels["team"], labels["direction"]) == (team, "-")


ROWS: list[tuple[str, Any, dict[str, Any], dict[str, str]]] = [
    (
        "node-down", NODE, {"node": "jinan-1", "site": "jinan", "region": "east", "operator": "unicom"},
        {"severity": "page", "network": "", "site": "jinan", "team": "shandong", "about": "jinan-1",
         "direction": "-", "node": "jinan-1", "region": "east", "operator": "unicom"},
    ),
    (
        "sink-held", SINK, {"collector": "c", "sink": "archive"},
        {"severity": "ticket", "network": "", "site": "", "team": "network", "about": "c/archive",
         "direction": "-", "collector": "c", "sink": "archive"},
    ),
    (
        "dead-letters", COLLECTOR, {"collector": "c"},
        {"severity": "ticket", "network": "", "site": "", "team": "network", "about": "c",
         "direction": "-", "collector": "c"},
    ),
    (
        "common-cause", PLACE,
        {"place": "jinan", "kind": "site", "network": "tenant", "direction": "in", "site": "jinan"},
        {"severity": "page", "network": "tenant", "site": "jinan", "team": "tenants", "about": "site:jinan",
         "direction": "in", "place": "jinan", "kind": "site"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "table", "row", "labels"), ROWS)
def test_other_tables(
    inventory: Inventory, rule: str, table: Any, row: dict[str, Any], labels: dict[str, str]
) -> None:
    frame = table_rows(table, [row])
    assert Subjects(None, inventory).labels(watch(rule), frame, 0) == {"rule": rule, **labels}


def test_a_fault_that_is_played_on_purpose_is_a_label(inventory: Inventory) -> None:
    labels = Subjects(None, inventory).labels(watch("link-delay"), state([{"drill": 1}]), 0)
    assert labels is not None
    assert labels["drill"] == "true"


def test_a_link_that_is_not_expected_has_no_labels(inventory: Inventory) -> None:
    subjects = Subjects([spec()], inventory)
    assert subjects.labels(watch("link-delay"), state([{}], links=[spec("other-1")]), 0) is None
    assert subjects.has("state", "jinan-1>guiyang-1@backbone")
    assert not subjects.has("state", "other-1>guiyang-1@backbone")
    assert not subjects.has("state", "no link")
    assert (subjects.has("node", "jinan-1"), subjects.has("node", "other-1")) == (True, False)
    assert subjects.has("sink", "c/archive")


def test_a_place_that_stands_twice_counts_once() -> None:
    rows = [
        {"place": place, "kind": "site", "direction": way}
        for place, way in (("b", "in"), ("a", "in"), ("b", "out"))
    ]
    frame = once(table_rows(PLACE, rows))
    assert things(frame).tolist() == ["site:b", "site:a"]
    assert frame.text("direction").tolist() == ["in", "in"]
    assert once(frame) is frame
    assert once(frame.take(np.array([], np.intp))).rows == 0
