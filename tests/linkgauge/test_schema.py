"""The store schema: units in names, no name that a store would confuse."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from linkgauge.code import Outcome, Unfit
from linkgauge.schema import (
    AGENT_TABLES,
    ALERT,
    LINK_TAGS,
    NODE,
    NODE_SCORE,
    PLACE,
    RAW_TABLES,
    ROLLUPS,
    SCORE,
    SINK,
    TABLES,
    WINDOW,
)
from linkgauge.table import Field, Kind, Table

UNIT = re.compile(r".*_(ns|us|s|bps|ratio|bytes|deg)")
UNITLESS_REALS = {
    "retransmits", "hops_forward", "hops_backward", "dscp_forward", "dscp_backward", "days_left", "heard",
    "lost_runs",
    "path_changes",
}  # fmt: skip
"""Whole numbers that are REAL because they can be unknown, and times in other units than ours."""
TAGS = {
    *LINK_TAGS,
    "probe",
    "class",
    "flow",
    "kind",
    "agent",
    "collector",
    *NODE.keys,
    *SINK.keys,
    *PLACE.keys,
    *ALERT.keys,
    *SCORE.keys,
    *NODE_SCORE.keys,
}

EVERY_TABLE = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
FIELDS = [(table, field) for table in TABLES.values() for field in table.fields]
EVERY_FIELD = pytest.mark.parametrize(
    ("table", "field"), FIELDS, ids=[f"{table.name}.{field.name}" for table, field in FIELDS]
)


@EVERY_FIELD
def test_a_name_ends_in_a_unit_or_counts(table: Table, field: Field) -> None:
    if field.kind is Kind.COUNT:
        assert not UNIT.fullmatch(field.name), "a measure with a unit is REAL, so that it can be unknown"
    elif field.kind is not Kind.TEXT:
        assert UNIT.fullmatch(field.name) or field.name in UNITLESS_REALS


@EVERY_FIELD
def test_a_field_says_what_it_is_and_where_it_lands(table: Table, field: Field) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", field.name)
    assert field.help.strip() == field.help != ""
    if field.kind is Kind.HISTOGRAM:
        assert field.measurement is None


def test_measurement_and_field_are_unique_over_all_tables() -> None:
    fields = [field for table in RAW_TABLES.values() for field in table.fields]
    landed = Counter((field.measurement, field.name) for field in fields if field.measurement)
    assert [pair for pair, times in landed.items() if times > 1] == []


def test_a_measurement_belongs_to_one_table() -> None:
    owners = Counter(name for table in RAW_TABLES.values() for name in table.measurements)
    assert [name for name, tables in owners.items() if tables > 1] == []


def test_tags_never_collide_with_fields() -> None:
    assert TAGS.isdisjoint(field.name for _, field in FIELDS)
    assert TAGS.isdisjoint({"time"})
    assert all(field.name != "time" for _, field in FIELDS)


@EVERY_TABLE
def test_columns_are_keys_times_fields_without_a_repeat(table: Table) -> None:
    names = [column.name for column in table.columns]
    assert names == [*table.keys, "start_ns", "length_ns", *(field.name for field in table.fields)]
    assert len(set(names)) == len(names)
    assert all(key in TAGS for key in table.keys)
    assert all(table.field(name).name == name for name in names)
    with pytest.raises(KeyError):
        table.field("no_such_field")


@EVERY_TABLE
def test_measurements_are_those_of_the_fields(table: Table) -> None:
    assert set(table.measurements) == {f.measurement for f in table.fields if f.measurement}


def test_tables_by_name() -> None:
    assert all(name == table.name for name, table in TABLES.items())
    own = {"state", "collector", "node", "member", "sink", "place", "alert"}
    assert set(RAW_TABLES) - set(AGENT_TABLES) == own
    assert len(set(AGENT_TABLES)) == len(AGENT_TABLES) == len(RAW_TABLES) - len(own)
    assert set(TABLES) - set(RAW_TABLES) == {"window_5m", "window_1h", "score", "node_score"}


@pytest.mark.parametrize("table", ROLLUPS.values(), ids=ROLLUPS)
def test_a_roll_up_has_the_fields_of_its_windows_where_they_stood(table: Table) -> None:
    windows = {field.name: field for field in WINDOW.fields}
    own = [field.name for field in table.fields if field.name not in windows]
    assert own == ["windows", "windows_unfit", "windows_under_test"]
    assert all(windows.get(field.name, field) == field for field in table.fields)
    assert table.keys == WINDOW.keys


def test_codes_are_those_that_the_help_tells() -> None:
    told = TABLES["throughput"].field("outcome").help
    words = {"MEASURED": "measured", "BUSY": "busy", "UNREACHABLE": "unreachable", "FAILED": "failed"}
    assert all(f"{Outcome[name].value} {word}" in told for name, word in words.items())
    assert f"{Outcome.ABSENT.value} iperf3 absent" in told
    bits = [reason.value for reason in Unfit]
    assert all(bit & (bit - 1) == 0 for bit in bits)
    assert sum(bits) == (1 << len(bits)) - 1
