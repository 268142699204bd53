"""Boards and rules on a real InfluxDB 2, filled through the collector's own sink: same words, same meaning.

Runs where LINKGAUGE_INFLUXD2 names the program influxd of one.
"""

from __future__ import annotations

import pytest

from alerts.grafana.rules import GrafanaRules
from alerts.rule import load_rules
from dashboards.asking import asked
from dashboards.boards import boards
from linkgauge.frame import Frame
from tests.alerts.grafana.test_two_engines import asker, difference, played
from tests.dashboards.store import DATABASES, Store, filled
from tests.dashboards.test_queries import CHOICES
from tests.influxd import Influxd


@pytest.fixture(scope="module")
def store(influxd2: Influxd) -> Store:
    return filled(influxd2)


@pytest.mark.parametrize("chosen", CHOICES, ids=["all", "one", "several"])
@pytest.mark.parametrize("name", boards())
def test_every_query_of_a_board_returns_data(store: Store, name: str, chosen: dict[str, list[str]]) -> None:
    for one in asked(boards()[name]):
        for database in DATABASES[one.source]:
            assert store.rows(one.query, chosen, database), f"{one.name} ({database}): {one.query}"


@pytest.mark.parametrize("name", boards())
def test_a_range_without_data_shows_none(store: Store, name: str) -> None:
    for one in asked(boards()[name]):
        if "$timeFilter" in one.query:
            for database in DATABASES[one.source]:
                assert store.shifted(-7_200_000).rows(one.query, {}, database) == [], one.name


def test_every_rule_asks_what_it_understands(influxd2: Influxd) -> None:
    influxd2.create("understood")
    for rules in GrafanaRules().groups(load_rules()).values():
        for rule in rules:
            text = rule["data"][0]["model"]["query"].replace("$timeFilter", "time >= now() - 1m")
            assert "series" not in influxd2.query(text, "understood")


@pytest.fixture(scope="module")
def recorded(influxd2: Influxd) -> tuple[list[dict[str, Frame]], int]:
    return played(influxd2)


@pytest.mark.parametrize("phase_s", [0, 4])
def test_alerts_fire_and_end_as_the_collectors_do(
    influxd2: Influxd, recorded: tuple[list[dict[str, Frame]], int], phase_s: int
) -> None:
    windows, first_ns = recorded
    assert difference(windows, first_ns, asker(influxd2), phase_s) == {}
