"""Tables and matrices: columns in a fixed order with words for headings, cells coloured, cells that lead on.

Newer Grafana gives the tags of a table in random order, so the order is always told. The column of time is
"Time", in 9.4 sometimes "time": both are meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboards.panel import COUNT, absent, override, panel
from dashboards.words import NO_DATA, TIME, Json, Text

TIMES = ("Time", "time")
_TIME_WIDTH, _LEAST_WIDTH, _LEAST_CELL = 170, 60, 48
"""Pixels. Without the least ones Grafana gives each column 150, and hides what then lacks room."""
_BACKGROUND: Json = {
    "displayMode": "color-background-solid",
    "cellOptions": {"type": "color-background", "mode": "basic"},
}
"""A cell with its colour as background: as the first builds of 9.4 have it, and as later ones do."""
_PLAIN: Json = {"displayMode": "auto", "cellOptions": {"type": "auto"}}
_OPTIONS = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False}}


@dataclass(frozen=True, slots=True)
class Column:
    """A column. name: its tag or value column; unit: None of texts and words; width: pixels, 0 shares what
    columns with a width leave.

    more: further properties of Grafana's field configuration (`mappings`, `thresholds`, `links`, ...).
    """

    name: str
    shown: Text
    unit: str | None = None
    more: dict[str, Any] = field(default_factory=dict)
    width: int = 0

    def override(self) -> Json:
        """As Grafana has it. Only texts can be filtered by: the sign for it takes room from the heading."""
        unit = {"unit": self.unit} if self.unit else {"custom_filterable": True}
        width = {"custom_width": self.width} if self.width else {}
        return override(self.name, displayName=self.shown, **unit, **width, **self.more)


def coloured(**more: Any) -> dict[str, Any]:
    """Properties of a column whose cells have the colour of their value as background."""
    return {f"custom_{name}": value for name, value in _BACKGROUND.items()} | more


def table(
    title: Text,
    description: Text,
    targets: Sequence[Json],
    columns: Sequence[Column],
    *,
    first: tuple[str, bool] | None = None,
    time: bool = False,
    missing: Text = NO_DATA,
    **parts: Any,
) -> Json:
    """Rows of all targets merged by the tags that they share; what is not among `columns` is not shown.

    first: the column to sort by, and whether descending. time: the first column is the time of the row.
    """
    names = [*(TIMES if time else ()), *(column.name for column in columns)]
    when = {"displayName": TIME, "unit": "dateTimeAsLocal", "custom_width": _TIME_WIDTH}
    times = [override(name, **when) for name in TIMES] if time else []
    return panel(
        "table",
        title,
        description,
        targets,
        COUNT,
        defaults={
            "custom": {"align": "auto", "minWidth": _LEAST_WIDTH},
            "mappings": absent(missing),
            "noValue": missing,
        },
        overrides=[*times, *(column.override() for column in columns)],
        options=_OPTIONS,
        transformations=_steps(names, first, len(targets) > 1),
        **parts,
    )


def _steps(names: Sequence[str], first: tuple[str, bool] | None, several: bool) -> list[Json]:
    """What Grafana does to the answers: keep the columns that are shown, join, sort, put them in order."""
    kept = [*names, *(first or ())[:1]]
    steps: list[Json] = [{"id": "filterFieldsByName", "options": {"include": {"names": kept}}}]
    if several:
        steps.append({"id": "merge", "options": {}})
    if first is not None:
        sort = [{"field": first[0], "desc": first[1]}]
        steps.append({"id": "sortBy", "options": {"fields": {}, "sort": sort}})
    hidden = {name: True for name in kept if name not in names}
    order = {name: at for at, name in enumerate(names)}
    organize = {"excludeByName": hidden, "indexByName": order, "renameByName": {}}
    return [*steps, {"id": "organize", "options": organize}]


def matrix(
    title: Text,
    description: Text,
    target: Json,
    tags: tuple[str, str],
    value: str,
    unit: str,
    *,
    color: Json,
    links: Sequence[Json] = (),
    mappings: Sequence[Json] = (),
    decimals: int | None = None,
    **parts: Any,
) -> Json:
    """One row for each value of the first tag, one column for each of the second; `value` is the target's one
    value column. A pair without a row says "no data". In links, `dashboards.links` ROW and COLUMN."""
    corner = f"{tags[0]}\\{tags[1]}"
    return panel(
        "table",
        title,
        description,
        [target],
        unit,
        defaults={
            "custom": {"align": "center", "minWidth": _LEAST_CELL, **_BACKGROUND},
            "color": {"mode": "thresholds"},
            "thresholds": color,
            "mappings": [*mappings, *absent(Text("–", "–"), len(mappings))],
            **({} if decimals is None else {"decimals": decimals}),
        },
        overrides=[_corner(corner), _cells(links)],
        options=_OPTIONS,
        span_told=False,
        transformations=[
            _sorted_by(tags[1]),
            _nameless(value),
            {"id": "groupingToMatrix", "options": {**_CELLS, "rowField": tags[0], "columnField": tags[1]}},
            _sorted_by(corner),
            _sorted_by(tags[0]),
        ],
        **parts,
    )


_NAMELESS = "Last"
"""What Grafana calls the column that `_nameless` adds."""
_CELLS = {"valueField": _NAMELESS, "emptyValue": "null"}


def _nameless(value: str) -> Json:
    """A copy of the column `value` without the name that newer Grafana's server gives it: each column of the
    matrix would have that name, and show the values of the last one. No `alias`: it would be such a name."""
    reduce = {"include": [value], "reducer": "last"}
    return {
        "id": "calculateField",
        "options": {"mode": "reduceRow", "reduce": reduce, "timeSeries": False, "replaceFields": False},
    }


def _sorted_by(name: str) -> Json:
    """Rows in the order of a column; nothing where there is none. The column of a matrix that names its rows
    has its own name, or in newer Grafana that of the tag."""
    return {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": name}]}}


def _cells(links: Sequence[Json]) -> Json:
    """Links of the numbers of a matrix. (Newer Grafana adds those of all fields to the corner's none.)"""
    return {
        "matcher": {"id": "byType", "options": "number"},
        "properties": [{"id": "links", "value": list(links)}],
    }


def _corner(name: str) -> Json:
    """The first column of a matrix: names, plain."""
    return override(
        name,
        displayName=Text("from \\ to", "起 \\ 止"),
        custom_width=100,
        **{f"custom_{name}": value for name, value in _PLAIN.items()},
        unit="string",
    )
