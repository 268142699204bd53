"""A star of links out of one node, for benchmarks that need no more of a network than names."""

from __future__ import annotations

from linkgauge.inventory import Inventory, build
from linkgauge.inventory_file import InventoryFile


def star(rows: int) -> Inventory:
    """`rows` links, from h0 to h1, h2, ..."""
    nodes = [
        {"name": f"h{at}", "site": "s", "addresses": {"n": f"10.0.{at // 250}.{at % 250 + 1}"}}
        for at in range(rows + 1)
    ]
    file = {
        "version": 1,
        "sites": [{"name": "s", "region": "r", "operator": "o"}],
        "networks": [{"name": "n", "kind": "backbone", "mesh": "listed"}],
        "nodes": nodes,
        "links": [{"link": f"h0>h{at}@n"} for at in range(1, rows + 1)],
    }
    return build(InventoryFile.model_validate(file), "benchmark")
