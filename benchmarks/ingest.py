"""How fast the collector takes windows in: one JSON object on standard output.

Batches of 1 000 rows with delay histograms go through the intake (zstd, check, journal, live state), then the
archive's pump; putting archived files together and line protocol are measured apart. Rates are per CPU-second
of this process, its threads included. "through" is a window both accepted and archived.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.star import star
from collector.archive import compaction
from collector.archive.rules import Rules
from collector.health.metrics import Metrics
from collector.intake import Intake
from collector.journal.journal import Journal
from collector.live.live import LiveState
from collector.sinks.archive import Archive
from collector.sinks.archive_reader import ArchiveReader
from collector.sinks.dead_letters import DeadLetters
from collector.sinks.line_protocol import lines
from collector.sinks.link_tags import link_tags
from collector.sinks.pump import Pump
from collector.sinks.sink import Delivery
from linkgauge.clock import NS_PER_S, SystemClock, window_start
from linkgauge.frame import Frame, Histograms
from linkgauge.histogram import Histogram
from linkgauge.inventory import Inventory
from linkgauge.packing import pack
from linkgauge.schema import WINDOW
from linkgauge.table import Kind
from linkgauge.wire import Batch, encode

ROWS, BATCHES, SAMPLES = 1000, 100, 100
WINDOW_NS = 10 * NS_PER_S


def main() -> None:
    """Run everything once, in a temporary folder."""
    logging.disable(logging.WARNING)
    inventory = star(ROWS)
    links = [str(link) for link in inventory.links if link.src == "h0"][:ROWS]
    now_ns = window_start(SystemClock().now().wall_ns, WINDOW_NS)
    frames = [_windows(links, now_ns - (BATCHES - at) * WINDOW_NS) for at in range(BATCHES)]
    bodies = [
        pack(encode(Batch("h0", "boot", at + 1, now_ns, {"window": frame})))
        for at, frame in enumerate(frames)
    ]
    with tempfile.TemporaryDirectory() as folder:
        found = _pipeline(Path(folder), inventory, bodies)
    with tempfile.TemporaryDirectory() as folder:
        found |= _compaction(Path(folder), inventory, frames)
    found |= _line_protocol(inventory, frames[0])
    found["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    json.dump({"rows_per_batch": ROWS, "batches": BATCHES, **found}, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _pipeline(folder: Path, inventory: Inventory, bodies: list[bytes]) -> dict[str, float]:
    metrics, clock = Metrics(), SystemClock()
    journal = Journal(folder / "journal.sqlite", 2**31, 2**62)
    journal.register(["archive"])
    live = LiveState(lambda: inventory)
    expected = frozenset(str(link) for link in inventory.links)
    intake = Intake(journal, lambda: expected, clock, metrics, [live.take])
    accepted, accepted_wall = _timed(lambda: [intake.accept("h0", "zstd", body) for body in bodies])
    tags = link_tags(lambda: inventory)
    archive = Archive(folder / "archive", journal.identity, 0, tags)
    pump = Pump(archive, journal, DeadLetters(folder / "dead"), clock, metrics, trim=journal.trim)
    archived, _ = _timed(lambda: [pump.step(flush=True) for _ in range(5)])
    reader = ArchiveReader(folder / "archive")
    keys = reader.keys("window")
    assert len(keys) == len(set(keys)) == ROWS * BATCHES
    start_ns = max(key[-1] for key in keys)
    period, _ = _timed(lambda: live.period(start_ns))
    rows = ROWS * BATCHES
    return {
        "accepted_windows_per_cpu_s": round(rows / accepted),
        "accepted_batches_per_s": round(len(bodies) / accepted_wall, 1),
        "archived_windows_per_cpu_s": round(rows / archived),
        "through_windows_per_cpu_s": round(rows / (accepted + archived)),
        "body_octets": round(sum(map(len, bodies)) / len(bodies)),
        "archive_octets_per_window": round(_size(folder / "archive") / rows, 1),
        "period_frame_ms": round(1000 * period, 1),
    }


def _compaction(folder: Path, inventory: Inventory, frames: list[Frame]) -> dict[str, float]:
    """A file for each five batches, as if they came once a minute, put together; the last stays."""
    rules, clock = Rules(compact_after_s=0, step_files=10), SystemClock()
    archive = Archive(folder, "abc", 0, link_tags(lambda: inventory))
    deliveries = [Delivery(at, "h0", "boot", at, {"window": frame}) for at, frame in enumerate(frames, 1)]
    for first in range(0, BATCHES, 5):
        archive.write(deliveries[first : first + 5])
    holdings = archive.opened()
    spent, _ = _timed(lambda: compaction.step(holdings, rules, clock))
    merged = max(held.file.rows for held in holdings.held())
    archive.close()
    assert merged == ROWS * (BATCHES - 5)
    return {"compacted_windows_per_cpu_s": round(merged / spent)}


def _line_protocol(inventory: Inventory, frame: Frame) -> dict[str, float]:
    tags = link_tags(lambda: inventory)
    count = sum(len(lines(frame, tags)) for _ in range(3)) // 3
    spent, _ = _timed(lambda: [lines(frame, tags) for _ in range(30)])
    return {"line_protocol_lines_per_cpu_s": round(30 * count / spent)}


def _timed(work: object) -> tuple[float, float]:
    """CPU and wall seconds of `work()`."""
    assert callable(work)
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.parquet"))


def _windows(links: list[str], start_ns: int) -> Frame:
    """Windows with every real known and three histograms of SAMPLES delays."""
    chance = np.random.default_rng(start_ns // WINDOW_NS)
    count = len(links)
    delays = chance.lognormal(13, 0.1, (count, SAMPLES))
    histograms = Histograms.of([Histogram.of(row) for row in delays])
    columns = {field.name: chance.random(count) * 1000 for field in WINDOW.fields if field.kind is Kind.REAL}
    columns |= {field.name: np.full(count, SAMPLES) for field in WINDOW.fields if field.kind is Kind.COUNT}
    keys = {"link": links, "probe": ["stamp"] * count, "class": ["0"] * count}
    times = {"start_ns": [start_ns] * count, "length_ns": [WINDOW_NS] * count}
    names = ("rtt_ns", "forward_ns", "backward_ns")
    return Frame.of(WINDOW, {**keys, **times, **columns, **dict.fromkeys(names, histograms)})


if __name__ == "__main__":
    main()
