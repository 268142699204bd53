"""Another process that reads an archive with DuckDB alone, over and over, while it is written.

Prints after each query how many rows there are, how many keys, how many rows were acknowledged before, as a
line of JSON. A query whose file has gone is asked again, as docs/archive.md says; anything else is an error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb


def main() -> None:
    root, acknowledged = Path(sys.argv[1]), Path(sys.argv[2])
    files = f"{root}/window/date=*/network=*/*.parquet"
    query = (
        "SELECT count(*), count(DISTINCT (link, start_ns)) FROM (SELECT link, start_ns FROM"
        " read_parquet(?, hive_partitioning=true))"
    )
    db = duckdb.connect(config={"threads": 1})
    while not (root / "stop").exists():
        least = int(acknowledged.read_text())
        again = 0
        while True:
            try:
                rows, keys = db.execute(query, [files]).fetchone() or (0, 0)
                break
            except duckdb.IOException:
                again += 1
                assert again < 100
        sys.stdout.write(json.dumps({"least": least, "rows": rows, "keys": keys, "again": again}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
