"""Boards as files: their JSON to import, and the YAML that lets Grafana load them and the data source itself.

`python -m dashboards.render` rewrites the committed files in dashboards/rendered.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from dashboards.overview import DATA_SOURCE_UID, overview
from dashboards.panel import Json

RENDERED = Path(__file__).parent / "rendered"
"""The committed files; a test fails when they are stale."""


@dataclass(frozen=True, slots=True)
class InfluxSource:
    """Where Grafana finds InfluxDB; its password comes from Grafana's own environment, never from a file."""

    url: str = "http://127.0.0.1:8086"
    database: str = "linkgauge"
    user: str = "linkgauge"
    window_s: int = 10


def boards() -> dict[str, Json]:
    """Every board by name, as Grafana's JSON model."""
    return {"overview": overview()}


def files(source: InfluxSource) -> dict[str, str]:
    """Name and text of every file that `render` writes."""
    made = {f"{name}.json": _json(board) for name, board in boards().items()}
    made["datasources.yaml"] = _yaml(_data_sources(source))
    made["dashboards.yaml"] = _yaml(_providers())
    return made


def render(folder: Path, source: InfluxSource | None = None) -> list[Path]:
    """Write the boards and the provisioning files into `folder`, which is made; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in files(source or InfluxSource()).items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def _json(board: Json) -> str:
    return json.dumps(board, indent=1, ensure_ascii=False) + "\n"


def _yaml(value: Json) -> str:
    return yaml.safe_dump(value, sort_keys=False)


def _data_sources(source: InfluxSource) -> Json:
    """Grafana 9.4 reads `database`, later ones `jsonData.dbName`; Basic works on InfluxDB 1, 2 and 3.1."""
    entry = {
        "name": "linkgauge",
        "uid": DATA_SOURCE_UID,
        "type": "influxdb",
        "access": "proxy",
        "url": source.url,
        "database": source.database,
        "basicAuth": True,
        "basicAuthUser": source.user,
        "jsonData": {
            "dbName": source.database,
            "httpMode": "POST",
            "timeInterval": f"{source.window_s}s",
        },
        "secureJsonData": {"basicAuthPassword": "$LINKGAUGE_INFLUX_PASSWORD"},
    }
    return {"apiVersion": 1, "datasources": [entry]}


def _providers() -> Json:
    entry = {
        "name": "linkgauge",
        "orgId": 1,
        "folder": "linkgauge",
        "folderUid": "linkgauge",
        "type": "file",
        "allowUiUpdates": False,
        "updateIntervalSeconds": 30,
        "options": {"path": "/var/lib/grafana/dashboards/linkgauge"},
    }
    return {"apiVersion": 1, "providers": [entry]}


if __name__ == "__main__":
    for written in render(RENDERED):
        print(written)
