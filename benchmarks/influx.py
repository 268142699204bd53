"""Processor time of the collector against that of the InfluxDB 1.6 that it feeds.

Batches of 1 000 windows with delay histograms go through intake, journal, live state, the archive's pump and
the pump of a real influxd of its own, on loopback. Counted are this process and influxd, until influxd has
been idle for a second. Needs influxd; without it the figures are null. --quick: fewer batches.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
import numpy as np

from benchmarks.machine import Goal, at_most, note, quick, show
from benchmarks.star import star
from collector.health.metrics import Metrics
from collector.intake import Intake
from collector.journal.journal import Journal
from collector.live.live import LiveState
from collector.sinks.archive import Archive
from collector.sinks.dead_letters import DeadLetters
from collector.sinks.influx import InfluxSink
from collector.sinks.influx_address import InfluxAddress
from collector.sinks.influx_transport import connect
from collector.sinks.line_protocol import LineMaker
from collector.sinks.link_tags import link_tags
from collector.sinks.pump import Pump, Rhythm
from console.demo.influxd import configuration
from linkgauge.clock import NS_PER_S, SystemClock, window_start
from linkgauge.frame import Frame, Histograms
from linkgauge.histogram import Histogram
from linkgauge.inventory import Inventory
from linkgauge.packing import pack
from linkgauge.schema import WINDOW
from linkgauge.table import Kind
from linkgauge.wire import Batch, encode

ROWS, SAMPLES = 1000, 100
WINDOW_NS = 10 * NS_PER_S
UNKNOWN = ("rtt_p999_us", "forward_min_us", "forward_p50_us", "backward_min_us", "backward_p50_us")


def main() -> None:
    """Run once, in a temporary folder."""
    logging.disable(logging.ERROR)
    batches = 10 if quick() else 60
    runs: list[dict[str, float]] = []
    why = "" if shutil.which("influxd") else "there is no influxd on this machine"
    for at in range(0 if why else 1 if quick() else 3):
        with tempfile.TemporaryDirectory() as folder:
            note(f"run {at + 1}: {batches} batches of {ROWS} windows ...")
            runs.append(_measure(Path(folder), batches))
    middle = {key: median(run[key] for run in runs) for key in runs[0]} if runs else {}
    goals: list[Goal] = [
        at_most("collector's CPU / InfluxDB's", 0.3, middle.get("collector_to_influxd_ratio"), why)
    ]
    figures = {"rows_per_batch": ROWS, "batches": batches, "medians": middle, "runs": runs}
    show("influx", "loopback, collector's work in one thread, influxd with its defaults", figures, goals)


def _measure(folder: Path, batches: int) -> dict[str, float]:
    inventory = star(ROWS)
    links = [str(link) for link in inventory.links]
    first_ns = window_start(SystemClock().now().wall_ns, WINDOW_NS) - batches * WINDOW_NS
    bodies = [
        pack(
            encode(
                Batch("h0", "boot", at + 1, first_ns, {"window": _windows(links, first_ns + at * WINDOW_NS)})
            )
        )
        for at in range(batches)
    ]
    with _influxd(folder) as (url, pid):
        return _fed(folder, inventory, bodies, url, pid)


def _fed(folder: Path, inventory: Inventory, bodies: list[bytes], url: str, pid: int) -> dict[str, float]:
    metrics, clock = Metrics(), SystemClock()
    journal, dead = Journal(folder / "journal.sqlite", 2**31, 2**62), DeadLetters(folder / "dead.sqlite")
    journal.register(["archive", "influxdb"])
    live, tags = LiveState(lambda: inventory), link_tags(lambda: inventory)
    expected = frozenset(str(link) for link in inventory.links)
    intake = Intake(journal, lambda: expected, clock, metrics, [live.take])
    archive = Archive(folder / "archive", journal.identity, 0, tags)
    sink = InfluxSink(
        lambda: connect(InfluxAddress(url)), LineMaker(tags, lambda: inventory), tables=["window"]
    )
    to_archive = Pump(archive, journal, dead, clock, metrics, trim=journal.trim)
    to_influx = Pump(sink, journal, dead, clock, metrics, Rhythm(max_batches=64), journal.trim)
    before_s = _cpu_of(pid)
    accept_s = _cpu_s(lambda: [intake.accept("h0", "zstd", body) for body in bodies])
    archive_s = _cpu_s(lambda: [to_archive.step(flush=True) for _ in range(5)])
    sink_s = _cpu_s(lambda: _drain(to_influx))
    influx_s = _when_idle(pid) - before_s
    stored = _count(url)
    assert stored == ROWS * len(bodies), f"{stored} of {ROWS * len(bodies)} windows are in InfluxDB"
    whole_s = accept_s + archive_s + sink_s
    return {
        "lines": 2 * stored,
        "influxd_us_per_line": round(influx_s / stored / 2 * 1e6, 1),
        "sink_us_per_line": round(sink_s / stored / 2 * 1e6, 1),
        "sink_to_influxd_ratio": round(sink_s / influx_s, 3),
        "collector_us_per_line": round(whole_s / stored / 2 * 1e6, 1),
        "collector_to_influxd_ratio": round(whole_s / influx_s, 3),
    }


def _drain(pump: Pump) -> None:
    while pump.step(flush=True) == 0:
        pass


def _count(url: str) -> int:
    query = {"db": "linkgauge", "q": "SELECT count(sent) FROM link_loss"}
    (result,) = httpx.get(f"{url}/query", params=query).json()["results"]
    return int(result["series"][0]["values"][0][1])


def _when_idle(pid: int, limit_s: float = 60) -> float:
    """CPU seconds of influxd once it has used less than 50 ms in a second."""
    used_s, deadline_s = _cpu_of(pid), time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        time.sleep(1)
        before_s, used_s = used_s, _cpu_of(pid)
        if used_s - before_s < 0.05:
            break
    return used_s


@contextmanager
def _influxd(folder: Path) -> Iterator[tuple[str, int]]:
    """A server with its own data: its address and process id."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    http, rpc = (int(made.getsockname()[1]) for made in sockets)
    for made in sockets:
        made.close()
    config = folder / "influxd.conf"
    config.write_text(configuration(folder, http, rpc))
    with (folder / "influxd.log").open("wb") as log:
        process = subprocess.Popen(["influxd", "-config", str(config)], stdout=log, stderr=log)
    try:
        _wait(f"http://127.0.0.1:{http}")
        yield f"http://127.0.0.1:{http}", process.pid
    finally:
        process.terminate()
        process.wait(30)


