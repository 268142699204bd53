"""Frames: typed columns of one length, filled with the right unknowns, never writable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.frame import Frame, Histograms, concat
from linkgauge.histogram import Histogram
from linkgauge.schema import HEALTH, TABLES, WINDOW
from linkgauge.table import Table
from tests.linkgauge.frames import frames, same_frame

KEYS = {"link": ["a>b@n"], "probe": ["stamp"], "class": ["0"], "start_ns": [10]}


def test_missing_columns_are_zero_unknown_or_empty() -> None:
    frame = Frame.of(WINDOW, KEYS)
    assert frame.count("sent").tolist() == [0]
    assert np.isnan(frame.real("rtt_p50_us")).all()
    assert frame.histograms("rtt_ns")[0].total == 0
    assert frame.text("link").tolist() == ["a>b@n"]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({**KEYS, "colour": [1], "age": [1]}, "table window has no column age, colour"),
        ({key: KEYS[key] for key in ("link", "probe", "start_ns")}, "key column class is missing"),
        ({key: KEYS[key] for key in ("link", "probe", "class")}, "key column start_ns is missing"),
        ({**KEYS, "sent": [1, 2]}, "column sent has 2 rows, expected 1"),
        ({**KEYS, "rtt_ns": [Histogram.empty()] * 3}, "column rtt_ns has 3 rows, expected 1"),
    ],
)
def test_refuses_what_is_no_frame(columns: dict[str, list[object]], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Frame.of(WINDOW, columns)


def test_histograms_and_arrays_are_asked_for_by_kind() -> None:
    frame = Frame.of(WINDOW, KEYS)
    with pytest.raises(TypeError, match="column sent of table window is no histogram"):
        frame.histograms("sent")
    with pytest.raises(TypeError, match="column rtt_ns of table window is a histogram"):
        frame.real("rtt_ns")
    with pytest.raises(KeyError):
        frame.count("no_such_column")


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_no_frames_make_an_empty_frame(table: Table) -> None:
    empty = concat(table, [])
    assert empty.rows == 0
    assert all(len(column) == 0 for column in empty.columns.values())


@given(st.lists(frames((WINDOW,), least=0), min_size=1, max_size=4))
def test_concat_keeps_rows_in_order(parts: list[Frame]) -> None:
    whole = concat(WINDOW, parts)
    assert whole.rows == sum(part.rows for part in parts)
    first = 0
    for part in parts:
        assert same_frame(whole.take(np.arange(first, first + part.rows)), part)
        first += part.rows


@given(frames(), st.data())
def test_take_by_mask_and_by_index_agree(frame: Frame, data: st.DataObject) -> None:
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=frame.rows, max_size=frame.rows)))
    assert same_frame(frame.take(mask), frame.take(np.flatnonzero(mask)))
    backward = np.arange(frame.rows)[::-1]
    assert same_frame(frame.take(backward).take(backward), frame)


def _writable(frame: Frame) -> list[str]:
    found = []
    for name, column in frame.columns.items():
        arrays = (
            (column.offsets, column.bucket, column.count) if isinstance(column, Histograms) else (column,)
        )
        found += [name for array in arrays if array.flags.writeable]
    return found


@given(frames())
def test_columns_are_read_only(frame: Frame) -> None:
    assert _writable(frame) == []
    assert _writable(frame.take(np.arange(frame.rows))) == []
    assert _writable(concat(frame.table, [frame, frame])) == []


def test_a_frame_does_not_share_the_arrays_that_it_was_given() -> None:
    given_starts = np.array([5, 6])
    frame = Frame.of(HEALTH, {"agent": ["a", "b"], "start_ns": given_starts})
    given_starts[0] = 7
    assert frame.count("start_ns").tolist() == [5, 6]


@given(st.lists(st.lists(st.floats(-1e9, 1e9), max_size=5), max_size=5))
def test_histogram_column_holds_its_rows(rows: list[list[float]]) -> None:
    single = [Histogram.of(np.array(row, float)) for row in rows]
    column = Histograms.of(single)
    assert len(column) == len(rows)
    assert [h.total for h in column] == [len(row) for row in rows]
    assert all(
        np.array_equal(got.bucket, want.bucket) and np.array_equal(got.count, want.count)
        for got, want in zip(column, single, strict=True)
    )


@pytest.mark.parametrize("rows", [[3, 3, 0, 19], [], [5], list(range(20))])
def test_histograms_are_taken_as_row_by_row(rows: list[int]) -> None:
    whole = Histograms.of([Histogram.of(np.arange(at % 4, dtype=np.float64) * 1e6) for at in range(20)])
    taken, twin = whole.take(np.array(rows, np.intp)), Histograms.of([whole[at] for at in rows])
    for name in ("offsets", "bucket", "count"):
        assert getattr(taken, name).tolist() == getattr(twin, name).tolist()
        assert getattr(taken, name).dtype == getattr(twin, name).dtype
