"""Hypothesis strategies for frames of every table, for the tests of frame, wire and what carries them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from linkgauge.frame import Column, Frame, Histograms
from linkgauge.histogram import Histogram
from linkgauge.schema import TABLES
from linkgauge.table import Kind, Table

TIMES = st.integers(1, 2**62 - 1)
WORDS = st.sampled_from(["a>b@n", "stamp", "", "é\N{SNOWMAN}", "x" * 200]) | st.text(max_size=8)
COUNTS = st.integers(0, 2**63 - 1)
REALS = st.floats(allow_infinity=False)
HISTOGRAMS = st.lists(st.floats(-1e12, 1e12), max_size=12).map(lambda v: Histogram.of(np.array(v, float)))
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: WORDS, Kind.COUNT: COUNTS, Kind.REAL: REALS, Kind.HISTOGRAM: HISTOGRAMS,
}  # fmt: skip


@st.composite
def frames(draw: st.DrawFn, tables: tuple[Table, ...] = tuple(TABLES.values()), least: int = 1) -> Frame:
    """A frame of one of the tables with `least` to 4 rows of anything that its kinds allow."""
    table = draw(st.sampled_from(tables))
    rows = draw(st.integers(least, 4))
    columns = {}
    for field in table.columns:
        values = TIMES if field.name in ("start_ns", "length_ns") else VALUES[field.kind]
        columns[field.name] = draw(st.lists(values, min_size=rows, max_size=rows))
    return Frame.of(table, columns, rows)


def same_column(one: Column, other: Column) -> bool:
    """Equal type, order and values; NaN equals NaN."""
    if isinstance(one, Histograms) or isinstance(other, Histograms):
        parts = ("offsets", "bucket", "count")
        return type(one) is type(other) and all(
            same_column(getattr(one, part), getattr(other, part)) for part in parts
        )
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype == np.float64)


def same_frame(one: Frame, other: Frame) -> bool:
    """Equal table, rows and columns."""
    names = list(one.columns) == list(other.columns) == [column.name for column in one.table.columns]
    return (
        one.table is other.table
        and one.rows == other.rows
        and names
        and all(same_column(one.columns[name], other.columns[name]) for name in one.columns)
    )
