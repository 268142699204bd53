"""How long ten agents with 100 links each take to hand over the backlog of a day after an outage.

`python -m benchmarks.drain [--quick] [--influx URL]` prints one JSON document. The outboxes are filled with a
batch for each ten seconds as an agent reports it: STAMP, ICMP and TCP of each link, flows once a minute,
health. Then a collector (`linkgauge collector`, archive on) and ten agents start (benchmarks.drain_agent:
real outbox, upload and transport), which also report a window every ten seconds. At the end everything is
counted in the archive's files against the outboxes' ledgers. --quick: the backlog of an hour. --influx: an
InfluxDB that gets the rows too, in the database "drain".
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import httpx
import numpy as np
import yaml

from benchmarks.machine import Goal, at_most, note, quick, show
from benchmarks.mesh import WINDOW_NS, Mesh
from benchmarks.process import cpu_s, peak_mb
from collector.http.tokens import issue
from collector.sinks.archive_reader import files_of
from console.demo.kept import ledger
from console.demo.processes import Child, check, end, free_port, linkgauge, start
from console.token import write_secret
from linkgauge.clock import NS_PER_S, SystemClock, window_start
from linkgauge.packing import pack
from linkgauge.schema import AGENT_TABLES, TABLES
from linkgauge.sqlite_file import SqliteFile
from linkgauge.wire import encode
from probes.upload import outbox_file

LINKS = 1_000
BACKLOG_S = 3_600 if quick() else 86_400
SPREAD = 0.14
"""Of delays; a histogram of a hundred packets then has some 25 buckets."""
AT_ONCE = 60
"""Windows that one transaction puts into an outbox."""
WITHIN_S = 1_500.0
Stored = tuple[str, int, int, int, bytes]
"""boot, number, created_ns, rows, body."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        figures = Outage(Path(folder), Mesh(LINKS, SPREAD)).measure()
    window_s = WINDOW_NS // NS_PER_S
    day = "" if BACKLOG_S == 86_400 else "the backlog of an hour only"
    goals: list[Goal] = [
        at_most(
            "time to drain a day's backlog of 1 000 links, s", 600, None if day else figures["drained_s"], day
        ),
        at_most("longest delay of a live window, s", window_s, figures["live_longest_s"]),
        at_most("rows missing or double", 0, figures["rows_missing"] + figures["rows_double"]),
    ]
    show("drain", "loopback; collector and agents on the same cores", figures, goals)


