"""Frames as InfluxDB line protocol, from columns. Pure.

One line per row and measurement: tags are those of the link (schema.LINK_TAGS) and the table's other keys,
counts have the suffix ``i``, reals are the shortest text that reads back, texts are quoted, values
that are not known are left out, a row without any value is left out, times are ns. Tags are sorted as the
schema has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from linkgauge.frame import Frame
from linkgauge.schema import LINK_TAGS
from linkgauge.table import Kind

_TAG_ESCAPES = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\n": "_", "\r": "_", "\t": "_"})

_TEXT_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": " ", "\r": " "})


def escape_tag(text: str) -> str:
    """A tag's key or value. What the protocol cannot say (line break, last backslash) is replaced."""
    escaped = text.translate(_TAG_ESCAPES)
    return f"{escaped[:-1]}_" if escaped.endswith("\\") else escaped


def lines(frame: Frame, link_tags: Callable[[str], Mapping[str, str]]) -> list[str]:
    """All lines of a frame, measurement by measurement, rows in order.

    link_tags: tags of a link by its text form; asked once for each distinct link.
    """
    tags = _tags(frame, link_tags)
    times = frame.count("start_ns").tolist()
    made: list[str] = []
    for measurement in frame.table.measurements:
        columns = [_values(frame, f.name, f.kind) for f in frame.table.fields if f.measurement == measurement]
        made += [
            f"{measurement}{tag} {fields} {time}"
            for tag, fields, time in zip(tags, map(",".join, _present(columns)), times, strict=True)
            if fields
        ]
    return made


def _present(columns: list[list[str]]) -> Iterable[Iterable[str]]:
    return (filter(None, row) for row in zip(*columns, strict=True))


def _values(frame: Frame, name: str, kind: Kind) -> list[str]:
    """One column as ``name=value`` texts, empty where there is no value."""
    if kind is Kind.COUNT:
        return [f"{name}={value}i" for value in frame.count(name).tolist()]
    if kind is Kind.TEXT:
        return [f"{name}={_quoted(value)}" if value else "" for value in frame.text(name).tolist()]
    return [f"{name}={value!r}" if math.isfinite(value) else "" for value in frame.real(name).tolist()]


def _quoted(text: str) -> str:
    """A text field. A line break would end the line: it becomes a space."""
    return '"' + text.translate(_TEXT_ESCAPES) + '"'


def _tags(frame: Frame, link_tags: Callable[[str], Mapping[str, str]]) -> list[str]:
    """The tag part of each row: empty, or a comma and the tags."""
    keys = frame.table.keys
    made: dict[tuple[str, ...], str] = {}
    rows = list(zip(*(frame.text(key).tolist() for key in keys), strict=True))
    for row in rows:
        if row not in made:
            named = dict(zip(keys, row, strict=True))
            if "link" in named:
                known = link_tags(named.pop("link"))
                named = {**{tag: known[tag] for tag in LINK_TAGS if tag in known}, **named}
            made[row] = "".join(f",{key}={escape_tag(value)}" for key, value in named.items() if value)
    return [made[row] for row in rows]
