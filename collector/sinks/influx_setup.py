"""Making the databases of the hot store as the settings want them. May be done again at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collector.sinks.influx_address import InfluxAddress, Version, ping, version_of
from collector.sinks.influx_databases import Databases, Databases2, databases_of


@dataclass(frozen=True, slots=True)
class Change:
    """What was done for one database. done: "made", "kept" or "altered"; before_days: None: not known.

    mapped: InfluxQL did not find it by its name, and does now.
    """

    database: str
    done: str
    days: int
    before_days: float | None
    mapped: bool

    @property
    def sentence(self) -> str:
        keeps = f"keeps {self.days} d"
        if self.done == "made":
            words = f"made, {keeps}"
        elif self.done == "altered":
            words = f"retention altered from {days_words(self.before_days)} to {self.days} d"
        else:
            words = f"was there, {keeps if self.before_days is not None else 'its retention is not told'}"
        return words + ("; InfluxQL finds it by its name now" if self.mapped else "")


def set_up(addresses: Sequence[InfluxAddress]) -> tuple[Version, list[Change]]:
    """Make what is missing, alter the retention where it differs. Raises SinkBusy, SinkHeld, ConfigError."""
    version = version_of(addresses[0], ping(addresses[0]))
    databases = databases_of(addresses[0], version)
    try:
        return version, [_set_up(databases, address) for address in addresses]
    finally:
        databases.close()


def _set_up(databases: Databases, address: InfluxAddress) -> Change:
    name, days = address.database, address.keep_days
    before = databases.days(name) if databases.has(name) else None
    if not databases.has(name):
        databases.create(name, days)
        done = "made"
    elif before is not None and before != days:
        databases.alter(name, days)
        done = "altered"
    else:
        done = "kept"
    mapped = isinstance(databases, Databases2) and not databases.mapped(name)
    if isinstance(databases, Databases2) and mapped:
        databases.map(name)
    return Change(name, done, days, before, mapped)


def days_words(days: float | None) -> str:
    """``30 d``, ``for good``."""
    return "not told" if days is None else f"{days:g} d" if days else "for good"