class Outage:
    """One run, in `folder`."""

    def __init__(self, folder: Path, mesh: Mesh) -> None:
        self._folder, self._mesh = folder, mesh
        self._names = [f"h{at}" for at in range(mesh.agents)]
        self._url = f"http://127.0.0.1:{free_port()}"
        self._journal_octets = 0
        self._config = self._settings()

    def measure(self) -> dict[str, Any]:
        note(f"filling {len(self._names)} outboxes ...")
        octets = self._fill()
        collector = start(
            "collector", linkgauge("collector", "--config", str(self._config)), self._log("collector")
        )
        agents: list[Child] = []
        try:
            self._until(self._answers, [collector])
            used_s, began_s = cpu_s(collector.process.pid), time.monotonic()
            agents = [self._start_agent(name) for name in self._names]
            note("draining ...")
            self._until(self._drained, [collector, *agents])
            figures: dict[str, Any] = {"drained_s": round(time.monotonic() - began_s, 1)}
            figures |= self._told(agents)
            self._until(self._behind(time.monotonic()), [collector])
            pid = collector.process.pid
            figures |= {
                "archived_s": round(time.monotonic() - began_s, 1),
                "collector_cpu_s": round(cpu_s(pid) - used_s, 1),
                "collector_peak_mb": peak_mb(pid),
                "journal_largest_mb": round(self._journal_octets / 1e6, 1),
                "journal_dropped": self._status()["journal"]["dropped"],
            }
        finally:
            faults = end([*agents, collector], 60)
        if faults:
            raise RuntimeError("; ".join(faults))
        note("counting ...")
        return {"backlog_s": BACKLOG_S, "backlog_mb": round(octets / 1e6, 1), **figures, **self._count()}

    def _fill(self) -> int:
        """Octets of the bodies put into all outboxes."""
        last_ns = window_start(SystemClock().now().wall_ns, WINDOW_NS)
        windows = BACKLOG_S * NS_PER_S // WINDOW_NS
        files = {name: self._outbox(name) for name in self._names}
        waiting: dict[str, list[Stored]] = {name: [] for name in self._names}
        octets = 0
        for number in range(1, windows + 1):
            start_ns = last_ns - (windows + 1 - number) * WINDOW_NS
            for batch in self._mesh.batches(number, start_ns):
                body = pack(encode(batch))
                waiting[batch.agent].append((batch.boot, number, batch.created_ns, batch.rows, body))
                octets += len(body)
            if number % AT_ONCE == 0 or number == windows:
                for name, file in files.items():
                    _put(file, waiting[name])
                    waiting[name] = []
        for file in files.values():
            file.close()
        return octets

    def _outbox(self, name: str) -> SqliteFile:
        path = self._folder / name / "data" / "outbox.sqlite"
        path.parent.mkdir(parents=True)
        return SqliteFile(path, outbox_file.SCHEMA, "the outbox")  # the agent's own counts what is in it

    def _settings(self) -> Path:
        (self._folder / "inventory.yaml").write_text(self._mesh.inventory())
        tokens = self._folder / "tokens.yaml"
        for name in self._names:
            (self._folder / name).mkdir()
            write_secret(self._folder / name / "token", issue(tokens, name))
            settings = {"node": name, "collectors": [self._url], "token_file": "token", "data_dir": "data"}
            (self._folder / name / "agent.yaml").write_text(yaml.safe_dump(settings))
        collector: dict[str, Any] = {
            "inventory": "inventory.yaml", "tokens": "tokens.yaml", "data_dir": "data",
            "listen": self._url.removeprefix("http://"),
        }  # fmt: skip
        if "--influx" in sys.argv:
            collector["influxdb"] = {"url": sys.argv[sys.argv.index("--influx") + 1], "database": "drain"}
        path = self._folder / "collector.yaml"
        path.write_text(yaml.safe_dump(collector))
        return path

    def _start_agent(self, name: str) -> Child:
        argv = [sys.executable, "-m", "benchmarks.drain_agent", str(self._folder / name / "agent.yaml")]
        return start(name, argv, self._log(name))

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _told(self, agents: list[Child]) -> dict[str, Any]:
        """End the agents, which hand over what waits; what they tell of themselves."""
        faults = end(agents, 60)
        if faults:
            raise RuntimeError("; ".join(faults))
        told = [json.loads(agent.last_words()) for agent in agents]
        live_s, took_s = ([value for each in told for value in each[name]] for name in ("live_s", "took_s"))
        return {
            "batches": len(took_s),
            "live_windows": len(live_s),
            "live_p50_s": round(statistics.median(live_s), 3),
            "live_longest_s": round(max(live_s), 3),
            "request_p50_ms": round(1_000 * statistics.median(took_s), 1),
            "request_p99_ms": round(1_000 * float(np.quantile(took_s, 0.99)), 1),
            "requests_not_taken": sum(each["not_taken"] for each in told),
            "agents_cpu_s": round(sum(each["cpu_s"] for each in told), 1),
            "agent_peak_mb": max(each["peak_mb"] for each in told),
            "outboxes_left": sum(each["left"] + each["dropped"] for each in told),
        }

    def _until(self, ready: Callable[[], bool], children: list[Child]) -> None:
        deadline_s = time.monotonic() + WITHIN_S
        while not ready():
            check(children)
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"the benchmark waited {WITHIN_S:.0f} s in vain")
            files = (self._folder / "data" / f"journal.sqlite{ending}" for ending in ("", "-wal"))
            size = sum(file.stat().st_size for file in files if file.exists())
            self._journal_octets = max(self._journal_octets, size)
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self._url}/healthz", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _drained(self) -> bool:
        return all((self._folder / name / "drained").exists() for name in self._names)

    def _behind(self, since_s: float) -> Callable[[], bool]:
        """Whether the stores have everything that came before then; the collector goes on to report."""

        def ready() -> bool:
            elapsed_s = time.monotonic() - since_s
            sinks = self._status()["sinks"].values()
            return all(not told["backlog_batches"] or told["lag_s"] < elapsed_s for told in sinks)

        return ready

    def _status(self) -> dict[str, Any]:
        return dict(httpx.get(f"{self._url}/v1/status", timeout=60, trust_env=False).json())

    def _count(self) -> dict[str, int]:
        """Rows of the ledgers that the archive lacks, and rows that it has twice or that nobody reported."""
        root, missing, double, rows = self._folder / "data" / "archive", 0, 0, 0
        with duckdb.connect() as db:
            for name in self._names:
                produced = ledger(self._folder / name / "data" / "outbox.sqlite")
                found: dict[tuple[str, int], int] = {}
                for table in AGENT_TABLES:
                    for boot, number, distinct, all_rows in _archived(db, root, table, name):
                        found[boot, number] = found.get((boot, number), 0) + distinct
                        double += all_rows - distinct
                rows += sum(produced.values())
                missing += sum(max(0, count - found.get(key, 0)) for key, count in produced.items())
                double += sum(max(0, count - produced.get(key, 0)) for key, count in found.items())
        return {"rows": rows, "rows_missing": missing, "rows_double": double}


def _put(file: SqliteFile, batches: list[Stored]) -> None:
    def work(db: Any) -> None:
        for boot, number, created_ns, rows, body in batches:
            outbox_file.insert(db, boot, number, created_ns, rows, body)

    file.transact(work)


def _archived(
    db: duckdb.DuckDBPyConnection, root: Path, table: str, agent: str
) -> list[tuple[str, int, int, int]]:
    """boot, number, distinct rows, rows of each batch of an agent in the archive."""
    files = files_of(root, TABLES[table])
    if not files:
        return []
    keys = ", ".join(f'"{key}"' for key in (*TABLES[table].keys, "start_ns"))
    columns = f"boot, number, count(DISTINCT ({keys})), count(*)"
    query = f"SELECT {columns} FROM read_parquet(?, union_by_name=true)"
    return db.execute(f"{query} WHERE agent = ? GROUP BY ALL", [files, agent]).fetchall()


if __name__ == "__main__":
    main()
