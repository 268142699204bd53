"""The wire format of what agents report: batches.

A batch is MessagePack; each table in it is columnar: number columns are little-endian arrays as bytes, text
columns a dictionary of distinct strings plus an index array, histogram columns three arrays. A batch is named
by (agent, boot, number): `boot` is a random word chosen at each start of the agent, `number` counts from 1 in
that boot, so the collector knows a second copy. VERSION changes with each column that comes, and when an old
reader could misread a new batch. Batches since OLDEST are read, because outbox and journal may hold some when
both sides are upgraded; a column that an older one lacks is then 0, unknown or empty.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from linkgauge.errors import WireError
from linkgauge.frame import Column, Columns, Frame, Histograms
from linkgauge.histogram import MAX_BUCKET
from linkgauge.schema import TABLES
from linkgauge.table import Field, Kind, Table
from linkgauge.words import Words

VERSION = 5
OLDEST = 1
MAX_ROWS = 200_000
"""Rows in one table of one batch; a batch with more is refused before its columns are built."""
MAX_BODY_BYTES = 16 * 1024 * 1024
"""Size of an encoded batch, after decompression."""
CONTENT_TYPE = "application/vnd.linkgauge.batch"
MAX_NAMES = 1000
"""Tables of a batch, columns of a table: more than there will ever be."""
MAX_WORDS = 500_000
"""Words of all text columns of a batch."""
_CODE_OCTETS = 4
_DTYPES = {Kind.COUNT: "<i8", Kind.REAL: "<f8"}
_WORD = re.compile(r"[a-z0-9@][a-z0-9-]{0,62}")


class WireTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table: `columns` by name as bytes, `words` the distinct strings of each TEXT column."""

    rows: int
    columns: dict[str, bytes]
    words: dict[str, list[str]]


class WireBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The encoded form; `Batch` is the checked one."""

    version: int
    agent: str
    boot: str
    number: int
    created_ns: int
    tables: dict[str, WireTable]


class _TableShape(msgspec.Struct):
    """A table whose parts are not built yet."""

    rows: int
    columns: msgspec.Raw
    words: msgspec.Raw


class _Shape(msgspec.Struct):
    tables: msgspec.Raw


class _Version(msgspec.Struct):
    version: int


class Batch(msgspec.Struct, frozen=True):
    """What an agent (or the collector itself) reports at once; created_ns: its wall clock when it did."""

    agent: str
    boot: str
    number: int
    created_ns: int
    frames: dict[str, Frame]

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(frame.rows for frame in self.frames.values())


def encode(batch: Batch) -> bytes:
    """A batch as bytes; decode(encode(b)) has equal columns."""
    tables = {name: _pack(frame) for name, frame in batch.frames.items() if frame.rows}
    return msgspec.msgpack.encode(
        WireBatch(VERSION, batch.agent, batch.boot, batch.number, batch.created_ns, tables)
    )


def decode(body: bytes, only: Container[str] | None = None) -> Batch:
    """Check and unpack a batch. only: names of the tables that are wanted, None = all.

    Raises WireError with reason malformed, version, too_large or bad_value, and a sentence naming the part.
    """
    if len(body) > MAX_BODY_BYTES:
        raise WireError("too_large", f"batch has {len(body)} octets, at most {MAX_BODY_BYTES} are taken")
    try:
        _check_shape(body)
        wire = msgspec.msgpack.decode(body, type=WireBatch)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        raise _version_or_malformed(body, err) from None
    if not OLDEST <= wire.version <= VERSION:
        raise _wrong_version(wire.version)
    if not (_WORD.fullmatch(wire.agent) and _WORD.fullmatch(wire.boot) and 0 < wire.number < 2**62):
        raise WireError("bad_value", "batch has no usable agent, boot and number")
    if not 0 < wire.created_ns < 2**62:
        raise WireError("bad_value", f"batch was created at {wire.created_ns} ns, which is no time")
    return Batch(
        wire.agent, wire.boot, wire.number, wire.created_ns, _frames(_wanted(wire.tables, only), wire.version)
    )


def _check_shape(body: bytes) -> None:
    """Refuse what a few octets of body would make hundreds of MB of objects of, before any is built.

    Every word of a column is that of some row, so there are never more words than rows.
    """
    tables = msgspec.msgpack.decode(body, type=_Shape).tables
    _bound(tables, MAX_NAMES, "tables")
    left = MAX_WORDS
    for table in msgspec.msgpack.decode(tables, type=dict[str, _TableShape]).values():
        _bound(table.columns, MAX_NAMES, "columns in a table")
        _bound(table.words, MAX_NAMES, "texts in a table")
        here = min(left, len(memoryview(table.columns)) // _CODE_OCTETS)
        for words in msgspec.msgpack.decode(table.words, type=dict[str, msgspec.Raw]).values():
            used = _bound(words, min(max(table.rows, 0), here), "words in a column")
            here, left = here - used, left - used


def _bound(packed: msgspec.Raw, most: int, what: str) -> int:
    """Entries of a packed array or map as its header tells (MessagePack: array and map family)."""
    head = memoryview(packed)[:5]
    kind = head[0]
    if kind & 0xE0 == 0x80:  # fixmap and fixarray
        count = kind & 0x0F
    elif kind in (0xDC, 0xDE):
        count = int.from_bytes(head[1:3], "big")
    elif kind in (0xDD, 0xDF):
        count = int.from_bytes(head[1:5], "big")
    else:
        return 0  # neither: what decodes it says so
    if count > most:
        raise WireError("malformed", f"batch has {count} {what}, at most {most} can be there")
    return count


def _wanted(tables: Mapping[str, WireTable], only: Container[str] | None) -> Mapping[str, WireTable]:
    return tables if only is None else {name: table for name, table in tables.items() if name in only}


def _version_or_malformed(body: bytes, err: Exception) -> WireError:
    try:
        version = msgspec.msgpack.decode(body, type=_Version).version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        version = VERSION
    if not OLDEST <= version <= VERSION:
        return _wrong_version(version)
    return WireError("malformed", f"batch of {len(body)} octets cannot be read: {err}")


def _wrong_version(version: int) -> WireError:
    known = f"this reads {OLDEST} to {VERSION}"
    return WireError("version", f"batch has wire version {version}, {known}; upgrade the older side")


def _pack(frame: Frame) -> WireTable:
    columns: dict[str, bytes] = {}
    words: dict[str, list[str]] = {}
    for field in frame.table.columns:
        name = field.name
        if field.kind is Kind.TEXT:
            texts = frame.words(name)
            words[name], columns[name] = list(texts.words), texts.codes.astype("<u4").tobytes()
            continue
        column = frame.columns[name]
        if isinstance(column, Histograms):
            columns[f"{name}.length"] = np.diff(column.offsets).astype("<u2").tobytes()
            columns[f"{name}.bucket"] = column.bucket.astype("<i2").tobytes()
            columns[f"{name}.count"] = column.count.astype("<u4").tobytes()
        else:
            columns[name] = column.astype(column.dtype.newbyteorder("<")).tobytes()
    return WireTable(frame.rows, columns, words)


def _frames(tables: Mapping[str, WireTable], version: int) -> dict[str, Frame]:
    frames = {}
    for name, packed in tables.items():
        if name not in TABLES:
            unknown = f"batch has a table {name[:40]!r}, which version {VERSION} does not know"
            raise WireError("malformed", unknown)
        if not 0 < packed.rows <= MAX_ROWS:
            raise WireError("too_large", f"table {name} has {packed.rows} rows, 1 to {MAX_ROWS} are taken")
        frames[name] = _unpack(TABLES[name], packed, version < VERSION)
    return frames


def _unpack(table: Table, packed: WireTable, older: bool) -> Frame:
    later = {field.name for field in table.fields if older and _absent(field, packed)}
    if packed.rows * len(later) * 8 > MAX_BODY_BYTES:
        raise WireError("too_large", f"table {table.name} has {packed.rows} rows that lack columns")
    present = [field for field in table.columns if field.name not in later]
    columns = {field.name: _column(table, field, packed) for field in present}
    _check_values(table, present, packed)
    for name in ("start_ns", "length_ns"):
        times = columns[name]
        assert isinstance(times, np.ndarray)
        if times.min() <= 0 or times.max() >= 2**62:
            raise WireError("bad_value", f"table {table.name} has a {name} that is no time")
    if later:  # what they lack is filled in by what builds from arrays
        return Frame.of(table, Columns(columns), packed.rows)
    return Frame(table, Columns(columns), packed.rows)


def _absent(field: Field, packed: WireTable) -> bool:
    return (f"{field.name}.length" if field.kind is Kind.HISTOGRAM else field.name) not in packed.columns


def _column(table: Table, field: Field, packed: WireTable) -> Column | Words:
    if field.kind is Kind.HISTOGRAM:
        return _histograms(table, field.name, packed)
    if field.kind is Kind.TEXT:
        codes = _numbers(table, packed, field.name, "<u4", packed.rows).astype(np.uint32)
        try:
            return Words.checked(codes, packed.words.get(field.name, []))
        except IndexError:
            raise WireError("malformed", f"column {table.name}.{field.name} points past its words") from None
    return _numbers(table, packed, field.name, _DTYPES[field.kind], packed.rows)


def _check_values(table: Table, fields: Sequence[Field], packed: WireTable) -> None:
    """No count below 0, no real infinite; all columns of a kind are looked at as one."""
    for kind, wrong, what in (
        (Kind.COUNT, _negative, "a negative count"),
        (Kind.REAL, np.isinf, "an infinite value"),
    ):
        names = [field.name for field in fields if field.kind is kind]
        joint = np.frombuffer(b"".join(packed.columns[name] for name in names), _DTYPES[kind])
        if wrong(joint).any():
            bad = names[int(np.flatnonzero(wrong(joint))[0]) // packed.rows]
            raise WireError("bad_value", f"column {table.name}.{bad} has {what}")


def _negative(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    return counts < 0


def _histograms(table: Table, name: str, packed: WireTable) -> Histograms:
    lengths = _numbers(table, packed, f"{name}.length", "<u2", packed.rows).astype(np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    total = int(offsets[-1])
    bucket = _numbers(table, packed, f"{name}.bucket", "<i2", total).astype(np.int16)
    given = _numbers(table, packed, f"{name}.count", "<u4", total)
    if total and (bucket.min() < -MAX_BUCKET or bucket.max() > MAX_BUCKET or given.min() == 0):
        raise WireError("bad_value", f"column {table.name}.{name} has a bucket that does not exist")
    if _out_of_order(bucket, offsets, lengths):
        raise WireError("bad_value", f"column {table.name}.{name} has buckets out of order")
    count = given.astype(np.int64)
    for part in (offsets, bucket, count):
        part.setflags(write=False)
    return Histograms(offsets, bucket, count)


def _out_of_order(bucket: NDArray[np.int16], offsets: NDArray[np.int64], lengths: NDArray[np.int64]) -> bool:
    """Whether a bucket is not above the one before it, other than at the begin of a row."""
    falls = bucket[1:] <= bucket[:-1]
    begins = offsets[:-1][lengths > 0][1:]
    return bool(np.count_nonzero(falls) > np.count_nonzero(falls[begins - 1]))


def _numbers(table: Table, packed: WireTable, name: str, dtype: str, rows: int) -> NDArray[np.generic]:
    data = packed.columns.get(name)
    need = rows * np.dtype(dtype).itemsize
    if data is None or len(data) != need:
        got = "is missing" if data is None else f"has {len(data)} octets"
        raise WireError("malformed", f"column {table.name}.{name} {got}, {need} are needed for {rows} rows")
    return np.frombuffer(data, dtype)
