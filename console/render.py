"""`linkgauge render`: write the boards, the alert rules and what makes Grafana load them, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from alerts import grafana
from dashboards import render as boards
from linkgauge.errors import ConfigError

NEXT = """\
copy *.json            to /var/lib/grafana/dashboards/linkgauge/
     dashboards.yaml   to /etc/grafana/provisioning/dashboards/
     datasources.yaml  to /etc/grafana/provisioning/datasources/ (password: LINKGAUGE_INFLUX_PASSWORD)
     linkgauge-rules.yaml to /etc/grafana/provisioning/alerting/
and start Grafana again; or import overview.json by hand."""


def run(
    folder: Annotated[Path, typer.Argument(help="Where to write; made when it is missing.")],
    influxdb: Annotated[
        str, typer.Option(help="Address at which Grafana finds InfluxDB.")
    ] = "http://127.0.0.1:8086",
    database: Annotated[str, typer.Option(help="The database in it.")] = "linkgauge",
    window_s: Annotated[int, typer.Option(help="Length of a window, as in the inventory.", min=1)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list of files as JSON.")] = False,
) -> None:
    """Write Grafana boards, data source, and alert rules into FOLDER."""
    for path in (files := write(folder, influxdb, database, window_s)):
        if not as_json:
            print(path)
    print(json.dumps({"files": [str(path) for path in files]}) if as_json else NEXT)


def write(folder: Path, influxdb: str, database: str, window_s: int = 10) -> list[Path]:
    """Render everything for Grafana; returns the files. Raises ConfigError."""
    try:
        files = boards.render(folder, boards.InfluxSource(url=influxdb, database=database, window_s=window_s))
        rules = folder / "linkgauge-rules.yaml"
        grafana.render(rules, window_s)
    except OSError as err:
        raise ConfigError(f"{folder}: cannot be written ({err.strerror}); name another folder") from None
    return [*files, rules]
