"""Frames as InfluxDB line protocol, from columns. Pure.

One line per row and measurement: tags are those of the link (schema.LINK_TAGS) and the table's other keys,
counts have the suffix ``i``, reals are the shortest text that reads back and always have a point or an
exponent, so that every version takes them for floats; texts are quoted. What is not known (NaN, infinity, an
empty text or tag) is left out, and so is a row without any value. Times are ns.

Rows in which the same values are known share one format, which is then applied to whole columns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, pairwise

import numpy as np
from numpy.typing import NDArray

from linkgauge.errors import ConfigError
from linkgauge.frame import Frame
from linkgauge.schema import LINK_TAGS
from linkgauge.table import Field, Kind

_TAG_ESCAPES = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\n": "_", "\r": "_", "\t": "_"})

_TEXT_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": " ", "\r": " "})
_FORMATS = {Kind.COUNT: "{}=%di", Kind.REAL: "{}=%r", Kind.TEXT: '{}="%s"'}
MOST_LINKS = 200_000
"""Links whose tags are remembered; more than the largest mesh has."""


def escape_tag(text: str) -> str:
    """A tag's key or value. What the protocol cannot say (line break, last backslash) is replaced."""
    escaped = text.translate(_TAG_ESCAPES)
    return f"{escaped[:-1]}_" if escaped.endswith("\\") else escaped


def _unchanging() -> object:
    return None


@dataclass(slots=True)
class LineMaker:
    """Makes lines; remembers the tag part of each link as long as `edition` gives the same object.

    link_tags: tags of a link by its text form. A text that is no link keeps the tag `link` alone, so that its
    rows are seen and not lost. For many threads.
    """

    link_tags: Callable[[str], Mapping[str, str]]
    edition: Callable[[], object] = _unchanging
    _memory: tuple[object, dict[str, str]] = field(default_factory=lambda: (None, {}))

    def lines(self, frame: Frame) -> list[str]:
        """All lines of a frame, measurement by measurement, rows in order."""
        measurements = frame.table.measurements
        if not measurements or not frame.rows:
            return []
        tags, times = self._tags(frame), frame.count("start_ns").tolist()
        made: list[str] = []
        for measurement in measurements:
            fields = [f for f in frame.table.fields if f.measurement == measurement]
            made += _of_measurement(measurement, frame, fields, tags, times)
        return made

    def _tags(self, frame: Frame) -> list[str]:
        """The tag part of each row: empty, or a comma and the tags."""
        keys = [key for key in frame.table.keys if key != "link"]
        own: dict[tuple[str, ...], str] = {}
        rows = list(zip(*(frame.text(key).tolist() for key in keys), strict=True)) or [()] * frame.rows
        for row in set(rows):
            own[row] = _tag_text(dict(zip(keys, row, strict=True)))
        if "link" not in frame.table.keys:
            return [own[row] for row in rows]
        names = frame.text("link").tolist()
        known = self._remembered(set(names))
        return [known[name] + own[row] for name, row in zip(names, rows, strict=True)]

    def _remembered(self, names: Collection[str]) -> Mapping[str, str]:
        """The tag part of each of these links."""
        edition, remembered = self.edition(), self._memory
        if remembered[0] is not edition or len(remembered[1]) > MOST_LINKS:
            remembered = self._memory = edition, {}
        known = remembered[1]
        for name in names:
            if name not in known:
                known[name] = self._of_link(name)
        return known

    def _of_link(self, name: str) -> str:
        try:
            tags = self.link_tags(name)
        except ConfigError:
            tags = {"link": name}
        return _tag_text({tag: tags[tag] for tag in LINK_TAGS if tag in tags})


def lines(frame: Frame, link_tags: Callable[[str], Mapping[str, str]]) -> list[str]:
    """All lines of a frame; link_tags: tags of a link by its text form, asked once for each distinct link."""
    return LineMaker(link_tags).lines(frame)


def _tag_text(tags: Mapping[str, str]) -> str:
    return "".join(f",{key}={escape_tag(value)}" for key, value in tags.items() if value)


def _of_measurement(
    measurement: str, frame: Frame, fields: Sequence[Field], tags: Sequence[str], times: Sequence[int]
) -> list[str]:
    known = np.stack([_known(frame, field) for field in fields], axis=1)
    formats = [_FORMATS[field.kind].format(field.name) for field in fields]
    columns = [tags, *(_values(frame, field) for field in fields), times]
    values: list[tuple[object, ...]] = []
    made = [""] * frame.rows
    for rows, present in _alike(known):
        if not any(present):
            continue
        pattern = f"{measurement}%s {','.join(compress(formats, present))} %d"
        mask = (True, *present, True)
        if len(rows) == frame.rows:
            return [pattern % row for row in zip(*compress(columns, mask), strict=True)]
        values = values or list(zip(*columns, strict=True))
        for at in rows:
            made[at] = pattern % tuple(compress(values[at], mask))
    return [line for line in made if line]


def _alike(known: NDArray[np.bool_]) -> Iterator[tuple[list[int], list[bool]]]:
    """Rows in which the same values are known, and which these are."""
    packed = np.ascontiguousarray(np.packbits(known, axis=1))
    _, first, which = np.unique(
        packed.view(np.dtype((np.void, packed.shape[1]))).ravel(), return_index=True, return_inverse=True
    )
    order = np.argsort(which, kind="stable")
    ends = [0, *(np.flatnonzero(np.diff(which[order])) + 1).tolist(), len(order)]
    rows, present = order.tolist(), known[first].tolist()
    for at, (begin, end) in enumerate(pairwise(ends)):
        yield rows[begin:end], present[at]


def _known(frame: Frame, field: Field) -> NDArray[np.bool_]:
    """(rows,) whether the row has a value in this field."""
    if field.kind is Kind.REAL:
        return np.isfinite(frame.real(field.name))
    if field.kind is Kind.TEXT:
        return np.fromiter(map(bool, frame.text(field.name)), np.bool_, frame.rows)
    return np.ones(frame.rows, np.bool_)


def _values(frame: Frame, field: Field) -> list[object]:
    """One column as Python values. A line break in a text would end the line: it becomes a space."""
    if field.kind is Kind.COUNT:
        return list(frame.count(field.name).tolist())
    if field.kind is Kind.REAL:
        return list(frame.real(field.name).tolist())
    return [text.translate(_TEXT_ESCAPES) for text in frame.text(field.name).tolist()]
