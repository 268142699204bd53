"""A whole board: its variables, its sections laid out from top to bottom, its ways to the others.

Every board has the variables `ds` (the raw database) and `resolution` (raw, or a roll-up for long ranges).
Every board also has `hours`, the database of hours, shown where a board says so. A board asks at most
MOST_QUERIES queries when it is opened: those of panels that are not in a collapsed section, of variables and
of annotations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.links import TITLES, uid, ways
from dashboards.query import RAW, matches
from dashboards.words import LANGUAGES, Json, Text

DATA_SOURCE_UID = "linkgauge-influx"
MOST_QUERIES = 25
WIDTH = 24
REGEX = "/^linkgauge/"
"""Data sources offered: by name."""


@dataclass(frozen=True, slots=True)
class Band:
    """Panels side by side: their height and, for each, its width; the widths are 24 together."""

    height: int
    panels: tuple[tuple[int, Json], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the bands below it. collapsed: nothing below is asked for until somebody opens it."""

    title: Text
    bands: tuple[Band, ...]
    collapsed: bool = False


def band(height: int, *panels: tuple[int, Json]) -> Band:
    """Panels as (width, panel)."""
    return Band(height, panels)


def even(height: int, *panels: Json) -> Band:
    """Panels of the same width."""
    width, rest = divmod(WIDTH, len(panels))
    return Band(height, tuple((width + (at < rest), panel) for at, panel in enumerate(panels)))


def board(
    name: str, description: Text, variables: Sequence[Json], sections: Sequence[Section], **parts: Any
) -> Json:
    """The board `name` of dashboards.links.TITLES, with `Text` in it.

    parts: `annotations`; `span`, the range at which it opens ("1h"); `refresh` ("30s"); `hours`: whether the
    database of hours can be chosen. schemaVersion 36 is Grafana 9.4's; later ones upgrade it themselves.
    """
    return {
        "uid": Text(**{language: uid(name, language) for language in LANGUAGES}),
        "title": TITLES[name],
        "description": description,
        "tags": ["linkgauge"],
        "schemaVersion": 36,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": f"now-{parts.get('span', '1h')}", "to": "now"},
        "refresh": parts.get("refresh", "30s"),
        "timezone": "browser",
        "templating": {"list": [*_sources(parts.get("hours", False)), *variables]},
        "annotations": {"list": list(parts.get("annotations", ()))},
        "links": ways(name),
        "panels": laid(sections),
    }


def laid(sections: Sequence[Section]) -> list[Json]:
    """The panels with their places in the grid of 24 columns and their ids, row headings between them."""
    made: list[Json] = []
    y, ids = 0, iter(range(1, 10_000))
    for section in sections:
        heading = {
            "id": next(ids),
            "type": "row",
            "title": section.title,
            "collapsed": section.collapsed,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
        }
        placed, end = _placed(section.bands, y + 1, ids)
        made += [{**heading, "panels": placed}] if section.collapsed else [heading, *placed]
        y = y + 1 if section.collapsed else end
    return made


def _placed(bands: Sequence[Band], y: int, ids: Iterator[int]) -> tuple[list[Json], int]:
    made = []
    for each in bands:
        x = 0
        for width, panel in each.panels:
            grid = {"x": x, "y": y, "w": width, "h": each.height}
            made.append({"id": next(ids), **panel, "gridPos": grid})
            x += width
        y += each.height
    return made, y


def variable(
    name: str,
    label: Text,
    measurement: str,
    filters: Sequence[str] = (),
    *,
    tag: str = "",
    one: bool = False,
) -> Json:
    """A list of the tag's values, narrowed by the variables `filters`, "tag=variable" where they are called
    otherwise; All stands for every value.

    tag: where it is not called as the variable. one: exactly one value is chosen, and there is no All.
    """
    narrowed = "".join(f"{matches(*filter.split('='))} AND " for filter in filters)
    query = (
        f'SHOW TAG VALUES FROM "{measurement}" WITH KEY = "{tag or name}" WHERE {narrowed}time > now() - 30d'
    )
    every = {} if one else {"allValue": ".*"}
    current = {} if one else {"text": ["All"], "value": ["$__all"], "selected": True}
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": RAW,
        "query": query,
        "multi": not one,
        "includeAll": not one,
        **every,
        "current": current,
        "refresh": 2,
        "sort": 1,
        "hide": 0,
    }


def hidden_variable(name: str, query: str) -> Json:
    """The values that a statement gives, all of them chosen; not shown. `$timeFilter` may stand in it once.

    It has no `allValue`: when the statement gives nothing, nothing is chosen, and not everything.
    """
    made = variable(name, Text("", ""), "")
    del made["allValue"]
    return {**made, "query": query, "hide": 2, "sort": 0}


def annotation(name: Text, query: str, colour: str, *, text: str, tags: str = "") -> Json:
    """Marks on all graphs. text, tags: columns of the query; `$timeFilter` may stand in it once.

    Grafana asks what `target` says; without one only 9 asks, and later ones show no mark.
    """
    asked = {
        "refId": "Anno",
        "query": query,
        "queryType": "tags",
        "fromAnnotations": True,
        "rawQuery": True,
        "name": name,
        "textColumn": text,
        "tagsColumn": tags,
        "titleColumn": "",
        "timeEndColumn": "",
    }
    return {
        "name": name,
        "datasource": RAW,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "target": asked,
        **{
            known: asked[known]
            for known in ("query", "textColumn", "tagsColumn", "fromAnnotations", "rawQuery")
        },
        "type": "tags",
    }


def _sources(hours: bool) -> list[Json]:
    """The choice of data sources, so that a board can be imported where they have other uids.

    Grafana 9.4 finds the one at the start by its name, later ones by its uid.
    """
    return [
        _source("ds", Text("Data source", "数据源")),
        _source("resolution", Text("Resolution", "分辨率")),
        _source("hours", Text("Hours", "小时数据"), " 1h", "-1h", 0 if hours else 2),
    ]


def _source(name: str, label: Text, title: str = "", ending: str = "", hide: int = 0) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "datasource",
        "query": "influxdb",
        "regex": REGEX,
        "current": {"text": f"linkgauge{title}", "value": f"{DATA_SOURCE_UID}{ending}", "selected": True},
        "hide": hide,
    }
