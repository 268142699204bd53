"""Rows of every table that rules look at, with faults on purpose: each rule breaches here, in several ways.

Each thing of a table has a pattern of breaches of its own, the same in all columns that rules look at.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alerts.rule import TABLES, Rule, Watch, load_rules, watches
from linkgauge.frame import Frame
from linkgauge.table import Kind
from tests.dashboards.world import WINDOW_NS, inventory

WINDOWS = 110
CALM = 12
"""Windows without a breach at the beginning and at the end."""

Row = dict[str, Any]


def patterns(things: int) -> list[list[bool]]:
    """Breaches by window of each thing: a long fault, a spread one, single blips, runs at random."""
    made = [_long, _spread, _blips]
    dice = random.Random(7)
    return [[made[at](w) for w in range(WINDOWS)] if at < 3 else _runs(dice) for at in range(things)]


def _long(window: int) -> bool:
    return 15 <= window < 27 or 60 <= window < 81


def _spread(window: int) -> bool:
    return (20 <= window < 50 and window % 2 == 0) or (70 <= window < 90 and window % 3 > 0)


def _blips(window: int) -> bool:
    return window in (15, 40, 46, 70, 71, 78)


def _runs(dice: random.Random) -> list[bool]:
    made = [False] * CALM
    while len(made) < WINDOWS - CALM:
        made += [True] * dice.choice((1, 2, 3, 5, 9)) + [False] * dice.randint(1, 9)
    return [*made[: WINDOWS - CALM], *[False] * CALM]


def keys() -> dict[str, list[Row]]:
    """The things of each table."""
    world = inventory()
    nodes = [
        {"node": node.name, "site": node.site, "region": "r", "operator": "op"}
        for node in world.nodes.values()
    ]
    places = [
        {"place": name, "kind": kind, "network": "backbone", "direction": "in", "site": "guiyang"}
        for kind, name in (("site", "guiyang"), ("node", "g1"), ("hop", "10.9.0.1"))
    ]
    return {
        "state": [{"link": str(link)} for link in world.links],
        "node": nodes,
        "sink": [{"collector": "c1", "sink": sink} for sink in ("archive", "influxdb", "copy")],
        "collector": [{"collector": name} for name in ("c1", "c2", "c3")],
        "place": places,
    }


def frames(first_ns: int, rules: Sequence[Rule] = ()) -> Iterator[dict[str, Frame]]:
    """The frames of each window, in order. A place has a row only while it breaches."""
    watched = watches(tuple(rules or load_rules()))
    things = keys()
    broken = {name: patterns(len(rows)) for name, rows in things.items()}
    for window in range(WINDOWS):
        yield {
            name: frame(
                name,
                first_ns + window * WINDOW_NS,
                [
                    {**row, **_values(name, at, broken[name][at][window], watched)}
                    for at, row in enumerate(rows)
                    if name != "place" or broken[name][at][window]
                ],
            )
            for name, rows in things.items()
        }


def frame(name: str, start_ns: int, rows: Sequence[Mapping[str, Any]]) -> Frame:
    """Rows of one window; what is not told is unknown."""
    table = TABLES[name]
    columns: dict[str, Any] = {key: [row[key] for row in rows] for key in table.keys}
    columns["start_ns"] = [start_ns] * len(rows)
    columns["length_ns"] = [WINDOW_NS] * len(rows)
    for each in table.fields:
        unknown = {Kind.COUNT: 0, Kind.TEXT: ""}.get(each.kind, float("nan"))
        columns[each.name] = [row.get(each.name, unknown) for row in rows]
    return Frame.of(table, columns, len(rows))


def _values(name: str, at: int, breached: bool, watched: Sequence[Watch]) -> Row:
    """Every watched column of a row. Where a column has several rules, some breach the lower bound only."""
    made: Row = {"measured": 1, "fit": 1} if name == "state" else {}
    for watch in watched:
        if watch.table != name:
            continue
        bounds = sorted(
            each.rule.bound for each in watched if (each.table, each.field) == (name, watch.field)
        )
        above = watch.rule.above is not None
        bound = bounds[-1] if at % 2 == 0 else bounds[0]
        known = watch.rule.unknown == "holds"
        if breached:
            made[watch.field] = bound + 1 if above else bound - 1
        elif known:
            made[watch.field] = bounds[0] - 0.25 if above else bounds[-1] + 1
    return {
        key: int(value) if TABLES[name].field(key).kind is Kind.COUNT else float(value)
        for key, value in made.items()
    }
