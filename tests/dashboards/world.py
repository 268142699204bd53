"""A small made-up world: windows of every table for some links, as the pipeline would carry them."""

from __future__ import annotations

from typing import Any

import numpy as np

from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory, build
from linkgauge.inventory_file import InventoryFile
from linkgauge.model import Link
from linkgauge.schema import HEALTH, RAW_TABLES, STATE
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
    """WINDOWS windows from `first_ns` on, of every table; every number is known and differs by row."""
    starts = [first_ns + at * WINDOW_NS for at in range(WINDOWS)]
    links = [str(link) for link in inventory().links]
    keys: dict[str, list[dict[str, str]]] = {
        "window": [{"link": link, "probe": "stamp", "class": "0"} for link in links],
        "flow": [{"link": link, "probe": "stamp", "class": "0", "flow": "3"} for link in links],
        "path": [{"link": link, "class": "0", "flow": "3"} for link in links],
        "event": [{"link": link, "class": "0", "kind": "path"} for link in links],
        "certificate": [{"link": link} for link in links],
        "throughput": [{"link": link} for link in links],
        "state": [{"link": link} for link in links],
        "health": [{"agent": node} for node in inventory().nodes],
        "collector": [{"collector": "collector"}],
    }
    return {table.name: _frame(table, keys[table.name], starts) for table in RAW_TABLES.values()}


def verdict(link: str) -> int:
    """What `frames` says of a link: its place in the order of links, modulo 3."""
    return list(inventory().links).index(Link.parse(link)) % 3


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
    if table is HEALTH:
        columns["fit"] = [1] * len(rows)
        columns["unfit"] = np.arange(len(rows)) * 7 % 64
    if table is STATE:
        columns["verdict"] = [verdict(key["link"]) for key, _ in rows]
    return Frame.of(table, columns)
