"""What a table is made of: kinds of columns, fields, keys. The tables themselves are in linkgauge.schema."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """Type of a column: text keys, whole counts (int64), reals (float64, NaN = unknown), delay histograms."""

    TEXT = "text"
    COUNT = "count"
    REAL = "real"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Field:
    """One column. measurement: where it lands in InfluxDB, None = archive only."""

    name: str
    kind: Kind
    measurement: str | None
    help: str


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of record. Key columns (TEXT) and `start_ns` identify a row; a second copy is the same row."""

    name: str
    keys: tuple[str, ...]
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field:
        """The field of that name; KeyError when there is none."""
        for field in self.columns:
            if field.name == name:
                return field
        raise KeyError(name)

    @property
    def columns(self) -> tuple[Field, ...]:
        """Every column in order: keys, start_ns, length_ns, fields."""
        keys = tuple(Field(key, Kind.TEXT, None, "key") for key in self.keys)
        return (*keys, START, LENGTH, *self.fields)

    @property
    def measurements(self) -> tuple[str, ...]:
        """InfluxDB measurements that this table feeds, in order of first field."""
        return tuple(dict.fromkeys(f.measurement for f in self.fields if f.measurement))


START = Field("start_ns", Kind.COUNT, None, "Start of the window, Unix ns.")
LENGTH = Field("length_ns", Kind.COUNT, None, "Length of the window, ns.")


def count(name: str, measurement: str | None, help: str) -> Field:
    """A COUNT column."""
    return Field(name, Kind.COUNT, measurement, help)


def real(name: str, measurement: str | None, help: str) -> Field:
    """A REAL column."""
    return Field(name, Kind.REAL, measurement, help)


def text(name: str, measurement: str | None, help: str) -> Field:
    """A TEXT column."""
    return Field(name, Kind.TEXT, measurement, help)


def histogram(name: str, help: str) -> Field:
    """A HISTOGRAM column; archive only."""
    return Field(name, Kind.HISTOGRAM, None, help)