def _wait(url: str) -> None:
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        try:
            httpx.get(f"{url}/ping")
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise RuntimeError(f"influxd does not answer at {url}")


def _cpu_of(pid: int) -> float:
    """Processor seconds of a process so far (proc(5): utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _cpu_s(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def _windows(links: list[str], start_ns: int) -> Frame:
    """Windows of SAMPLES packets between hosts whose clocks are not steered: delays to the nanosecond."""
    chance = np.random.default_rng(start_ns // WINDOW_NS)
    count = len(links)
    histograms = Histograms.of([Histogram.of(row) for row in chance.lognormal(13, 0.1, (count, SAMPLES))])
    columns: dict[str, object] = {
        field.name: np.round(chance.random(count) * 1000, 3)
        for field in WINDOW.fields
        if field.kind is Kind.REAL and field.name not in UNKNOWN
    }
    columns |= {f.name: chance.integers(0, SAMPLES, count) for f in WINDOW.fields if f.kind is Kind.COUNT}
    keys = {"link": links, "probe": ["stamp"] * count, "class": ["0"] * count}
    times = {"start_ns": [start_ns] * count, "length_ns": [WINDOW_NS] * count}
    return Frame.of(WINDOW, {**keys, **times, **columns, "rtt_ns": histograms})


if __name__ == "__main__":
    main()
