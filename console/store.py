"""`linkgauge store`: make the databases of the hot store, and say what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from collector.settings import InfluxSettings, Settings
from collector.sinks.cardinality import DATABASES, series
from collector.sinks.influx_address import InfluxAddress
from collector.sinks.influx_check import check as findings_of
from collector.sinks.influx_setup import set_up
from collector.stores import databases
from linkgauge.clock import SystemClock
from linkgauge.errors import ConfigError, SinkError
from linkgauge.inventory import load

app = typer.Typer(
    name="store",
    help="Make and check the databases of the hot store (InfluxDB 1.6 to 3).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
Config = Annotated[Path, typer.Option(help="The collector's settings.")]
SETTINGS = Path("/etc/linkgauge/collector.yaml")
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command()
def setup(config: Config = SETTINGS, as_json: AsJson = False) -> None:
    """Make the databases (2.x: buckets), and give them the retention of the settings. May be run again."""
    settings = _influxdb(config)[1]
    try:
        version, changes = set_up(_addresses(settings))
    except SinkError as err:
        raise ConfigError(f"{config}: influxdb: {err}") from None
    told = ".".join(map(str, version))
    if as_json:
        rows = [
            {"database": each.database, "done": each.done, "keep_days": each.days,
             "before_days": each.before_days, "mapped": each.mapped}
            for each in changes
        ]  # fmt: skip
        print(json.dumps({"url": settings.url, "version": told, "databases": rows}))
        return
    shown = Table(title=f"InfluxDB {told} at {settings.url}", title_justify="left")
    shown.add_column("database")
    shown.add_column("")
    for each in changes:
        shown.add_row(each.database, each.sentence)
    Console(highlight=False).print(shown)


@app.command()
def check(config: Config = SETTINGS, as_json: AsJson = False) -> None:
    """Say what is wrong, one sentence each. Exit 0: nothing, 1: something, 2: it could not be looked at."""
    whole, settings = _influxdb(config)
    endings = dict(zip(DATABASES, settings.databases, strict=True))
    counted = series(load(whole.inventory))
    addresses = _addresses(settings)
    names = [address.database for address in addresses]
    expected = {name: counted[ending] for ending, (name, _) in endings.items() if name in names}
    # what is wrong with all databases is told once
    found = list(dict.fromkeys(findings_of(addresses, expected, settings.max_series, SystemClock())))
    wrong = [each.sentence for each in found if not each.hint]
    if as_json:
        hints = [each.sentence for each in found if each.hint]
        print(json.dumps({"url": settings.url, "wrong": wrong, "hints": hints, "series": expected}))
    else:
        for each in found:
            print(f"hint: {each.sentence}" if each.hint else each.sentence)
        if not wrong:
            total = ", ".join(f"{name} {count}" for name, count in expected.items())
            print(f"InfluxDB at {settings.url} is as the settings want it; series expected: {total}")
    if wrong:
        raise typer.Exit(1)


def _influxdb(config: Path) -> tuple[Settings, InfluxSettings]:
    settings = Settings.load(config)
    if settings.influxdb is None:
        raise ConfigError(f"{config}: there is no influxdb in it; add influxdb.url")
    return settings, settings.influxdb


def _addresses(settings: InfluxSettings) -> list[InfluxAddress]:
    return [address for address, _, _ in databases(settings)]
