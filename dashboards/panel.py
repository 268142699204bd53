"""The pieces of a Grafana board as plain dicts: targets, panels, variables, value mappings.

Kept to what Grafana 9.4 to 13 read alike: raw InfluxQL, one value column and one statement for each target,
variables always as `=~ /^${name:regex}$/`. Colours are of Okabe and Ito's palette, which colour-blind
people tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

DATA_SOURCE: Json = {"type": "influxdb", "uid": "${ds}"}
BLUE, ORANGE, VERMILLION, GREY = "#0072B2", "#E69F00", "#D55E00", "#8C8C8C"
STEP = "GROUP BY time($__interval)"
MICROSECONDS, SECONDS, RATIO, BITS, COUNT = "µs", "s", "percentunit", "bps", "short"


def where(*filters: str) -> str:
    """The WHERE clause of a panel: the board's time range, then every tag as its variable says."""
    tags = (f'"{name}" =~ /^${{{name}:regex}}$/' for name in filters)
    return " AND ".join(["WHERE $timeFilter", *tags])


def target(ref_id: str, query: str, alias: str = "", table: bool = False) -> Json:
    """One statement with one value column; `alias` names the series of a time series."""
    return {
        "refId": ref_id,
        "datasource": DATA_SOURCE,
        "rawQuery": True,
        "query": query,
        "alias": alias,
        "resultFormat": "table" if table else "time_series",
        "policy": "default",
        "measurement": "",
        "tags": [],
        "select": [],
        "groupBy": [],
        "orderByTime": "ASC",
        "hide": False,
    }


def thresholds(*steps: tuple[float, str]) -> Json:
    """Colour by value: grey below the first step, then each step's colour from its value on."""
    known = [{"value": value, "color": color} for value, color in steps]
    return {"mode": "absolute", "steps": [{"value": None, "color": GREY}, *known]}


def words(values: Mapping[int, tuple[str, str]], missing: str) -> list[Json]:
    """Numbers told as coloured words, and a word of its own for no value, which must not look like 0."""
    options = {
        str(value): {"text": text, "color": color, "index": at}
        for at, (value, (text, color)) in enumerate(values.items())
    }
    nothing = {"text": missing, "color": GREY, "index": len(options)}
    return [
        {"type": "value", "options": options},
        {"type": "special", "options": {"match": "null+nan", "result": nothing}},
    ]


def panel(kind: str, title: str, description: str, targets: Sequence[Json], unit: str, **parts: Any) -> Json:
    """A panel of `kind`. parts: `defaults` and `overrides` of its fields, `options`, `transformations`."""
    defaults = {"unit": unit, "noValue": "no data", "thresholds": thresholds((0, BLUE)), "mappings": []}
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATA_SOURCE,
        "targets": list(targets),
        "fieldConfig": {
            "defaults": {**defaults, **parts.get("defaults", {})},
            "overrides": parts.get("overrides", []),
        },
        "options": parts.get("options", {}),
        "transformations": parts.get("transformations", []),
    }


def series(title: str, description: str, targets: Sequence[Json], unit: str, **parts: Any) -> Json:
    """Lines over time; a gap in the data is a gap in the line. `custom` changes how the lines are drawn."""
    custom = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 0,
        "showPoints": "auto",
        "spanNulls": False,
        "axisSoftMin": 0,
        **parts.pop("custom", {}),
    }
    options = {
        "legend": {"displayMode": "table", "placement": "right", "calcs": ["max", "lastNotNull"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    defaults = {"custom": custom, "color": {"mode": "palette-classic"}, **parts.pop("defaults", {})}
    return panel("timeseries", title, description, targets, unit, defaults=defaults, options=options, **parts)


def stat(title: str, description: str, query: str, color: Json) -> Json:
    """One big number, coloured by the thresholds `color`."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background",
        "graphMode": "none",
        "textMode": "value",
        "justifyMode": "center",
        "orientation": "auto",
    }
    defaults = {"thresholds": color, "color": {"mode": "thresholds"}}
    return panel(
        "stat", title, description, [target("A", query)], COUNT, defaults=defaults, options=options
    )  # fmt: skip


def timeline(title: str, description: str, query: Json, mappings: list[Json]) -> Json:
    """A bar for each series that shows its state; no bar where nothing was written."""
    return panel(
        "state-timeline",
        title,
        description,
        [query],
        COUNT,
        defaults={
            "mappings": mappings,
            "color": {"mode": "thresholds"},
            "custom": {"lineWidth": 0, "fillOpacity": 90, "spanNulls": False},
        },
        options={
            "mergeValues": True,
            "showValue": "never",
            "rowHeight": 0.9,
            "alignValue": "left",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "single", "sort": "none"},
        },
    )


def row(title: str) -> Json:
    """A heading over the panels that follow."""
    return {"type": "row", "title": title, "collapsed": False, "panels": []}


def override(field: str, **properties: Any) -> Json:
    """Properties of one column; `_` in a property's name stands for the `.` of Grafana's id."""
    pairs = ({"id": name.replace("_", "."), "value": value} for name, value in properties.items())
    return {"matcher": {"id": "byName", "options": field}, "properties": list(pairs)}


def variable(name: str, label: str, measurement: str, filters: Sequence[str] = ()) -> Json:
    """A list of the tag's values, narrowed by the variables before it; All stands for every value."""
    narrowed = "".join(f'"{tag}" =~ /^${{{tag}:regex}}$/ AND ' for tag in filters)
    query = f'SHOW TAG VALUES FROM "{measurement}" WITH KEY = "{name}" WHERE {narrowed}time > now() - 30d'
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATA_SOURCE,
        "query": query,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"], "selected": True},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
    }


def data_source_variable(uid: str) -> Json:
    """The choice of data source, so that the board can be imported where the source has another uid."""
    current = {"text": "linkgauge", "value": uid, "selected": True}
    return {
        "name": "ds",
        "label": "Data source",
        "type": "datasource",
        "query": "influxdb",
        "current": current,
        "hide": 0,
    }


def board(uid: str, title: str, variables: Sequence[Json], panels: Sequence[Json]) -> Json:
    """The whole board; panels get their ids in order. schemaVersion 36 is that of 9.4; later ones upgrade."""
    return {
        "uid": uid,
        "title": title,
        "tags": ["linkgauge"],
        "schemaVersion": 36,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "10s",
        "timezone": "browser",
        "templating": {"list": list(variables)},
        "annotations": {"list": []},
        "panels": [{"id": at, **panel} for at, panel in enumerate(panels, 1)],
    }


def placed(panel: Json, x: int, y: int, width: int, height: int) -> Json:
    """The panel at its place in the grid of 24 columns."""
    return {**panel, "gridPos": {"x": x, "y": y, "w": width, "h": height}}
