"""The committed files are those that the code makes, and hold no secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from dashboards.render import RENDERED, InfluxSource, boards, files, render


@pytest.mark.parametrize("name", files(InfluxSource()))
def test_the_committed_file_is_not_stale(name: str) -> None:
    committed = (RENDERED / name).read_text(encoding="utf-8")
    assert committed == files(InfluxSource())[name], "run python -m dashboards.render and commit"


def test_nothing_else_is_committed() -> None:
    assert {path.name for path in RENDERED.iterdir()} == set(files(InfluxSource()))


def test_render_writes_what_reads_back(tmp_path: Path) -> None:
    source = InfluxSource(url="http://influx:8086", database="other", user="grafana", window_s=5)
    written = render(tmp_path / "new", source)
    assert {path.name for path in written} == {"overview.json", "datasources.yaml", "dashboards.yaml"}
    assert json.loads((tmp_path / "new/overview.json").read_text()) == boards()["overview"]
    (entry,) = yaml.safe_load((tmp_path / "new/datasources.yaml").read_text())["datasources"]
    assert entry["url"] == "http://influx:8086"
    assert entry["database"] == entry["jsonData"]["dbName"] == "other"
    assert entry["basicAuthUser"] == "grafana"
    assert entry["jsonData"]["timeInterval"] == "5s"
    assert entry["secureJsonData"] == {"basicAuthPassword": "$LINKGAUGE_INFLUX_PASSWORD"}


def test_board_and_data_source_go_by_one_uid() -> None:
    (source,) = yaml.safe_load(files(InfluxSource())["datasources.yaml"])["datasources"]
    (choice,) = (v for v in boards()["overview"]["templating"]["list"] if v["type"] == "datasource")
    assert choice["current"]["value"] == source["uid"] == "linkgauge-influx"
