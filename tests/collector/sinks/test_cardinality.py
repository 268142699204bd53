"""The number of series that an inventory leads to, against what is really written."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.plans.plan import flows_for
from collector.sinks.cardinality import series, tag_sets, warnings
from collector.sinks.line_protocol import lines
from collector.sinks.link_tags import link_tags
from collector.sinks.series_watch import SeriesWatch
from linkgauge.code import EventKind
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory
from linkgauge.probing import PathProbing, Probing, StampProbing, TlsProbing
from linkgauge.schema import RAW_TABLES, WINDOW_5M
from linkgauge.table import Kind, Table
from tests.collector.world import inventory

PROBING = Probing(stamp=StampProbing(classes=[0, 46], paths=2), tls=TlsProbing())


def _keys(made: Inventory) -> Mapping[str, list[dict[str, str]]]:
    """Every set of keys that a running mesh of this inventory reports."""
    links, classes = [str(link) for link in made.links], ("0", "46")
    probes = [("stamp", each) for each in classes] + [(probe, "0") for probe in ("icmp", "tcp", "tls")]
    flows = [str(flow) for flow in range(flows_for(2))]
    kinds = [kind.value for kind in EventKind]
    windows = [{"link": a, "probe": p, "class": c} for a in links for p, c in probes]
    each = [{"link": link} for link in links]
    sites = {node.name: made.sites[node.site] for node in made.nodes.values()}
    members = [(node.name, network) for node in made.nodes.values() for network in node.addresses]
    return {
        "window": windows,
        "window_5m": windows,
        "path": [{"link": a, "class": c, "flow": f} for a in links for c in classes for f in flows],
        "event": [{"link": a, "class": c, "kind": k} for a in links for c in classes for k in kinds],
        "certificate": each, "throughput": each, "state": each,
        "health": [{"agent": name} for name in made.nodes],
        "collector": [{"collector": name} for name in ("one", "two")],
        "node": [
            {"node": name, "site": site.name, "region": site.region, "operator": site.operator}
            for name, site in sites.items()
        ],
        "member": [{"node": node, "network": network, "site": sites[node].name} for node, network in members],
        "sink": [{"collector": name, "sink": f"sink{at}"} for name in ("one", "two") for at in range(6)],
        "alert": [
            {"rule": rule, "severity": "page", "about": link, "direction": "-", "network": "n", "site": "s"}
            | {"team": "t"}
            for link in links for rule in ("a", "b", "c", "d")
        ],
        "place": [
            {"place": node, "kind": "node", "network": network, "direction": each, "site": "s"}
            for node, network in members for each in ("in", "out", "both")
        ],
    }  # fmt: skip


def _frame(table: Table, keys: list[dict[str, str]]) -> Frame:
    columns: dict[str, Any] = {key: [each[key] for each in keys] for key in table.keys}
    columns |= {"start_ns": [1] * len(keys), "length_ns": [1] * len(keys)}
    columns |= {field.name: [1.0] * len(keys) for field in table.fields if field.kind is Kind.REAL}
    return Frame.of(table, columns)


def _written(made: Inventory, tables: Mapping[str, Table]) -> Iterator[str]:
    keys, tags = _keys(made), link_tags(lambda: made)
    for name, table in tables.items():
        if table.measurements:
            yield from (line.partition(" ")[0] for line in lines(_frame(table, keys[name]), tags))


def test_it_is_the_number_of_series_that_are_written(tmp_path: Path) -> None:
    made = replace(inventory(tmp_path), probing=PROBING)
    counted = series(made)
    assert counted[""] == len(set(_written(made, RAW_TABLES)))
    assert counted["_5m"] == len(set(_written(made, {"window_5m": WINDOW_5M})))
    from_nodes = {(spec.tags["src"], spec.tags["network"], spec.tags["tier"]) for spec in made.links.values()}
    tests_and_scores = 2 * len(made.links) + len(from_nodes)
    assert counted["_1h"] == counted["_5m"] + tests_and_scores


def test_what_is_switched_off_has_no_series(tmp_path: Path) -> None:
    off = Probing(icmp=None, tcp=None, tls=None, path=None, throughput=None)
    sets = tag_sets(replace(inventory(tmp_path), probing=off))
    count = sets["state"]
    assert {name: sets[name] for name in ("window", "path", "event", "certificate", "throughput")} == {
        "window": count, "path": 0, "event": 0, "certificate": 0, "throughput": 0,
    }  # fmt: skip


def test_swept_flows_and_classes_multiply(tmp_path: Path) -> None:
    made = inventory(tmp_path)
    one, two = (
        tag_sets(replace(made, probing=Probing(stamp=StampProbing(classes=classes), path=PathProbing())))[
            "path"
        ]
        for classes in ([0], [0, 46])
    )
    assert two == 2 * one > 0


def test_warns_above_four_fifths() -> None:
    assert list(warnings({"a": 800}, 1000)) == []
    (sentence,) = warnings({"a": 801, "b": 5}, 1000)
    assert sentence.startswith("database a: 801 series, the bound is 1000; ")


def test_each_edition_of_the_inventory_is_counted_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small = inventory(tmp_path)
    large = replace(small, probing=PROBING)
    editions = itertools.cycle([small])
    watch = SeriesWatch(lambda: next(editions), ["raw"], series(large)[""])
    assert (watch.raw(), watch.warnings()) == (series(small)[""], [])
    editions = itertools.cycle([large])
    for _ in range(3):
        assert watch.raw() == series(large)[""]
        assert len(watch.warnings()) == 1
    assert [record.getMessage().split()[0] for record in caplog.records] == ["many_series"]
    assert SeriesWatch(lambda: large, (), 1).raw() == 0
