"""`linkgauge render`: write the boards, the alert rules and what makes Grafana load them, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from alerts import grafana
from dashboards import render as boards
from linkgauge.errors import ConfigError


def run(
    folder: Annotated[Path, typer.Argument(help="Where to write; made when it is missing.")],
    influxdb: Annotated[
        str, typer.Option(help="Address at which Grafana finds InfluxDB.")
    ] = "http://127.0.0.1:8086",
    database: Annotated[str, typer.Option(help="The database in it.")] = "linkgauge",
    as_json: Annotated[bool, typer.Option("--json", help="Print the list of files as JSON.")] = False,
) -> None:
    """Write Grafana boards, data source, and alert rules into FOLDER."""
    for path in (files := write(folder, influxdb, database)):
        if not as_json:
            print(path)
    if as_json:
        print(json.dumps({"files": [str(path) for path in files]}))


def write(folder: Path, influxdb: str, database: str) -> list[Path]:
    """Render everything for Grafana; returns the files. Raises ConfigError."""
    try:
        files = boards.render(folder, boards.InfluxSource(url=influxdb, database=database))
        rules = folder / "linkgauge-rules.yaml"
        grafana.render(rules)
    except OSError as err:
        raise ConfigError(f"{folder}: cannot be written ({err.strerror}); name another folder") from None
    return [*files, rules]
