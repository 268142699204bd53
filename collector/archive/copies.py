"""The rule for copies, as SQL: which of the rows of one key counts. Pure.

A window that late replies corrected comes again with a higher revision; a window that was judged again has a
second row of state. The row that counts has the highest revision, and of equals is the one written last:
files are named by the numbers that their batches have in the journal.
"""

from __future__ import annotations

from linkgauge.table import Kind, Table

_SQL_TYPES = {Kind.TEXT: "VARCHAR", Kind.COUNT: "BIGINT", Kind.REAL: "DOUBLE"}


def files(parameter: str = "?") -> str:
    """All rows of the files that the parameter names, with what `rank` needs."""
    options = "hive_partitioning=false, union_by_name=true, filename=true, file_row_number=true"
    return f"read_parquet({parameter}, {options})"


def complete(table: Table, rows: str) -> str:
    """SELECT of the rows with every column of the table, also where no file has it."""
    return f"SELECT * FROM {rows} UNION ALL BY NAME SELECT {typed(table)} WHERE false"


def key(table: Table) -> str:
    """The columns that make a row's key."""
    return ", ".join(f'"{name}"' for name in (*table.keys, "start_ns"))


def rank(table: Table) -> str:
    """1 for the row of each key that counts; needs the columns filename and file_row_number."""
    revision = "coalesce(revision, 0) DESC, " if any(f.name == "revision" for f in table.fields) else ""
    written = r"regexp_extract(filename, '-(\d+)\.parquet$', 1)::BIGINT DESC, file_row_number DESC"
    return f"row_number() OVER (PARTITION BY {key(table)} ORDER BY {revision}{written})"


def typed(table: Table) -> str:
    """Every column of the table as NULL of its type, so that none is missing where all files are older."""
    parts = []
    for field in table.columns:
        if field.kind is Kind.HISTOGRAM:
            parts.append(f"NULL::INTEGER[] AS {field.name}_bucket, NULL::BIGINT[] AS {field.name}_count")
        else:
            parts.append(f'NULL::{_SQL_TYPES[field.kind]} AS "{field.name}"')
    return ", ".join(parts)
