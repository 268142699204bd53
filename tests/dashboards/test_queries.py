"""Every query of the board against a real InfluxDB, filled through the wire and the collector's own sink."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from collector.sinks.influx import InfluxSink
from collector.sinks.influx_address import InfluxAddress
from collector.sinks.influx_transport import connect
from collector.sinks.line_protocol import LineMaker
from collector.sinks.link_tags import link_tags
from collector.sinks.sink import Delivery
from dashboards.overview import overview
from linkgauge.code import Unfit
from linkgauge.wire import Batch, decode, encode
from tests.dashboards import world
from tests.dashboards.grafana import interpolate, panels, queries
from tests.influxd import Influxd

pytestmark = pytest.mark.influx

DATABASE = "boards"
BOARD = overview()
QUERIES = list(queries(BOARD))
CHOICES: list[dict[str, list[str]]] = [
    {},
    {"link": ["j1>g1@backbone"], "network": ["backbone"], "tier": ["hub"], "src_site": ["jinan"]},
    {"link": ["j1>g1@backbone", "g1>j1@private"], "dst_site": ["guiyang", "jinan"]},
]
"""All; one value of each variable; several values."""


class Store:
    """The filled database and the time that its windows cover."""

    def __init__(self, url: str, from_ms: int, to_ms: int) -> None:
        self.url, self.from_ms, self.to_ms = url, from_ms, to_ms

    def rows(self, query: str, chosen: dict[str, list[str]]) -> list[list[Any]]:
        """Rows of all series that have a value; fails on any error that InfluxDB tells."""
        text = interpolate(query, chosen, self.from_ms, self.to_ms)
        reply = httpx.post(
            f"{self.url}/query",
            params={"db": DATABASE, "epoch": "ms"},
            data={"q": text},
            timeout=30,
            trust_env=False,
        )
        (result,) = reply.json().get("results", [reply.json()])
        assert "error" not in result, (text, result)
        rows = [row for series in result.get("series", []) for row in series["values"]]
        return [row for row in rows if any(value is not None for value in row[1:])]


@pytest.fixture(scope="module")
def store(influxd: Influxd) -> Store:
    now_ns = time.time_ns()
    first_ns = now_ns - now_ns % world.WINDOW_NS - world.WINDOWS * world.WINDOW_NS
    batch = decode(encode(Batch("j1", "boot", 1, now_ns, world.frames(first_ns))))
    inventory = world.inventory()
    sink = InfluxSink(
        lambda: connect(InfluxAddress(influxd.url, DATABASE)),
        LineMaker(link_tags(lambda: inventory), lambda: inventory),
    )  # fmt: skip
    sink.write([Delivery(1, batch.agent, batch.boot, batch.number, batch.frames)])
    sink.close()
    return Store(influxd.url, first_ns // 10**6, now_ns // 10**6)


@pytest.mark.parametrize("chosen", CHOICES, ids=["all", "one", "several"])
@pytest.mark.parametrize(("name", "query"), QUERIES, ids=[name for name, _ in QUERIES])
def test_a_query_returns_data(store: Store, name: str, query: str, chosen: dict[str, list[str]]) -> None:
    assert store.rows(query, chosen), name


def _query(title: str, ref_id: str = "A") -> str:
    (panel,) = (panel for panel in panels(BOARD) if panel["title"] == title)
    (target,) = (target for target in panel["targets"] if target["refId"] == ref_id)
    return str(target["query"])


def _expected(number: int, links: list[str]) -> int:
    return [world.verdict(link) for link in links].count(number)


@pytest.mark.parametrize(("title", "number"), [("Links unknown", 0), ("Links met", 1), ("Links missed", 2)])
def test_verdicts_are_counted_and_none_is_zero(store: Store, title: str, number: int) -> None:
    links = [str(link) for link in world.inventory().links]
    ((_, counted),) = store.rows(_query(title), {})
    assert counted == _expected(number, links) > 0
    ((_, counted),) = store.rows(_query(title), {"link": links[:1]})
    assert counted == _expected(number, links[:1])


def test_the_table_has_a_row_for_each_link_with_the_missed_first(store: Store) -> None:
    verdicts = [row[-1] for row in store.rows(_query("Links, worst first", "A"), {})]
    ranks = [row[-1] for row in store.rows(_query("Links, worst first", "I"), {})]
    assert len(verdicts) == len(world.inventory().links)
    assert ranks == [{2: 2, 0: 1, 1: 0}[verdict] for verdict in verdicts]


def test_an_empty_time_range_shows_no_data_rather_than_zero(store: Store) -> None:
    before = Store(store.url, store.from_ms - 7_200_000, store.from_ms - 3_600_000)
    shown = {name: before.rows(query, {}) for name, query in QUERIES if not name.startswith("variable")}
    assert {name: rows for name, rows in shown.items() if rows} == {}


@pytest.mark.parametrize("reason", Unfit)
def test_windows_not_fit_are_counted_for_each_reason(store: Store, reason: Unfit) -> None:
    ref_id = chr(ord("A") + list(Unfit).index(reason))
    counted = sum(row[1] for row in store.rows(_query("Windows not fit, by reason", ref_id), {}))
    unfit = world.frames(world.WINDOW_NS)["health"].count("unfit")
    assert counted == ((unfit & reason.value) > 0).sum() > 0
