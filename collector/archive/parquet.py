"""Writes Parquet files the way every file of the archive is written.

zstd, dictionaries for all but reals, smallest and largest only of the keys and the start, and no Arrow schema
beside Parquet's own: each reader sees plain strings, numbers and lists.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from linkgauge.table import Kind, Table

GROUP_ROWS = 131_072
"""Rows of a row group at most."""


def write(path: Path, table: Table, schema: pa.Schema, parts: Iterable[pa.Table | pa.RecordBatch]) -> int:
    """Write all parts into one file; returns its rows. Raises OSError and pyarrow.ArrowException.

    schema: that of the parts; a text column of them may be a dictionary, in the file it is text.
    """
    rows = 0
    reals = {field.name for field in table.fields if field.kind is Kind.REAL}
    coded = [_leaf(field) for field in schema if field.name not in reals]
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=coded,
        write_statistics=[*table.keys, "start_ns"],
        store_schema=False,
    ) as file:
        for part in parts:
            file.write(part, GROUP_ROWS)
            rows += part.num_rows
    return rows


def _leaf(field: pa.Field) -> str:
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else str(field.name)
