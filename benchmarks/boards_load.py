"""What boards read, made up for many links and written by the collector's own sink, for benchmarks.boards.

Of all links those columns of STATE are known that some board reads of all links at once; of a few links
everything is known. Numbers are by chance and of the size that a network has.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from collector.sinks.influx import InfluxSink
from collector.sinks.influx_address import InfluxAddress
from collector.sinks.influx_transport import connect
from collector.sinks.line_protocol import LineMaker
from collector.sinks.link_tags import link_tags
from collector.sinks.sink import Delivery
from dashboards.asking import asked
from dashboards.boards import boards
from linkgauge.clock import NS_PER_S
from linkgauge.errors import SinkBusy
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory, build
from linkgauge.inventory_file import InventoryFile
from linkgauge.schema import ALERT, NODE_SCORE, PLACE, RAW_TABLES, SCORE, STATE
from linkgauge.table import Field, Kind, Table

DATABASE = "linkgauge"
DATABASES = {"ds": DATABASE, "resolution": DATABASE, "hours": f"{DATABASE}_1h"}
DAY_S, HOUR_S, WINDOW_S, SPARSE_S = 86_400, 3_600, 10, 300
BUSY_S, BUSY_TIMES = 2.0, 30
FEW, FEW_VPN = 20, 4
"""Links of which everything is known, in every window; of these, on the private network."""
_COUNTS = {
    "verdict": 1,
    "fit": 1,
    "measured": 1,
    "good": 1,
    "firing": 1,
    "reached": 1,
    "marks": 100,
    "sent": 100,
    "windows": 360,
    "windows_good": 350,
    "windows_bad": 2,
    "links": 30,
}
_KEYS = {
    "probe": "stamp",
    "class": "0",
    "flow": "0",
    "kind": "path",
    "src_operator": "o0",
    "dst_operator": "o1",
}


def world(nodes: int) -> Inventory:
    """A full mesh of `nodes` in sites of five, regions of four sites; ten are on a private network too."""
    sites = [
        {"name": f"s{at}", "region": f"r{at // 4}", "operator": f"o{at % 3}",
         "latitude_deg": 20.0 + at, "longitude_deg": 90.0 + at}
        for at in range(-(-nodes // 5))
    ]  # fmt: skip
    every = [
        {
            "name": f"n{at}",
            "site": f"s{at // 5}",
            "addresses": {"backbone": f"10.0.0.{at + 1}"} | ({"vpn": f"10.1.0.{at + 1}"} if at < 10 else {}),
        }
        for at in range(nodes)
    ]
    networks = [{"name": "backbone", "kind": "backbone"}, {"name": "vpn", "kind": "private"}]
    file = {"version": 1, "sites": sites, "networks": networks, "nodes": every}
    return build(InventoryFile.model_validate(file), "benchmark")


class Load:
    """Writes rows of made-up tables for `inventory` to the databases of an InfluxDB."""

    def __init__(self, url: str, inventory: Inventory) -> None:
        self._inventory = inventory
        self.links = [str(link) for link in inventory.links]
        self.few = [*self.links[: FEW - FEW_VPN], *self.links[-FEW_VPN:]]
        self.sites = list(inventory.sites)
        maker = LineMaker(link_tags(lambda: inventory), lambda: inventory)
        addresses = {name: InfluxAddress(url, name, keep_days=1_095) for name in DATABASES.values()}
        self._sinks = {
            name: InfluxSink(lambda to=address: connect(to), maker)  # type: ignore[misc]  # to: bound now
            for name, address in addresses.items()
        }
        self._shared = shared_fields()
        self.rows = 0

    def fill(self, end_s: int) -> Iterator[str]:
        """Everything of the day before `end_s`; says after each part what it was."""
        start_s = end_s - DAY_S
        for at_s in range(start_s, end_s - HOUR_S, SPARSE_S):
            self._write(STATE, self._keyed(STATE, self.links), [at_s], self._shared)
        yield f"link_state of {len(self.links)} links: {DAY_S // HOUR_S - 1} h, a window in {SPARSE_S} s"
        for at_s in range(end_s - HOUR_S, end_s, WINDOW_S):
            self._write(STATE, self._keyed(STATE, self.links), [at_s], self._shared)
        yield f"the last hour: every window of {WINDOW_S} s"
        for table in RAW_TABLES.values():
            step_s = {"path": SPARSE_S, "throughput": HOUR_S, "event": HOUR_S, "certificate": HOUR_S}
            if table.name != "flow":
                self._table(table, range(start_s, end_s, step_s.get(table.name, WINDOW_S)))
        yield f"the other measurements, of {FEW} links, all nodes and {FEW} alerts: every window of the day"
        for at_s in range(start_s, end_s, HOUR_S):
            for table in (SCORE, NODE_SCORE):
                self._write(table, self._keyed(table, self.links), [at_s], None, "hours")
        yield "link_score and node_score: every hour"

    def close(self) -> None:
        for sink in self._sinks.values():
            sink.close()

    def _table(self, table: Table, times: range) -> None:
        keys = self._keyed(table, self.few)
        if table.name in ("node", "member", "health"):  # boards read a minute of the past as well as a window
            times = range(times.start, times.stop, 60)
        batch = max(1, 8_000 // len(keys))
        for at in range(0, len(times), batch):
            self._write(table, keys, times[at : at + batch], None)

    def _keyed(self, table: Table, links: Sequence[str]) -> list[dict[str, str]]:
        """The keys of the table's rows in one window."""
        nodes = self._inventory.nodes.values()
        if table is ALERT:
            told = {
                "severity": "page",
                "direction": "forward",
                "network": "backbone",
                "site": "s0",
                "team": "t",
            }
            return [{"rule": "link-loss", "about": link, **told} for link in self.few]
        if table is NODE_SCORE:
            return self._from_nodes()
        if table is PLACE:
            return [{"place": "s0", "kind": "site", "network": "backbone", "direction": "in", "site": "s0"}]
        if "link" in table.keys:
            return [{"link": link, **_KEYS} for link in links]
        if "node" in table.keys or "agent" in table.keys:
            networks = ("backbone", "vpn") if "network" in table.keys else ("backbone",)
            return [
                {"agent": node.name, "node": node.name, "site": node.site, "network": network,
                 "region": self._inventory.sites[node.site].region, "operator": "o0"}
                for node in nodes for network in networks if network in node.addresses
            ]  # fmt: skip
        return [{"collector": "c0", "sink": sink} for sink in ("archive", "influxdb")]

    def _from_nodes(self) -> list[dict[str, str]]:
        """What links from a node have in common."""
        names = ("src", "src_site", "src_region", "network", "tier")
        found = {tuple(spec.tags[name] for name in names) for spec in self._inventory.links.values()}
        return [{**_KEYS, **dict(zip(names, each, strict=True))} for each in sorted(found)]

    def _write(
        self,
        table: Table,
        keys: Sequence[Mapping[str, str]],
        times_s: Sequence[int],
        known: set[str] | None,
        source: str = "ds",
    ) -> None:
        rows = len(keys) * len(times_s)
        chance = np.random.default_rng(times_s[0])
        columns: dict[str, Any] = {
            name: np.tile(np.array([key[name] for key in keys], object), len(times_s)) for name in table.keys
        }
        columns["start_ns"] = np.repeat(np.array(times_s, np.int64) * NS_PER_S, len(keys))
        columns["length_ns"] = np.full(rows, WINDOW_S * NS_PER_S)
        for field in table.fields:
            if field.kind is not Kind.HISTOGRAM and (known is None or field.name in known):
                columns[field.name] = _values(field, chance, rows)
        frame = Frame.of(table, columns)
        delivery = Delivery(1, "@collector", "boot", 1, {table.name: frame})
        for left in range(BUSY_TIMES, -1, -1):
            try:
                self._sinks[DATABASES[source]].write([delivery])
                break
            except SinkBusy:  # it compacts; as a pump does, once more
                if not left:
                    raise
                time.sleep(BUSY_S)
        self.rows += rows


