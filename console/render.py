"""`linkgauge render`: boards, data sources, alert rules, who is told, and Alertmanager's file, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from alerts.grafana.files import ALERTMANAGER_FILE, Alerting
from console import grafana_choices as choices
from dashboards.boards import board_files
from dashboards.render import SECRETS, InfluxSource, files
from linkgauge.errors import ConfigError

NEXT = """\
Next, on the host of Grafana (9.4 or later), as root:
  1. copy {folder}/provisioning/. to /etc/grafana/provisioning/
     copy {folder}/dashboards/.   to /var/lib/grafana/dashboards/linkgauge/
  2. set in Grafana's environment (/etc/default/grafana-server): {variables}
  3. start Grafana again, and open its folder linkgauge.
  4. copy {folder}/alertmanager/{alertmanager} to /etc/prometheus/, fill in who is told, check it with amtool.
provisioning/alerting/linkgauge-contacts.yaml replaces all notification policies of that Grafana: where it has
others, leave that file out and use `linkgauge publish`, which puts ours among them. To look at a board only,
import dashboards/overview.json by hand."""


def run(
    folder: Annotated[Path, typer.Argument(help="Where to write; made when it is missing.")],
    influxdb: Annotated[
        str, typer.Option(help="Address at which Grafana finds InfluxDB.")
    ] = "http://127.0.0.1:8086",
    influx_version: choices.Version = 1,
    influx_user: choices.User = "linkgauge",
    database: choices.Database = "linkgauge",
    lang: choices.Language = "en",
    inventory: choices.InventoryFile = None,
    window_s: choices.WindowSeconds = None,
    page: choices.Page = None,
    ticket: choices.Ticket = None,
    alertmanager: choices.Alertmanager = "http://127.0.0.1:9093",
    quiet: choices.Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list of files as JSON.")] = False,
) -> None:
    """Write Grafana's boards, data sources, alert rules and policies, and Alertmanager's, into FOLDER."""
    choices.check(influx_version, lang)
    choices.check_address("--influxdb", influxdb)
    choices.check_database(database)
    alerting = choices.chosen_alerting(inventory, window_s, page, ticket, alertmanager, quiet)
    source = InfluxSource(influxdb, database, influx_user, alerting.times.window_s, influx_version)
    written = write(folder, source, alerting, lang)
    if as_json:
        print(json.dumps({"files": [str(path) for path in written]}))
        return
    for path in written:
        print(path)
    print(next_steps(folder, source, alerting))


def write(folder: Path, source: InfluxSource, alerting: Alerting, language: str = "en") -> list[Path]:
    """Render everything; returns the files. Raises ConfigError."""
    paths = []
    try:
        for name, text in texts(source, alerting, language).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            paths.append(path)
    except OSError as err:
        raise ConfigError(f"{folder}: cannot be written ({err.strerror}); name another folder") from None
    return paths


def texts(source: InfluxSource, alerting: Alerting, language: str) -> dict[str, str]:
    """Path below the folder and text of every file."""
    made = {f"dashboards/{name}": text for name, text in board_files(language).items()}
    provisioned = files(source)
    made["provisioning/datasources/linkgauge.yaml"] = provisioned["datasources.yaml"]
    made["provisioning/dashboards/linkgauge.yaml"] = provisioned["dashboards.yaml"]
    for name, text in alerting.files().items():
        place = "alertmanager" if name == ALERTMANAGER_FILE else "provisioning/alerting"
        made[f"{place}/{name}"] = text
    return made


def next_steps(folder: Path, source: InfluxSource, alerting: Alerting) -> str:
    """What is left to do by hand."""
    variables = ", ".join([SECRETS[source.version], *alerting.contacts.variables])
    return NEXT.format(folder=folder, variables=variables, alertmanager=ALERTMANAGER_FILE)
