"""What is wrong with the hot store, a sentence each; nothing is changed and no point is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

from collector.sinks.cardinality import warnings
from collector.sinks.influx_address import InfluxAddress, Version, ping, version_of
from collector.sinks.influx_databases import Databases, Databases1, databases_of
from collector.sinks.influx_reply import LinesRefused
from collector.sinks.influx_setup import days_words
from collector.sinks.influx_transport import WriteTransport
from linkgauge.clock import NS_PER_S, Clock
from linkgauge.errors import SinkError

OLDEST: Version = (1, 6)
CLOCK_APART_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """hint: worth knowing, but nothing is wrong."""

    sentence: str
    hint: bool = False


def check(
    addresses: Sequence[InfluxAddress], series: Mapping[str, int], max_series: int, clock: Clock
) -> Iterator[Finding]:
    """Look at the server and each database. series: expected number, by name of the database.

    Raises ConfigError for a ca_file that cannot be read.
    """
    first = addresses[0]
    before_ns = clock.now().wall_ns
    try:
        reply = ping(first)
        version = version_of(first, reply)
    except SinkError as err:
        yield Finding(str(err))
        return
    yield from _server(first, version)
    yield from _clock(first, reply, before_ns, clock.now().wall_ns)
    try:
        databases = databases_of(first, version)
    except SinkError as err:
        yield Finding(str(err))
        return
    with closing(databases):
        for address in addresses:
            yield from _database(databases, address, version)
        yield from _series(databases, series, max_series)


def _server(address: InfluxAddress, version: Version) -> Iterator[Finding]:
    told = ".".join(map(str, version))
    if version < OLDEST:
        yield Finding(f"InfluxDB at {address.url} is {told}; 1.6 is the oldest that is known to work")
    if version >= (3, 0):
        yield Finding(
            f"InfluxDB at {address.url} is {told}: it reads at most 432 files for one query, about 72 h; "
            "start it with a larger --query-file-limit, or keep long history in 1.8 or 2.7",
            hint=True,
        )


def _clock(address: InfluxAddress, reply: httpx.Response, before_ns: int, after_ns: int) -> Iterator[Finding]:
    """before_ns, after_ns: our time around the request: an answer that took long is no clock apart."""
    try:
        theirs_s = parsedate_to_datetime(reply.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return
    apart_s = theirs_s - min(max(theirs_s, before_ns / NS_PER_S), after_ns / NS_PER_S)
    if abs(apart_s) > CLOCK_APART_S:
        which = "ahead of" if apart_s > 0 else "behind"
        yield Finding(
            f"the clock of InfluxDB at {address.url} is {abs(apart_s):.0f} s {which} ours; "
            "let both follow the same time source"
        )


def _database(databases: Databases, address: InfluxAddress, version: Version) -> Iterator[Finding]:
    name = address.database
    unseen: str | None = None
    try:
        if not databases.has(name):
            unseen = f"there is no database {name}; run `linkgauge store setup`"
    except SinkError as err:
        unseen = str(err)
    if unseen is not None and version >= (3, 0):
        yield Finding(unseen)  # to write is to make it
    elif unseen is not None and _write_fault(address, version) is None:
        yield Finding(f"database {name} may be written, but not looked at: retention is not checked", True)
    elif unseen is not None:
        yield Finding(unseen)
    else:
        yield from _kept(databases, address)
        if (fault := _write_fault(address, version)) is not None:
            yield Finding(f"database {name} cannot be written: {fault}")


def _kept(databases: Databases, address: InfluxAddress) -> Iterator[Finding]:
    name = address.database
    try:
        days = databases.days(name)
        if days is not None and days != address.keep_days:
            yield Finding(
                f"database {name} keeps {days_words(days)}, the settings say {address.keep_days} d; "
                "run `linkgauge store setup`"
            )
        if not databases.mapped(name):
            yield Finding(
                f"InfluxQL does not find bucket {name} by its name (no DBRP mapping), so boards stay empty; "
                "run `linkgauge store setup`"
            )
    except SinkError as err:
        yield Finding(f"database {name}: retention is not checked: {err}", hint=True)


def _write_fault(address: InfluxAddress, version: Version) -> str | None:
    """A request without any line is refused by whoever may not write, and else for having none."""
    try:
        with closing(WriteTransport(address, version)) as transport:
            transport.write(b"")
    except LinesRefused:
        return None
    except SinkError as err:
        return str(err)
    return None


def _series(databases: Databases, expected: Mapping[str, int], most: int) -> Iterator[Finding]:
    for sentence in warnings(expected, most):
        yield Finding(f"{sentence} (expected of the inventory)")
    if not isinstance(databases, Databases1):
        return
    try:
        real = {name: databases.series(name) or 0 for name in expected if databases.has(name)}
    except SinkError:
        return  # told for the database already
    for sentence in warnings(real, most):
        yield Finding(f"{sentence} (counted by the server)")
