"""The boards in a real Grafana: taken as they are, and every query answered through its data sources.

Runs where LINKGAUGE_GRAFANA_HOME names one. What its pages do (drawing, transformations) is not seen here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dashboards.asking import panels, valued
from dashboards.boards import boards
from dashboards.render import InfluxSource, data_sources
from dashboards.words import LANGUAGES, Json
from tests.dashboards.store import Store, filled
from tests.dashboards.world import DOWN
from tests.influxd import Influxd
from tests.real.grafana_server import RealGrafana, running

pytestmark = pytest.mark.influx

DATABASE = "boards"
SOURCES = {
    "${ds}": "linkgauge-influx",
    "${resolution}": "linkgauge-influx",
    "${hours}": "linkgauge-influx-1h",
}
CHOSEN = {
    "worst": [DOWN, "g1>j1@backbone"],
    "lowest": [DOWN],
    "link": [DOWN],
    "class": ["0"],
    "ends": ["j1", "g1"],
}


@pytest.fixture(scope="module")
def grafana(tmp_path_factory: pytest.TempPathFactory, either_influxd: Influxd) -> Iterator[RealGrafana]:
    source_of_all = InfluxSource(either_influxd.url, DATABASE, version=either_influxd.version)
    with running(tmp_path_factory.mktemp("grafana")) as made:
        for source in data_sources(source_of_all, either_influxd.token or "none"):
            made.post("/api/datasources", source)
        yield made


@pytest.fixture(scope="module")
def store(either_influxd: Influxd) -> Store:
    return filled(either_influxd)


@pytest.mark.parametrize("language", LANGUAGES)
def test_grafana_takes_every_board_as_it_is(grafana: RealGrafana, language: str) -> None:
    for board in boards(language).values():
        grafana.post("/api/dashboards/db", {"dashboard": board, "overwrite": True})
        found = grafana.get(f"/api/dashboards/uid/{board['uid']}")["dashboard"]
        changed = {key for key in board if found[key] != board[key]} - {"version"}
        assert changed == set(), f"{board['uid']}: Grafana keeps other values of {changed}"


def _answers(grafana: RealGrafana, store: Store, panel: Json) -> dict[str, Any]:
    """The answer to each target of a panel, by its refId."""
    queries = [
        {
            **target,
            "query": valued(target["query"], CHOSEN),
            "datasource": {"type": "influxdb", "uid": SOURCES[target["datasource"]["uid"]]},
            "intervalMs": 10_000,
            "maxDataPoints": 1_000,
        }
        for target in panel["targets"]
    ]
    body = {"from": str(store.from_ms), "to": str(store.to_ms), "queries": queries}
    return dict(grafana.post("/api/ds/query", body)["results"])


@pytest.mark.parametrize("name", boards())
def test_grafana_answers_every_query_with_data(grafana: RealGrafana, store: Store, name: str) -> None:
    for panel in panels(boards()[name]):
        for ref_id, answer in _answers(grafana, store, panel).items():
            told = f"{panel['title']} {ref_id}"
            assert "error" not in answer, (told, answer["error"])
            values = [column for frame in answer["frames"] for column in frame["data"]["values"][1:]]
            assert any(value is not None for column in values for value in column), f"{told} is empty"
