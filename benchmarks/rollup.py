"""What roll-ups cost: processor time for each raw window, and memory. One JSON object on standard output.

An archive of an hour of windows of 10 s is written, of as many links as asked for, each with three histograms
of 100 delays; then the maker makes its twelve slots of 5 minutes, or some of them, and the hour. Of the way
of a batch, the part of the sink that notes slots is measured apart.
"""

from __future__ import annotations

import logging
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import machine
from collector.health.metrics import Metrics
from collector.rollup.journalling import Journalling
from collector.rollup.maker import Maker
from collector.rollup.merge import roll_up
from collector.rollup.notes import Grace, Notes
from collector.rollup.sink import TABLES, RollupSink
from collector.rollup.slot import HOUR_NS, SHORT_NS
from collector.rollup.source import ArchiveSource
from collector.sinks.archive import Archive
from collector.sinks.sink import Delivery
from linkgauge.clock import NS_PER_S, Instant
from linkgauge.frame import Frame, Histograms
from linkgauge.histogram import Histogram
from linkgauge.packing import pack, unpack
from linkgauge.schema import WINDOW, WINDOW_5M
from linkgauge.table import Kind
from linkgauge.wire import MAX_BODY_BYTES, Batch, decode, encode

LINKS = 1_000 if machine.quick() else 10_000
AGENTS = 100
SLOTS = 2
"""Slots of 5 minutes that are made of windows; the other ten of the hour are copies of their rows."""
WINDOW_NS, SAMPLES = 10 * NS_PER_S, 100
T0_NS = 1_800_000_000 * NS_PER_S
FILE_WINDOWS = 5
NAMES = ("rtt_ns", "forward_ns", "backward_ns")


class _Hours:
    """A clock three hours after the windows."""

    def now(self) -> Instant:
        return Instant(time.monotonic_ns(), T0_NS + 3 * HOUR_NS)


