"""Data sources and the provider of boards: the committed files are fresh, read back, and hold no secret."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from dashboards.board import DATA_SOURCE_UID as BOARDS_UID
from dashboards.render import DATA_SOURCE_UID, RENDERED, InfluxSource, committed, data_sources, files


def provisioned(source: InfluxSource) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(files(source)["datasources.yaml"])["datasources"]
    return found


@pytest.mark.parametrize("name", committed())
def test_the_committed_file_is_not_stale(name: str) -> None:
    text = (RENDERED / name).read_text(encoding="utf-8")
    assert text == committed()[name], "run python -m dashboards.render and commit"


def test_no_other_file_of_yaml_is_committed() -> None:
    assert {path.name for path in RENDERED.glob("*.yaml")} == set(committed())


def test_windows_and_roll_ups_are_three_data_sources() -> None:
    made = provisioned(InfluxSource(url="http://influx:8086", database="other", window_s=5))
    assert [(each["uid"], each["name"]) for each in made] == [
        ("linkgauge-influx", "linkgauge"),
        ("linkgauge-influx-5m", "linkgauge 5m"),
        ("linkgauge-influx-1h", "linkgauge 1h"),
    ]
    assert [each["database"] for each in made] == ["other", "other_5m", "other_1h"]
    assert [each["jsonData"]["dbName"] for each in made] == ["other", "other_5m", "other_1h"]
    assert [each["jsonData"]["timeInterval"] for each in made] == ["5s", "300s", "3600s"]
    assert {each["url"] for each in made} == {"http://influx:8086"}


def test_influxdb_1_is_asked_with_user_and_password() -> None:
    for each in provisioned(InfluxSource(user="grafana")):
        assert each["user"] == "grafana"
        assert each["secureJsonData"] == {"password": "$LINKGAUGE_INFLUX_PASSWORD"}
        assert "httpHeaderName1" not in each["jsonData"]


@pytest.mark.parametrize("version", [2, 3])
def test_later_ones_are_asked_with_a_token_in_a_header(version: int) -> None:
    for each in provisioned(InfluxSource(version=version)):
        assert "user" not in each
        assert each["jsonData"]["httpHeaderName1"] == "Authorization"
        assert each["secureJsonData"] == {"httpHeaderValue1": "Token $LINKGAUGE_INFLUX_TOKEN"}


def test_over_the_api_the_secret_itself_is_sent() -> None:
    made = data_sources(InfluxSource(version=2), "abc")
    assert {each["secureJsonData"]["httpHeaderValue1"] for each in made} == {"Token abc"}


def test_board_and_data_source_go_by_one_uid() -> None:
    assert BOARDS_UID == DATA_SOURCE_UID
