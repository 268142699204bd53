"""What the board "Evaluation" reads as sums by node, on a real InfluxDB: the numbers of the links."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

from collector.rollup.node_score import NodeScores
from collector.rollup.score import scores
from collector.rollup.slot import HOUR_NS, Slot
from collector.rollup.source import Tally
from collector.sinks.influx import InfluxSink
from collector.sinks.influx_transport import connect
from collector.sinks.line_protocol import LineMaker
from collector.sinks.link_tags import link_tags
from collector.sinks.sink import Delivery
from dashboards.asking import asked
from dashboards.boards import boards
from dashboards.scores import LINKS, SUMS
from linkgauge.clock import NS_PER_S
from linkgauge.inventory import Inventory, build
from linkgauge.inventory_file import InventoryFile
from linkgauge.model import Link, LinkSpec
from tests.dashboards.store import Store
from tests.influxd import Influxd

pytestmark = pytest.mark.influx

DATABASE = "summed"
HOURS, HOUR_S = 30, 3_600
ASKED = [one for one in asked(boards()["evaluation"]) if f'FROM "{SUMS.measurement}"' in one.query]
SUMMED = [one for one in ASKED if one.query.startswith("SELECT")]
CHOICES: list[dict[str, list[str]]] = [
    {},
    {"tier": ["hub"], "src_region": ["east"]},
    {"network": ["backbone"], "src_operator": ["o1", "o2"]},
]


@cache
def _inventory() -> Inventory:
    """Five sites of two regions and three operators, eleven nodes, two networks."""
    sites = [
        {"name": f"s{at}", "region": "east" if at < 3 else "west", "operator": f"o{at % 3}"}
        for at in range(5)
    ]
    nodes = [
        {
            "name": f"n{at}",
            "site": f"s{at % 5}",
            "addresses": {"backbone": f"10.0.0.{at + 1}"} | ({"vpn": f"10.1.0.{at + 1}"} if at % 3 else {}),
        }
        for at in range(11)
    ]
    networks = [{"name": "backbone", "kind": "backbone"}, {"name": "vpn", "kind": "private"}]
    file = {"version": 1, "sites": sites, "networks": networks, "nodes": nodes}
    return build(InventoryFile.model_validate(file), "sums")


def _spec(link: str) -> LinkSpec | None:
    return _inventory().links.get(Link.parse(link))


def _tallies(chance: np.random.Generator) -> Iterator[Tally]:
    """Of every link in an hour, and of one that has left; nothing is known of site s3, s4 is excused."""
    for link in [*map(str, _inventory().links), "n1>gone@backbone"]:
        site = _inventory().nodes[Link.parse(link).src].site
        excused = 360 if site == "s4" else int(chance.integers(0, 20))
        known = 0 if site in ("s3", "s4") else int(chance.integers(200, 330))
        bad = int(chance.binomial(known, 0.02))
        yield Tally(link, 360, known - bad, bad, bad // 2, excused)


@pytest.fixture(scope="module")
def store(influxd: Influxd) -> Store:
    sink = InfluxSink(
        lambda: connect(influxd.address(DATABASE, 1_095)), LineMaker(link_tags(_inventory), _inventory)
    )
    chance = np.random.default_rng(5)
    now_s = int(time.time())
    first_s = now_s // HOUR_S * HOUR_S - HOURS * HOUR_S
    for hour in (*range(HOURS), HOURS - 2):  # one comes again with other numbers
        slot = Slot((first_s + hour * HOUR_S) * NS_PER_S, HOUR_NS)
        tallies = list(_tallies(chance))
        sums = NodeScores(slot, _spec)
        sums.add(tallies)
        frames = {frame.table.name: frame for frame in (scores(slot, tallies, _spec), sums.frame())}
        sink.write([Delivery(1, "@collector", "boot", hour + 1, frames)])
    sink.close()
    return Store(influxd, first_s * 1_000, now_s * 1_000)


def _by_tags(answer: Sequence[dict[str, Any]]) -> dict[tuple[str, ...], list[list[Any]]]:
    return {tuple(series.get("tags", {}).values()): series["values"] for series in answer}


def _as_exact(value: float | None) -> Any:
    """Counts and times are alike to the last digit; a mean of objectives is added up in another order."""
    return pytest.approx(value, rel=1e-12) if isinstance(value, float) else value


@pytest.mark.parametrize("chosen", CHOICES, ids=["all", "one", "several"])
@pytest.mark.parametrize("query", [one.query for one in SUMMED], ids=[one.name for one in SUMMED])
def test_a_sum_of_nodes_is_that_of_their_links(
    store: Store, query: str, chosen: dict[str, list[str]]
) -> None:
    of_links = query.replace(SUMS.objective, LINKS.objective)
    of_links = of_links.replace(f'"{SUMS.measurement}"', f'"{LINKS.measurement}"')
    found, wanted = (_by_tags(store.series(each, chosen, DATABASE)) for each in (query, of_links))
    assert found.keys() == wanted.keys()
    assert found or "60d" in query, "of the month before there is nothing"
    for tags, rows in wanted.items():
        assert len(found[tags]) == len(rows)
        for row, other in zip(found[tags], rows, strict=True):
            told = slice(0 if "$timeFilter" in query else 1, None)  # else the time is that of the question
            assert row[told] == [_as_exact(each) for each in other[told]], tags


def test_what_is_not_known_is_no_score(store: Store) -> None:
    (by_site,) = (one.query for one in SUMMED if one.name == "By from site A")
    series = store.series(by_site, {}, DATABASE)
    rows = {
        each["tags"]["src_site"]: dict(zip(each["columns"], each["values"][0], strict=True))
        for each in series
    }
    assert [rows["s3"][name] for name in ("score", "used", "coverage")] == [None, None, 0]
    assert [rows["s4"][name] for name in ("score", "used", "coverage")] == [None, None, None]
    assert rows["s3"]["windows"] > 0
    assert 0.9 < rows["s0"]["score"] < 1
