"""A small made-up world: windows of every table for some links, as the pipeline would carry them."""

from __future__ import annotations

from typing import Any

import numpy as np

from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory, build
from linkgauge.inventory_file import InventoryFile
from linkgauge.model import Link
from linkgauge.schema import ALERT, HEALTH, NODE_SCORE, PATH, PLACE, STATE, TABLES
from linkgauge.table import Kind, Table

WINDOW_NS = 10 * NS_PER_S
WINDOWS = 6

_FILE = {
    "version": 1,
    "sites": [
        {"name": "jinan", "region": "shandong", "operator": "op"},
        {"name": "guiyang", "region": "guizhou", "operator": "op"},
    ],
    "networks": [{"name": "backbone", "kind": "backbone"}, {"name": "private", "kind": "private"}],
    "nodes": [
        {"name": "j1", "site": "jinan", "addresses": {"backbone": "10.0.0.1", "private": "10.1.0.1"}},
        {"name": "j2", "site": "jinan", "addresses": {"backbone": "10.0.0.2"}},
        {"name": "g1", "site": "guiyang", "addresses": {"backbone": "10.0.0.3", "private": "10.1.0.3"}},
    ],
}


def inventory() -> Inventory:
    """Three nodes in two sites: six links on the backbone, two on the private network."""
    return build(InventoryFile.model_validate(_FILE), "world")


def frames(first_ns: int) -> dict[str, Frame]:
    """WINDOWS windows from `first_ns` on, of every table; every number is known and differs by row.

    Alerts of links and nodes fire, but the last one, which has ended; one link is not answered.
    """
    starts = [first_ns + at * WINDOW_NS for at in range(WINDOWS)]
    return {table.name: _frame(table, _keys(table), starts) for table in TABLES.values()}


def verdict(link: str) -> int:
    """What `frames` says of a link: its place in the order of links, modulo 3."""
    return list(inventory().links).index(Link.parse(link)) % 3


DOWN = "j1>g1@backbone"
"""The link that is not answered."""
_SAME = {"probe": "stamp", "class": "0", "flow": "3", "kind": "path"}
_OPERATORS = {"src_operator": "op", "dst_operator": "op"}


def _keys(table: Table) -> list[dict[str, str]]:
    """The keys of the table's rows in one window."""
    if table is ALERT:
        return _alerts()
    if table is NODE_SCORE:
        return _from_nodes()
    if "link" in table.keys:
        return [{"link": str(link), **_SAME, **_OPERATORS} for link in inventory().links]
    if table is PLACE:
        site = {"kind": "site", "network": "backbone", "direction": "in", "site": "guiyang"}
        return [{"place": "guiyang", **site}]
    if "node" in table.keys or "agent" in table.keys:
        return [
            {"agent": node.name, "node": node.name, "site": node.site, "network": network, **_PLACED}
            for node in inventory().nodes.values()
            for network in (node.addresses if "network" in table.keys else ("backbone",))
        ]
    return [{"collector": "collector", "sink": sink} for sink in ("archive", "influxdb")]


def _from_nodes() -> list[dict[str, str]]:
    """What links from a node have in common."""
    names = ("src", "src_site", "src_region", "network", "tier")
    found = {tuple(spec.tags[name] for name in names) for spec in inventory().links.values()}
    return [{**dict(zip(names, each, strict=True)), **_OPERATORS} for each in sorted(found)]


_PLACED = {"region": "shandong", "operator": "op"}


def _alerts() -> list[dict[str, str]]:
    link = {
        "severity": "page",
        "direction": "forward",
        "network": "backbone",
        "site": "jinan",
        "team": "network",
    }
    node = {"severity": "ticket", "direction": "-", "network": "", "site": "guiyang", "team": "network"}
    return [
        {"rule": "link-loss", "about": DOWN, **link},
        {"rule": "agent-silent", "about": "g1", **node},
        {"rule": "link-delay", "about": "g1>j1@backbone", **link},
    ]


def _frame(table: Table, keys: list[dict[str, str]], starts: list[int]) -> Frame:
    rows = [(key, start) for start in starts for key in keys]
    columns: dict[str, Any] = {name: [key[name] for key, _ in rows] for name in table.keys}
    columns["start_ns"] = [start for _, start in rows]
    columns["length_ns"] = [WINDOW_NS] * len(rows)
    for at, field in enumerate(table.fields):
        if field.kind is Kind.COUNT:
            columns[field.name] = np.arange(len(rows)) + at
        elif field.kind is Kind.REAL:
            columns[field.name] = (np.arange(len(rows)) + at) / 1024
        elif field.kind is Kind.TEXT:
            columns[field.name] = [f"{field.name} {at}" for at in range(len(rows))]
    return Frame.of(table, {**columns, **_special(table, rows, starts[-1])})


def _special(table: Table, rows: list[tuple[dict[str, str], int]], end_ns: int) -> dict[str, Any]:
    """Columns whose numbers mean something to a query."""
    if table is HEALTH:
        return {"fit": [1] * len(rows), "unfit": np.arange(len(rows)) * 7 % 64}
    if table is STATE:
        return {
            "verdict": [verdict(key["link"]) for key, _ in rows],
            "unanswered_s": [2.5 if key["link"] == DOWN else 0.0 for key, _ in rows],
            "maintenance": [0] * len(rows),
            "period_delay_us": [900.0 if key["link"] == DOWN else 1_000_000.0 for key, _ in rows],
        }
    if table is PATH:
        return {"changed": [1] * len(rows), "reached": [1] * len(rows)}
    if table is ALERT:
        return {"firing": [int(key["rule"] != "link-delay" or at < end_ns) for key, at in rows]}
    return {}