class _Kept:
    """Stands for the journal: keeps what the maker reports, and encodes it as the journal would."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.octets = 0

    def keep(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.octets += len(pack(encode(batch)))


def main() -> None:
    """Run everything once, in a temporary folder."""
    logging.disable(logging.WARNING)
    per_agent = LINKS // AGENTS
    links = [f"h{at // per_agent}>t{at}@n" for at in range(LINKS)]
    chance = np.random.default_rng(7)
    kinds = Histograms.of([Histogram.of(row) for row in chance.lognormal(13, 0.1, (500, SAMPLES))])
    with tempfile.TemporaryDirectory() as folder:
        figures = _measured(Path(folder), links, chance, kinds)
    us = figures["cpu_us_per_window"]
    share = 100 * us * 1e-6 * LINKS * NS_PER_S / WINDOW_NS
    machine.show(
        "rollup",
        f"{LINKS} links, windows of 10 s, {SAMPLES} delays each, files of {FILE_WINDOWS} windows",
        {**figures, "share_of_one_core_percent": round(share, 2)},
        [machine.at_most("CPU for each raw window, us", 50, us)],
    )


def _measured(
    folder: Path, links: list[str], chance: np.random.Generator, kinds: Histograms
) -> dict[str, float]:
    clock, kept = _Hours(), _Kept()
    archive = Archive(folder / "archive", "abc", 0, lambda link: {"network": "n"})
    notes, source = Notes(folder / "rollup.sqlite", clock), ArchiveSource(folder / "archive")
    sink, grace = RollupSink(notes, clock), Grace(NS_PER_S, NS_PER_S)
    put = Journalling(kept.keep, clock).put
    maker = Maker(notes, source, put, lambda: 2**60, grace, clock, Metrics())
    count = SLOTS * SHORT_NS // WINDOW_NS
    for first in range(0, count, FILE_WINDOWS):
        starts = [T0_NS + at * WINDOW_NS for at in range(first, first + FILE_WINDOWS)]
        frames = [_windows(links, start, chance, kinds) for start in starts]
        given = [Delivery(first + at + 1, "h0", "b", 1, {"window": frame}) for at, frame in enumerate(frames)]
        archive.write(given)
    noted_s = _noting(sink, links, chance, kinds)
    for touches in source.touches(T0_NS, T0_NS + HOUR_NS):
        notes.note(touches, T0_NS)
    before_mb = _peak_mb()
    short_s = _timed(lambda: [maker.step() for _ in range(SLOTS)])
    short_mb, rows = _peak_mb(), [batch.frames["window_5m"] for batch in kept.batches]
    assert sum(frame.rows for frame in rows) == SLOTS * LINKS
    octets = kept.octets
    _fill(archive, kept, count)
    for touches in source.touches(T0_NS, T0_NS + HOUR_NS):
        notes.note([touch for touch in touches if touch.slot.length_ns == HOUR_NS], T0_NS)
    hour_s = _timed(maker.step)
    made = sum(batch.frames["window_1h"].rows for batch in kept.batches if "window_1h" in batch.frames)
    assert made == LINKS
    windows = count * LINKS
    frame = _windows(links[:1000], T0_NS, chance, kinds)
    merging_s = _timed(lambda: [roll_up(frame, WINDOW_5M) for _ in range(10)])
    return {
        "links": LINKS,
        "windows_read": windows,
        "cpu_us_per_window": round(1e6 * (short_s / windows + hour_s / (LINKS * HOUR_NS // WINDOW_NS)), 2),
        "cpu_us_per_window_5m": round(1e6 * short_s / windows, 2),
        "cpu_us_per_window_1h": round(1e6 * hour_s / (LINKS * HOUR_NS // WINDOW_NS), 2),
        "cpu_us_per_window_merge_only": round(1e6 * merging_s / 10_000, 2),
        "cpu_us_per_window_noting": round(1e6 * noted_s / 10_000, 2),
        "cpu_s_slot_5m": round(short_s / SLOTS, 2),
        "cpu_s_slot_1h": round(hour_s, 2),
        "journal_octets_per_row_5m": round(octets / (SLOTS * LINKS)),
        "peak_memory_before_mb": before_mb,
        "peak_memory_5m_mb": short_mb,
        "peak_memory_1h_mb": _peak_mb(),
    }


def _fill(archive: Archive, kept: _Kept, seq: int) -> None:
    """Write the rows that were made, and copies of them for the other slots of the hour."""
    frames = [batch.frames["window_5m"] for batch in kept.batches]
    for slot in range(0, HOUR_NS // SHORT_NS, SLOTS):
        for frame in frames:
            seq += 1
            starts = frame.count("start_ns") + slot * SHORT_NS
            moved = Frame.of(WINDOW_5M, {**frame.columns, "start_ns": starts}, frame.rows)
            archive.write([Delivery(seq, "@collector", "b", seq, {"window_5m": moved})])


def _noting(sink: RollupSink, links: list[str], chance: np.random.Generator, kinds: Histograms) -> float:
    """CPU seconds for decoding and noting ten batches of 1 000 windows."""
    frame = _windows(links[:1000], T0_NS, chance, kinds)
    body = pack(encode(Batch("h0", "b", 1, T0_NS, {"window": frame})))

    def take() -> None:
        for seq in range(1, 11):
            frames = decode(unpack(body, MAX_BODY_BYTES), TABLES).frames
            sink.write([Delivery(seq, "h0", "b", seq, frames)])

    return _timed(take)


def _timed(work: Callable[[], object]) -> float:
    """CPU seconds of `work()`."""
    cpu = time.process_time()
    work()
    return time.process_time() - cpu


def _peak_mb() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _windows(links: list[str], start_ns: int, chance: np.random.Generator, kinds: Histograms) -> Frame:
    count = len(links)
    columns = {f.name: chance.random(count) * 1000 for f in WINDOW.fields if f.kind is Kind.REAL}
    columns |= {f.name: np.full(count, SAMPLES) for f in WINDOW.fields if f.kind is Kind.COUNT}
    columns["unfit"] = np.zeros(count, np.int64)
    keys = {"link": links, "probe": ["stamp"] * count, "class": ["0"] * count}
    times = {"start_ns": [start_ns] * count, "length_ns": [WINDOW_NS] * count}
    delays = {name: kinds.take(chance.integers(0, len(kinds), count)) for name in NAMES}
    return Frame.of(WINDOW, {**keys, **times, **columns, **delays})


if __name__ == "__main__":
    main()
