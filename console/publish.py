"""`linkgauge publish`: boards, alert rules and who is told into a running Grafana, over its API.

A second run changes nothing. Secrets come from the environment: `NAME`, or a file that `NAME_FILE` names and
that only its owner can read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from alerts.grafana.files import Alerting
from alerts.grafana.rules import FOLDER, FOLDER_UID
from collector.secret import refuse_readable
from console import grafana_choices as choices
from dashboards import render
from dashboards.boards import boards
from dashboards.publish import wanted
from dashboards.publish.grafana import Client, Grafana
from dashboards.publish.publisher import carry_out, changes
from dashboards.words import LANGUAGES
from linkgauge.errors import ConfigError

TOKEN = "LINKGAUGE_GRAFANA_TOKEN"  # noqa: S105 - the name of a variable

Json = dict[str, Any]


def run(
    grafana: Annotated[str, typer.Option(help="Address of Grafana, 9.4 or later.")],
    token_file: Annotated[
        Path | None, typer.Option(help=f"File with a service account's token (mode 0600); else {TOKEN}.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what differs; change nothing.")] = False,
    lang: choices.Language = "en",
    inventory: choices.InventoryFile = None,
    window_s: choices.WindowSeconds = None,
    boards_only: Annotated[bool, typer.Option("--boards-only", help="Leave Grafana's alerts alone.")] = False,
    page: choices.Page = None,
    ticket: choices.Ticket = None,
    alertmanager: choices.Alertmanager = "http://127.0.0.1:9093",
    quiet: choices.Quiet = False,
    influxdb: Annotated[
        str | None, typer.Option(help="Make the data sources, where they are missing, for this InfluxDB.")
    ] = None,
    influx_version: choices.Version = 1,
    influx_user: choices.User = "linkgauge",
    database: choices.Database = "linkgauge",
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Write contact points again: one of their secrets changed.")
    ] = False,
    ca: Annotated[
        Path | None, typer.Option(help="PEM file of the authority of Grafana's certificate.")
    ] = None,
    timeout_s: Annotated[float, typer.Option(help="Longest wait for an answer.", min=1)] = 10.0,
) -> None:
    """Publish boards, data sources, alert rules, contact points, policies and mute timings to Grafana."""
    choices.check(influx_version, lang)
    alerting = choices.chosen_alerting(inventory, window_s, page, ticket, alertmanager, quiet)
    source = None
    if influxdb is not None:
        choices.check_address("--influxdb", influxdb)
        choices.check_database(database)
        source = render.InfluxSource(influxdb, database, influx_user, alerting.times.window_s, influx_version)
    named = [] if source is None else [render.SECRETS[source.version]]
    named += [] if boards_only else alerting.contacts.variables
    check_set([*([TOKEN] if token_file is None else []), *named], os.environ)
    asked = None if boards_only else alerting_wanted(alerting, os.environ)
    everything = all_wanted(lang, source, asked, os.environ)
    with Client(Grafana(grafana, token(token_file, os.environ), timeout_s, ca)) as client:
        _bring(client, everything, secrets, dry_run)


def _bring(client: Client, everything: wanted.Wanted, rewrite: bool, dry_run: bool) -> None:
    todo = changes(client, everything, rewrite)
    for change in todo:
        print(change)
    if not todo:
        print(f"nothing to do: all of it stands in {client.url} already")
    elif dry_run:
        print(f"{len(todo)} changes; nothing was changed")
    else:
        carry_out(todo)
        print(f"{len(todo)} changes made")


def all_wanted(
    language: str,
    source: render.InfluxSource | None,
    alerting: wanted.Alerting | None,
    environment: Mapping[str, str],
) -> wanted.Wanted:
    """Everything that is to stand there; source: of data sources to make. Raises ConfigError."""
    uids = [f"{render.DATA_SOURCE_UID}{ending}" for ending, _, _ in render.RESOLUTIONS]
    sources: dict[str, Json | None] = dict.fromkeys(uids)
    if source is not None:
        secret = _secret(render.SECRETS[source.version], environment)
        sources = {made["uid"]: made for made in render.data_sources(source, secret)}
    folders = {render.FOLDER_UID: render.FOLDER}
    if alerting is not None:
        folders[FOLDER_UID] = FOLDER
    spared = frozenset(board["uid"] for name in LANGUAGES for board in boards(name).values())
    return wanted.Wanted(folders, render.FOLDER_UID, boards(language), spared, sources, alerting)


def alerting_wanted(alerting: Alerting, environment: Mapping[str, str]) -> wanted.Alerting:
    """With the variables of contact points filled in; raises ConfigError when one is not set."""
    points = [
        {**point, "settings": {key: _filled(value, environment) for key, value in point["settings"].items()}}
        for point in alerting.contacts.points
    ]
    every_s = alerting.times.every_s
    groups = [wanted.Group(FOLDER_UID, name, every_s, rules) for name, rules in alerting.groups.items()]
    return wanted.Alerting(groups, points, alerting.route, alerting.timings)


def check_set(names: Sequence[str], environment: Mapping[str, str]) -> None:
    """Raises ConfigError with all of these variables that are missing."""
    missing = [name for name in names if not (environment.get(name) or environment.get(f"{name}_FILE"))]
    if len(missing) > 1:
        named = ", ".join(missing)
        raise ConfigError(f"{named} are not set; set them, or NAME_FILE to the name of a file that holds it")


def token(file: Path | None, environment: Mapping[str, str]) -> str:
    """The service account's token; raises ConfigError when there is none."""
    if file is None:
        return _secret(TOKEN, environment)
    return _read(file, "--token-file")


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, str) and value.startswith("$"):
        return _secret(value[1:], environment)
    return value


def _secret(name: str, environment: Mapping[str, str]) -> str:
    if environment.get(name):
        return environment[name]
    if environment.get(f"{name}_FILE"):
        return _read(Path(environment[f"{name}_FILE"]), f"{name}_FILE")
    raise ConfigError(f"{name} is not set; set it, or {name}_FILE to the name of a file that holds it")


def _read(path: Path, named_by: str) -> str:
    try:
        refuse_readable(path)
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        why = err.strerror if isinstance(err, OSError) else "it is no text"
        raise ConfigError(f"{named_by}: {path} cannot be read ({why}); name a file that holds it") from None
    if not text or any(char.isspace() for char in text):
        raise ConfigError(f"{named_by}: {path} holds no secret of one line; write it there")
    return text
