"""The pieces of a Grafana board as plain dicts: panels, value mappings, thresholds, overrides of a column.

Titles and descriptions are `Text`; colours are those of dashboards.colours. What is not known is never drawn
like zero: a gap is a gap, a missing value says so in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.colours import MET, NEUTRAL, NO_DATA, UNKNOWN
from dashboards.words import NO_DATA as NO_DATA_WORD
from dashboards.words import Json, Text

MICROSECONDS, SECONDS, RATIO, BITS, COUNT = "µs", "s", "percentunit", "bps", "short"
PLAIN, DEGREES = "none", "degree"
"""PLAIN: digit by digit, as the octets of an MTU."""
UNITS = {MICROSECONDS, SECONDS, RATIO, BITS, COUNT, PLAIN, DEGREES}


def thresholds(*steps: tuple[float, str]) -> Json:
    """Colour by value: that of "no data" below the first step, then each step's colour from its value on.

    Steps are 0 (of an excess over the objective), 1 (of a count) or made of the model; objectives themselves
    are columns.
    """
    known = [{"value": value, "color": color} for value, color in steps]
    return {"mode": "absolute", "steps": [{"value": None, "color": NO_DATA}, *known]}


def excess(within: str, beyond: str) -> Json:
    """Colour of a column that is above 0 where the objective is not kept."""
    return thresholds((-1e18, within), (1e-12, beyond))


def states(values: Mapping[int, tuple[Text, str]], missing: Text = NO_DATA_WORD) -> list[Json]:
    """Numbers told as coloured words, and a word of its own for no value, which must not look like 0."""
    options = {
        str(value): {"text": text, "color": color, "index": at}
        for at, (value, (text, color)) in enumerate(values.items())
    }
    return [{"type": "value", "options": options}, *absent(missing, len(options))]


def absent(missing: Text = NO_DATA_WORD, index: int = 0, color: str = NO_DATA) -> list[Json]:
    """A word for no value, and for the empty cell of a matrix.

    Not for what is no number: to Grafana before 10 that is every text.
    """
    nothing = {"text": missing, "color": color, "index": index}
    return [
        {"type": "special", "options": {"match": match, "result": nothing}} for match in ("null", "empty")
    ]


KEPT: list[Json] = [
    {
        "type": "range",
        "options": {"from": -1e18, "to": 0, "result": {"text": "✓", "color": MET, "index": 0}},
    }
]
"""Of what is beyond an objective: not above 0 needs no number. (An open end is 0 to Grafana's pages.)"""


def panel(
    kind: str, title: Text, description: Text, targets: Sequence[Json], unit: str, **parts: Any
) -> Json:
    """A panel of `kind`. parts: `defaults` and `overrides` of its fields, `options`, `transformations`;
    `last`: it shows this span before now ("5m") whatever the board's range is, unless that has fixed ends;
    `span_told`: whether its heading says so, where the title leaves room (it does by default)."""
    defaults = {"unit": unit, "noValue": NO_DATA_WORD, "thresholds": thresholds((0, NEUTRAL)), "mappings": []}
    named = [{"refId": chr(ord("A") + at), **target} for at, target in enumerate(targets)]
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": named[0]["datasource"],
        "targets": named,
        "fieldConfig": {
            "defaults": {**defaults, **parts.get("defaults", {})},
            "overrides": parts.get("overrides", []),
        },
        "options": parts.get("options", {}),
        "transformations": parts.get("transformations", []),
        **({"timeFrom": parts["last"]} if "last" in parts else {}),
        **({} if parts.get("span_told", True) else {"hideTimeOverride": True}),
    }


@dataclass(frozen=True, slots=True)
class Line:
    """How a line of a graph is drawn. name: its column; above: the line down to which the space is filled."""

    name: str
    shown: Text
    colour: str
    dashed: bool = False
    width: int = 1
    above: Text | None = None

    def override(self) -> Json:
        """As Grafana has it."""
        properties: dict[str, Any] = {
            "displayName": self.shown,
            "color": {"mode": "fixed", "fixedColor": self.colour},
            "custom_lineWidth": self.width,
        }
        if self.dashed:
            properties["custom_lineStyle"] = {"fill": "dash", "dash": [8, 8]}
        if self.above is not None:
            properties |= {"custom_fillBelowTo": self.above, "custom_fillOpacity": 35}
        return override(self.name, **properties)


def series(
    title: Text,
    description: Text,
    targets: Sequence[Json],
    unit: str,
    lines: Sequence[Line] = (),
    **parts: Any,
) -> Json:
    """Lines over time; a gap in the data is a gap in the line. Columns that are not among `lines` have the
    colour NEUTRAL, or one each when `parts` says so; `custom` changes how all are drawn."""
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
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    color = {"mode": "fixed", "fixedColor": NEUTRAL} if lines else {"mode": "palette-classic"}
    defaults = {"custom": custom, "color": color, **parts.pop("defaults", {})}
    overrides = [*(line.override() for line in lines), *parts.pop("overrides", [])]
    return panel(
        "timeseries",
        title,
        description,
        targets,
        unit,
        defaults=defaults,
        options=options,
        overrides=overrides,
        **parts,
    )


def stat(
    title: Text, description: Text, targets: Sequence[Json], unit: str, color: Json, **parts: Any
) -> Json:
    """Big numbers, one for each series, coloured by the thresholds `color`. They may be narrow."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background",
        "graphMode": "none",
        "textMode": "auto",
        "justifyMode": "center",
        "orientation": "auto",
    }
    defaults = {"thresholds": color, "color": {"mode": "thresholds"}, **parts.pop("defaults", {})}
    return panel(
        "stat", title, description, targets, unit,
        defaults=defaults, options=options, span_told="last" not in parts, **parts,
    )  # fmt: skip


def timeline(
    title: Text, description: Text, targets: Sequence[Json], mappings: list[Json], **parts: Any
) -> Json:
    """A bar for each series that shows its state; no bar where nothing was written."""
    return panel(
        "state-timeline",
        title,
        description,
        targets,
        COUNT,
        defaults={
            "mappings": mappings,
            "color": {"mode": "fixed", "fixedColor": UNKNOWN},  # by thresholds the mappings would not count
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
        **parts,
    )


def override(field: str, **properties: Any) -> Json:
    """Properties of one column; `_` in a property's name stands for the `.` of Grafana's id."""
    pairs = ({"id": name.replace("_", "."), "value": value} for name, value in properties.items())
    return {"matcher": {"id": "byName", "options": field}, "properties": list(pairs)}
