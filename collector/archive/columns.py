"""Rows of deliveries as Arrow columns, by day and network: what the archive writes. Pure.

Numbers and histograms are handed over as they lie in memory; texts, tags of links included, as dictionaries.
The columns and their types are those told at the top of collector/sinks/archive.py, whatever the rows are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from collector.sinks.link_tags import Tags
from collector.sinks.sink import Delivery
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame, Histograms
from linkgauge.model import NAME
from linkgauge.schema import LINK_TAGS
from linkgauge.table import Kind, Table
from linkgauge.words import Words, join

DAY_NS = 86_400 * NS_PER_S
NO_NETWORK = "none"
_TAGS = tuple(name for name in LINK_TAGS if name not in ("link", "network"))
_TYPES = {Kind.TEXT: pa.string(), Kind.COUNT: pa.int64(), Kind.REAL: pa.float64()}
Place = tuple[int, str]
"""Day since 1970, UTC, and name of the network."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of one delivery that belong to one place."""

    delivery: Delivery
    frame: Frame


def schema(table: Table) -> pa.Schema:
    """Columns of the table's files, in order; texts are written as strings."""
    fields = []
    for field in table.columns:
        if field.kind is Kind.HISTOGRAM:
            fields += [
                (f"{field.name}_bucket", pa.list_(pa.int32())),
                (f"{field.name}_count", pa.list_(pa.int64())),
            ]
        else:
            fields.append((field.name, _TYPES[field.kind]))
    return pa.schema([*fields, *((name, pa.string()) for name in _extra(table)), ("number", pa.int64())])


def columns(table: Table, entries: Sequence[Delivery], tags: Tags) -> dict[Place, pa.Table]:
    """The rows of `table` in the deliveries, in order, apart by place; texts are dictionaries.

    tags: asked once for each link.
    """
    known = _Networks(tags)
    parts: defaultdict[Place, list[_Part]] = defaultdict(list)
    for entry in entries:
        if table.name in entry.frames:
            for place, frame in _apart(entry.frames[table.name], known):
                parts[place].append(_Part(entry, frame))
    return {place: _table(table, some, known) for place, some in parts.items()}


class _Networks(dict[str, str]):
    """Network by link; the tags of each link are asked for once."""

    def __init__(self, tags: Tags) -> None:
        super().__init__()
        self.tags: dict[str, Mapping[str, str]] = {}
        self._ask = tags

    def __missing__(self, link: str) -> str:
        self.tags[link] = self._ask(link)
        network = self[link] = self.tags[link]["network"]
        return network


def _apart(frame: Frame, known: _Networks) -> Iterable[tuple[Place, Frame]]:
    days = frame.count("start_ns") // DAY_NS
    names, of_row = [NO_NETWORK], np.zeros(frame.rows, np.int64)
    own = next((key for key in ("link", "network") if key in frame.table.keys), None)
    if own is not None:
        words = frame.words(own)
        networks = [known[word] if own == "link" else _folder(word) for word in words.words]
        names = list(dict.fromkeys(networks))
        if len(names) > 1:
            of_row = np.array([names.index(name) for name in networks], np.int64)[words.codes]
    first, last = int(days.min()), int(days.max())
    if first == last and len(names) == 1:
        return [((first, names[0]), frame)]
    group = (days - first) * len(names) + of_row
    found = []
    for value in dict.fromkeys(group.tolist()):
        day, name = divmod(value, len(names))
        found.append(((first + day, names[name]), frame.take(group == value)))
    return found


def _folder(network: str) -> str:
    """Where rows lie that tell their network themselves."""
    return network if NAME.fullmatch(network) else NO_NETWORK


def _table(table: Table, parts: Sequence[_Part], known: _Networks) -> pa.Table:
    made: dict[str, Any] = {}
    for field in table.columns:
        if field.kind is Kind.HISTOGRAM:
            held = [part.frame.histograms(field.name) for part in parts]
            made[f"{field.name}_bucket"] = _chunked([_lists(each, each.bucket, np.int32) for each in held])
            made[f"{field.name}_count"] = _chunked([_lists(each, each.count, np.int64) for each in held])
        elif field.kind is Kind.REAL:
            made[field.name] = _chunked([_reals(part.frame.real(field.name)) for part in parts])
        elif field.kind is Kind.COUNT:
            made[field.name] = _chunked([pa.array(part.frame.count(field.name)) for part in parts])
        else:
            words = join([part.frame.words(field.name) for part in parts])
            made[field.name] = _words(words)
            if field.name == "link":
                tags = [known.tags[link] for link in words.words]
                made |= {name: _tag(words, [of.get(name) for of in tags]) for name in _TAGS}
    return pa.table({**made, **_batches(table, parts)}).select(schema(table).names)


def _batches(table: Table, parts: Sequence[_Part]) -> dict[str, Any]:
    """Agent, boot and number of each row's batch; where the table has such a column itself, that stays."""
    rows = [part.frame.rows for part in parts]
    made: dict[str, Any] = {"number": pa.array(np.repeat([part.delivery.number for part in parts], rows))}
    for name in ("agent", "boot"):
        if name not in table.keys:
            made[name] = _repeated([getattr(part.delivery, name) for part in parts], rows)
    return made


def _extra(table: Table) -> list[str]:
    names = [name for name in ("agent", "boot") if name not in table.keys]
    return names + (list(_TAGS) if "link" in table.keys else [])


def _tag(links: Words, values: Sequence[str | None]) -> pa.DictionaryArray:
    """A tag of each row; NULL where the link has none."""
    index = {value: at for at, value in enumerate(dict.fromkeys(v for v in values if v is not None))}
    codes = np.array([-1 if value is None else index[value] for value in values], np.int32)[links.codes]
    return _dictionary(pa.array(codes, mask=codes < 0), list(index))


def _words(words: Words) -> pa.DictionaryArray:
    return _dictionary(pa.array(words.codes.astype(np.int32)), words.words)


def _repeated(values: Sequence[str], rows: Sequence[int]) -> pa.DictionaryArray:
    words = Words.of(np.array(values, np.object_))
    return _dictionary(pa.array(np.repeat(words.codes, rows).astype(np.int32)), words.words)


def _dictionary(codes: pa.Array, words: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(codes, pa.array(words, pa.string()))


def _reals(values: NDArray[np.float64]) -> pa.Array:
    unknown = np.isnan(values)
    return pa.array(values, mask=unknown) if unknown.any() else pa.array(values)


def _lists(column: Histograms, values: NDArray[Any], dtype: type[np.integer[Any]]) -> pa.ListArray:
    offsets = pa.array(column.offsets.astype(np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(values.astype(dtype, copy=False)))


def _chunked(arrays: Sequence[pa.Array]) -> pa.ChunkedArray:
    return pa.chunked_array(arrays)
