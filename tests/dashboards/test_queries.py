"""Every query of every board against a real InfluxDB."""

from __future__ import annotations

import pytest

from dashboards.asking import asked
from dashboards.boards import boards
from tests.dashboards.store import DATABASES, Store, filled
from tests.dashboards.world import DOWN
from tests.influxd import Influxd

pytestmark = pytest.mark.influx

QUERIES = [
    pytest.param(one.query, database, id=f"{board}: {one.name} ({database})")
    for board, made in boards().items()
    for one in asked(made)
    for database in DATABASES[one.source]
]
WORST = {"worst": [DOWN, "g1>j1@backbone"]}
CHOICES: list[dict[str, list[str]]] = [
    WORST,
    {**WORST, "link": [DOWN], "network": ["backbone"], "tier": ["hub"], "src_site": ["jinan"]},
    {**WORST, "link": [DOWN, "g1>j1@private"], "dst_site": ["guiyang", "jinan"]},
]
"""All; one value of each variable; several values."""


@pytest.fixture(scope="module")
def store(influxd: Influxd) -> Store:
    return filled(influxd)


@pytest.mark.parametrize("chosen", CHOICES, ids=["all", "one", "several"])
@pytest.mark.parametrize(("query", "database"), QUERIES)
def test_a_query_returns_data(store: Store, query: str, database: str, chosen: dict[str, list[str]]) -> None:
    assert store.rows(query, chosen, database), query


@pytest.mark.parametrize(("query", "database"), QUERIES)
def test_a_range_without_data_shows_none_rather_than_zero(store: Store, query: str, database: str) -> None:
    if "$timeFilter" in query:
        assert store.shifted(-7_200_000).rows(query, {}, database) == []