def shared_fields() -> set[str]:
    """Columns of STATE that some board reads of more than one link."""
    quoted: set[str] = set()
    for board in boards().values():
        for one in asked(board):
            if '"link" =~' not in one.query or "${worst" in one.query:
                quoted |= set(re.findall(r'"(\w+)"', one.query))
    return quoted & {field.name for field in STATE.fields}


def _values(field: Field, chance: np.random.Generator, rows: int) -> Any:
    """Numbers of the size that the field's name tells; texts are short."""
    if field.kind is Kind.TEXT:
        return np.full(rows, "10.0.0.1 10.0.1.1 * 10.0.2.1", object)
    if field.kind is Kind.COUNT:
        return np.where(
            chance.random(rows) < 0.95, _COUNTS.get(field.name, 0), 2 if field.name == "verdict" else 0
        )
    if field.name in ("latitude_deg", "longitude_deg"):
        return np.full(rows, 30.0)
    if field.name.endswith("excess_us"):
        return np.round(chance.normal(-8_000, 3_000, rows), 1)
    if field.name.endswith("excess_ratio"):
        return np.round(chance.random(rows) / 100 - 0.009, 6)
    if field.name.endswith("_us"):
        return np.round(chance.lognormal(9, 0.5, rows), 1)
    if field.name.endswith("_bps"):
        return np.round(chance.lognormal(20, 0.2, rows))
    if field.name == "unanswered_s":
        return np.where(chance.random(rows) < 0.001, 2.5, 0.0)
    return np.round(chance.random(rows) / 100, 6)
