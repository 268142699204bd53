"""Reads an archive with PySpark and with DuckDB and compares what they find: one JSON object on stdout.

An optional check, for nothing here needs PySpark. In a virtual environment of its own, with Java 17 or later:

    pip install pyspark duckdb
    python benchmarks/spark_read.py ROOT [ROUNDS]

It may run while collectors write. Each of ROUNDS reads everything again: rows that are there once never go.
After the last round both count rows, keys after the rule for copies (docs/archive.md), packets and samples of
histograms, at a moment when the counts stand still; exit 1 when they differ.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import duckdb
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

LAST_COPY = """
    SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY link, probe, class, start_ns
    ORDER BY coalesce(revision, 0) DESC, number DESC) AS place FROM {source}) AS ranked WHERE place = 1
"""
QUERY = (
    "SELECT count(*) AS windows, count(DISTINCT link) AS links, CAST(sum(sent) AS BIGINT) AS sent,"
    " CAST(sum({samples}) AS BIGINT) AS samples, count(rtt_p50_us) AS medians,"
    " count(DISTINCT network) AS networks, count(DISTINCT date) AS days FROM ({rows}) AS chosen"
)
ATTEMPTS = 10


def main() -> None:
    """Compare; see the top of the file."""
    root, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    counts, again, began_s = [], 0, time.monotonic()
    for _ in range(rounds):
        found, tries = _asked(spark, root, "SELECT count(*) AS stored FROM {source}")
        counts.append(found["stored"])
        again += tries
    assert counts == sorted(counts), counts
    spark_found, duck_found = _both(spark, root)
    spark.stop()
    told = {
        "rounds": rounds, "first_count": counts[0], "last_count": counts[-1], "asked_again": again,
        "round_s": round((time.monotonic() - began_s) / (rounds + 1), 2), "spark": spark_found,
        "duckdb": duck_found, "same": spark_found == duck_found,
    }  # fmt: skip
    json.dump(told, sys.stdout, indent=1)
    sys.stdout.write("\n")
    sys.exit(0 if told["same"] else 1)


def _both(spark: SparkSession, root: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each finds, asked again while the archive grows between the two."""
    rows = LAST_COPY
    for _ in range(ATTEMPTS):
        before = _duckdb(root, QUERY.format(samples="list_sum(rtt_ns_count)", rows=rows))
        samples = "aggregate(rtt_ns_count, 0L, (sum, one) -> sum + one)"
        found, _ = _asked(spark, root, QUERY.format(samples=samples, rows=rows))
        if found == before:
            break
        time.sleep(1)
    return found, before


def _asked(spark: SparkSession, root: str, query: str) -> tuple[dict[str, Any], int]:
    """The row that Spark answers, and how often a file that it had listed was put together meanwhile."""
    for attempt in range(ATTEMPTS):
        try:
            spark.read.parquet(f"{root}/window").createOrReplaceTempView("windows")
            return spark.sql(query.format(source="windows")).collect()[0].asDict(), attempt
        except (PySparkException, Py4JJavaError) as err:
            if not any(word in str(err) for word in ("FILE_NOT_EXIST", "FileNotFound", "NoSuchFile")):
                raise
    raise SystemExit(f"{root}: files are put together faster than Spark reads them")


def _duckdb(root: str, query: str) -> dict[str, Any]:
    source = f"read_parquet('{root}/window/*/*/*.parquet', hive_partitioning=true)"
    for attempt in range(ATTEMPTS):
        try:
            found = duckdb.execute(query.format(source=source))
            names = [column[0] for column in found.description]
            return dict(zip(names, found.fetchone() or (), strict=True))
        except duckdb.IOException:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError


if __name__ == "__main__":
    main()
