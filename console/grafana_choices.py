"""What `render` and `publish` ask alike: InfluxDB, inventory, how each severity is told."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from alerts.grafana.files import Alerting, alerting_of
from alerts.grafana.policies import KINDS, SEVERITIES, Contacts
from alerts.grafana.rules import Times
from alerts.rule import load_rules
from dashboards.render import VERSIONS
from dashboards.words import LANGUAGES
from linkgauge.errors import ConfigError
from linkgauge.inventory import load

_KINDS = ", ".join(KINDS)
_ADDRESS = re.compile(r"https?://[^/@?#\s]+(/[^@?#\s]*)?")

Database = Annotated[str, typer.Option(help="The database in InfluxDB; roll-ups add _5m and _1h.")]
Version = Annotated[int, typer.Option("--influx-version", help="InfluxDB's major version: 1, 2 or 3.")]
User = Annotated[str, typer.Option("--influx-user", help="User in InfluxDB 1.")]
Language = Annotated[str, typer.Option("--lang", help="Language of the boards: en or zh.")]
InventoryFile = Annotated[
    Path | None,
    typer.Option("--inventory", help="For teams, announced work, silences, and the length of a window."),
]
WindowSeconds = Annotated[
    int | None, typer.Option("--window-s", help="Length of a window; from the inventory, else 10.", min=1)
]
Page = Annotated[
    list[str] | None, typer.Option("--page", help=f"How to tell of what pages, several times: {_KINDS}.")
]
Ticket = Annotated[list[str] | None, typer.Option("--ticket", help="The same for tickets.")]
Alertmanager = Annotated[str, typer.Option(help="Address at which Grafana finds Alertmanager.")]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", help="Grafana tells only that a collector is silent; the collector tells the rest."
    ),
]


def chosen_alerting(
    inventory: Path | None,
    window_s: int | None,
    page: Sequence[str] | None,
    ticket: Sequence[str] | None,
    alertmanager: str,
    quiet: bool,
) -> Alerting:
    """The program's own rules with these choices; raises ConfigError."""
    check_address("--alertmanager", alertmanager)
    known = load(inventory) if inventory is not None else None
    contacts = Contacts(
        dict(zip(SEVERITIES, (page or (), ticket or ()), strict=True)), alertmanager, quiet=quiet
    )
    seconds = window_s or (known.window_s if known is not None else 10)
    return alerting_of(load_rules(), contacts, Times(seconds), known, time.time_ns())


def check(version: int, language: str) -> None:
    """Raises ConfigError for what is not one of the choices."""
    if version not in VERSIONS:
        raise ConfigError(f"--influx-version: {version} is none of {', '.join(map(str, VERSIONS))}")
    if language not in LANGUAGES:
        raise ConfigError(f"--lang: {language!r} is none of {', '.join(LANGUAGES)}")


def check_database(name: str) -> None:
    """Raises ConfigError for an empty name."""
    if not name.strip():
        raise ConfigError("--database: it is empty; give the name of the database, as linkgauge")


def check_address(option: str, text: str) -> None:
    """Raises ConfigError for what is no http(s) address, or holds a user and password; never tells it then:
    it would stand in files, where no secret is."""
    if _ADDRESS.fullmatch(text):
        return
    if "@" in text or "?" in text:
        raise ConfigError(f"{option}: give the address without user, password and what follows ?")
    raise ConfigError(f"{option}: {text!r} is no address such as http://host.example:8086; correct it")
