"""What lets Grafana load boards and read InfluxDB by itself: data sources and the provider of boards, as
values of Grafana's API and as YAML for file provisioning.

`python -m dashboards.render` rewrites the committed files; the boards are those of dashboards.boards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

RENDERED = Path(__file__).parent / "rendered"
"""The committed files; a test fails when they are stale."""
DATA_SOURCE_UID = "linkgauge-influx"
FOLDER, FOLDER_UID = "linkgauge", "linkgauge"
VERSIONS = (1, 2, 3)
SECRETS: Mapping[int, str] = {
    1: "LINKGAUGE_INFLUX_PASSWORD",
    2: "LINKGAUGE_INFLUX_TOKEN",
    3: "LINKGAUGE_INFLUX_TOKEN",
}
"""Variable of Grafana's environment that holds what InfluxDB asks for, by InfluxDB's major version."""
MOST_SERIES = 100_000
"""Of one query; Grafana shows the first thousand else, and a table of all links has more."""
RESOLUTIONS = (("", "", 0), ("-5m", "_5m", 300), ("-1h", "_1h", 3_600))
"""Windows and their roll-ups: ending of the uid, of the database, and seconds; 0: the windows' own."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class InfluxSource:
    """Where Grafana finds InfluxDB. version: its major version, which says how one signs in there."""

    url: str = "http://127.0.0.1:8086"
    database: str = "linkgauge"
    user: str = "linkgauge"
    window_s: int = 10
    version: int = 1


def data_sources(source: InfluxSource, secret: str) -> list[Json]:
    """The three data sources as Grafana's API has them; secret: a password (InfluxDB 1) or token (2, 3).

    Grafana 9.4 reads `database`, later ones `jsonData.dbName`. InfluxQL on all, by POST.
    """
    return [_data_source(source, secret, *resolution) for resolution in RESOLUTIONS]


def files(source: InfluxSource) -> dict[str, str]:
    """Name and text of the two files; the secret stays a variable of Grafana's environment."""
    sources = data_sources(source, f"${SECRETS[source.version]}")
    return {
        "datasources.yaml": _yaml({"apiVersion": 1, "datasources": sources}),
        "dashboards.yaml": _yaml({"apiVersion": 1, "providers": [_provider()]}),
    }


def committed() -> dict[str, str]:
    """The committed files: data sources for each version of InfluxDB, and the provider."""
    made = {
        f"datasources-{version}.yaml": files(InfluxSource(version=version))["datasources.yaml"]
        for version in VERSIONS
    }
    return {**made, "dashboards.yaml": files(InfluxSource())["dashboards.yaml"]}


def main() -> None:
    """Rewrite the committed files."""
    for name, text in committed().items():
        (RENDERED / name).write_text(text, encoding="utf-8")
        print(RENDERED / name)


def _data_source(source: InfluxSource, secret: str, uid: str, database: str, interval_s: int) -> Json:
    named = f"{source.database}{database}"
    settings: Json = {
        "dbName": named,
        "httpMode": "POST",
        "timeInterval": f"{interval_s or source.window_s}s",
        "maxSeries": MOST_SERIES,
    }
    made: Json = {
        "name": f"linkgauge{uid.replace('-', ' ')}",
        "uid": f"{DATA_SOURCE_UID}{uid}",
        "type": "influxdb",
        "access": "proxy",
        "url": source.url,
        "database": named,
    }
    if source.version == 1:
        return {**made, "user": source.user, "jsonData": settings, "secureJsonData": {"password": secret}}
    header = {"httpHeaderName1": "Authorization"}
    return {
        **made,
        "jsonData": {**settings, **header},
        "secureJsonData": {"httpHeaderValue1": f"Token {secret}"},
    }


def _provider() -> Json:
    return {
        "name": "linkgauge",
        "orgId": 1,
        "folder": FOLDER,
        "folderUid": FOLDER_UID,
        "type": "file",
        "allowUiUpdates": False,
        "updateIntervalSeconds": 30,
        "options": {"path": "/var/lib/grafana/dashboards/linkgauge"},
    }


def _yaml(value: Json) -> str:
    return str(yaml.safe_dump(value, sort_keys=False))


if __name__ == "__main__":
    main()
