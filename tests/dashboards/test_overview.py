"""What the overview counts, against a real InfluxDB."""

from __future__ import annotations

import pytest

from dashboards.asking import panels, regex_value
from dashboards.boards import boards
from tests.dashboards import world
from tests.dashboards.store import Store, filled
from tests.influxd import Influxd

pytestmark = pytest.mark.influx

BOARD = boards()["overview"]
LINKS = [str(link) for link in world.inventory().links]


@pytest.fixture(scope="module")
def store(influxd: Influxd) -> Store:
    return filled(influxd)


def _query(title: str, ref_id: str = "A") -> str:
    (panel,) = (panel for panel in panels(BOARD) if panel["title"] == title)
    (target,) = (target for target in panel["targets"] if target["refId"] == ref_id)
    return str(target["query"])


@pytest.mark.parametrize(("title", "number"), [("Links unknown", 0), ("Links met", 1), ("Links missed", 2)])
def test_verdicts_are_counted_for_each_tier(store: Store, title: str, number: int) -> None:
    specs = world.inventory().links.items()
    wanted = {
        tier: [world.verdict(str(link)) for link, spec in specs if spec.tier.name == tier].count(number)
        for tier in {spec.tier.name for _, spec in specs}
    }
    found = {series["tags"]["tier"]: series["values"][0][1] for series in store.series(_query(title), {})}
    assert found == wanted
    assert sum(found.values()) > 0


@pytest.mark.parametrize(("site", "count"), [("jinan", 1), ("guiyang", 0)])
def test_links_down_are_counted_and_none_is_zero(store: Store, site: str, count: int) -> None:
    found = store.series(_query("Links down"), {"src_site": [site], "tier": ["hub"]})
    assert [series["values"][0][1] for series in found] == [count]


@pytest.mark.parametrize(("ref_id", "share"), [("A", 1 / 3), ("B", 1 / 3), ("C", 1 / 3)])
def test_a_circle_covers_the_pairs_whose_best_link_is_within(store: Store, ref_id: str, share: float) -> None:
    ((_, found),) = store.rows(_query("Latency circles", ref_id), {})  # of jinan-jinan and both ways between
    assert found == pytest.approx(share)
    ((_, found),) = store.rows(_query("Latency circles", ref_id), {"src_site": ["guiyang"]})
    assert found == 0


def test_the_worst_links_are_those_of_which_alerts_told_longest(store: Store) -> None:
    (variable,) = (v for v in BOARD["templating"]["list"] if v["name"] == "worst")
    rows = store.rows(variable["query"], {})
    assert [row[1] for row in rows] == [world.DOWN, "g1>j1@backbone"], "longest first, and no node"
    assert regex_value([]) == "()"
    nothing = store.rows(_query("Worst links"), {"worst": []})
    assert nothing == [], "no alert must not mean all links"


@pytest.mark.parametrize("ref_id", ["A", "B"])
def test_only_alerts_that_have_not_ended_fire(store: Store, ref_id: str) -> None:
    found = store.series(_query("Firing alerts", ref_id), {})
    assert {series["tags"]["about"] for series in found} == {world.DOWN, "g1"}
    backbone = store.series(_query("Firing alerts", ref_id), {"network": ["private"]})
    assert {series["tags"]["about"] for series in backbone} == {"g1"}, "what has no network always shows"


def test_what_was_told_fires_before_what_was_held_back_and_the_newest_first(store: Store) -> None:
    for series in store.series(_query("Firing alerts", "B"), {}):
        row = dict(zip(series["columns"], series["values"][0], strict=True))
        assert row["order"] == pytest.approx(row["held"] * 1e8 + row["since"])


def test_a_matrix_has_a_value_for_each_pair_of_sites(store: Store) -> None:
    found = store.series(_query("Delay over the objective"), {"network": ["backbone"]})
    pairs = {(series["tags"]["src_site"], series["tags"]["dst_site"]) for series in found}
    assert pairs == {("jinan", "jinan"), ("jinan", "guiyang"), ("guiyang", "jinan")}
    assert all(len(series["values"]) == 1 and len(series["columns"]) == 2 for series in found)


def test_a_site_on_the_map_has_its_coordinates_and_links(store: Store) -> None:
    (found,) = (s for s in store.series(_query("Map of sites"), {}) if s["tags"]["site"] == "guiyang")
    assert found["columns"] == ["time", "latitude", "longitude", "nodes", "links", "down", "share"]
    _, latitude, longitude, nodes, links, down, share = found["values"][0]
    assert nodes == 1
    assert latitude < longitude < 1
    assert share == pytest.approx(down / links)
