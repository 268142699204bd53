"""The databases that boards read on a real InfluxDB, filled through the wire and the collector's own sink."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from collector.sinks.influx import InfluxSink
from collector.sinks.influx_transport import connect
from collector.sinks.line_protocol import LineMaker
from collector.sinks.link_tags import link_tags
from collector.sinks.sink import Delivery
from dashboards.asking import sent
from linkgauge.clock import NS_PER_S
from linkgauge.schema import RAW_TABLES
from linkgauge.wire import Batch, decode, encode
from tests.dashboards import world
from tests.influxd import Influxd

_RAW, _FIVE, _HOURS = "boards", "boards_5m", "boards_1h"
_LONG_AGO_NS = 45 * 86_400 * NS_PER_S
_TABLES = {
    _RAW: tuple(RAW_TABLES),
    _FIVE: ("window_5m",),
    _HOURS: ("window_1h", "score", "node_score", "throughput"),
}
DATABASES = {"ds": (_RAW,), "resolution": (_RAW, _FIVE, _HOURS), "hours": (_HOURS,)}
"""Where a data source's variable may point to."""


@dataclass(frozen=True, slots=True)
class Store:
    """The filled databases and the time that their windows cover."""

    influxd: Influxd
    from_ms: int
    to_ms: int

    def rows(self, query: str, chosen: dict[str, list[str]], database: str = _RAW) -> list[list[Any]]:
        """Rows of all series that have a value."""
        rows = [row for series in self.series(query, chosen, database) for row in series["values"]]
        return [row for row in rows if any(value is not None for value in row[1:])]

    def series(self, query: str, chosen: dict[str, list[str]], database: str = _RAW) -> list[dict[str, Any]]:
        """All series of the answer; fails on any error that InfluxDB tells."""
        text = sent(query, chosen, self.from_ms, self.to_ms)
        (result,) = self.influxd.asked(text, database, "ms")
        return list(result.get("series", []))

    def shifted(self, by_ms: int) -> Store:
        """The same for another time."""
        return replace(self, from_ms=self.from_ms + by_ms, to_ms=self.to_ms + by_ms)


def filled(influxd: Influxd) -> Store:
    """Every table of `world`, in the database that the collector would write it to; hours of long ago too."""
    now_ns = time.time_ns()
    first_ns = now_ns - now_ns % world.WINDOW_NS - world.WINDOWS * world.WINDOW_NS
    for database, tables in _TABLES.items():
        _write(influxd, database, tables, first_ns)
    _write(influxd, _HOURS, _TABLES[_HOURS], first_ns - _LONG_AGO_NS)
    return Store(influxd, first_ns // 10**6, now_ns // 10**6)


def _write(influxd: Influxd, database: str, tables: Sequence[str], first_ns: int) -> None:
    frames, inventory = world.frames(first_ns), world.inventory()
    made = Batch("@collector", "boot", 1, first_ns, {name: frames[name] for name in tables})
    batch = decode(encode(made))
    sink = InfluxSink(
        lambda: connect(influxd.address(database, 1_095)),
        LineMaker(link_tags(lambda: inventory), lambda: inventory),
        tables=tables,
    )
    sink.write([Delivery(1, batch.agent, batch.boot, batch.number, batch.frames)])
    sink.close()
