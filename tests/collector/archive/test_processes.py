"""Processes around one archive: a reader that sees every acknowledged row at all times, and a writer that is
killed again and again."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from collector.archive import compaction, upkeep
from collector.archive.rules import Rules
from collector.archive.verify import verify
from collector.sinks.archive import Archive
from collector.sinks.archive_reader import ArchiveReader
from tests.collector.archive.world import START_NS, clock, delivery, starts, tags
from tests.collector.world import until, windows

ROOT = Path(__file__).resolve().parents[3]


def _python(module: str, *words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"tests.collector.archive.{module}", *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def _read_meanwhile(root: Path, acknowledged: Path) -> Iterator[list[str]]:
    """Another process that reads the archive, and the lines that it has told so far; it ends well."""
    with _python("reading", root, acknowledged) as reader:
        lines, out = list[str](), reader.stdout
        assert out is not None
        assert reader.stderr is not None

        def listen() -> None:
            for line in out:
                lines.append(line)  # each is seen as it comes

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            until(lambda: bool(lines))
            yield lines
            (root / "stop").touch()
            assert reader.wait(120) == 0, reader.stderr.read()
        finally:
            reader.kill()
            listener.join(60)


def test_a_reader_in_another_process_sees_each_row_once_at_all_times(tmp_path: Path) -> None:
    root, acknowledged = tmp_path / "archive", tmp_path / "rows"
    rules = Rules(compact_after_s=0, step_files=4)
    archive = Archive(root, "abc", 0, tags, rules, clock())
    archive.write([delivery(1)])
    acknowledged.write_text("2")
    merged, seq, deadline_s = 0, 1, time.monotonic() + 120
    with _read_meanwhile(root, acknowledged) as lines:
        while merged < 12 or len(lines) < 5:
            assert time.monotonic() < deadline_s
            seq += 1
            archive.write([delivery(seq)])
            beside = acknowledged.with_suffix(".new")
            beside.write_text(str(2 * seq))
            beside.replace(acknowledged)
            merged += compaction.step(archive.opened(), rules, clock())
        archive.close()
    for line in lines:
        each = json.loads(line)
        assert each["rows"] == each["keys"] >= each["least"], each
    assert json.loads(lines[-1])["rows"] == 2 * seq


def test_a_writer_killed_at_any_instant_loses_and_doubles_nothing(tmp_path: Path) -> None:
    root, acknowledged, last = tmp_path / "archive", tmp_path / "cursor", 10**6
    acknowledged.write_text("0")
    chance = random.Random(7)
    for _ in range(6):
        writer = _python("writing", root, acknowledged, last)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "up\n"
        time.sleep(chance.uniform(0.05, 0.6))
        writer.kill()
        writer.communicate(timeout=120)
        cursor = int(acknowledged.read_text())
        with closing(ArchiveReader(root)) as reader:
            found = reader.windows(None, 0, 2**62)
            assert set(starts(range(1, cursor + 1))) <= set(found.count("start_ns").tolist())
            assert len(reader.keys("window")) == found.rows
    cursor = int(acknowledged.read_text())
    writer = _python("writing", root, acknowledged, cursor + 5)
    _, err = writer.communicate(timeout=120)
    assert writer.returncode == 0, err
    with closing(ArchiveReader(root)) as reader:
        assert reader.windows(None, 0, 2**62).count("start_ns").tolist() == starts(range(1, cursor + 6))
        assert len(reader.keys("window")) == 2 * (cursor + 5)
    assert verify(root).faults == ()


def test_verify_finds_nothing_wrong_while_a_writer_is_at_work(tmp_path: Path) -> None:
    root, acknowledged = tmp_path / "archive", tmp_path / "cursor"
    acknowledged.write_text("0")
    writer = _python("writing", root, acknowledged, 10**6)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "up\n"
    until(lambda: int(acknowledged.read_text()) > 8)
    heads: list[str] = []

    def seen() -> bool:
        report = verify(root, heads)
        assert report.faults == ()
        heads.extend(chain.head for chain in report.chains)
        return len(set(heads)) > 8

    until(seen)
    writer.kill()
    writer.communicate(timeout=120)


def test_files_are_put_together_by_a_thread_while_deliveries_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "ROUND_S", 0.01)
    archive = Archive(tmp_path, "abc", 0, tags, Rules(compact_after_s=0, step_files=4), clock())
    seq = 0

    def merged() -> bool:
        nonlocal seq
        seq += 1
        archive.write([delivery(seq)])
        return sum(held.what == "merged" for held in archive.opened().held()) >= 3

    until(merged)
    archive.close()
    with closing(ArchiveReader(tmp_path)) as reader:
        assert reader.windows(None, 0, 2**62).count("start_ns").tolist() == starts(range(1, seq + 1))
        assert len(reader.keys("window")) == 2 * seq
    assert verify(tmp_path).faults == ()


def test_fifty_thousand_rows_at_once_take_little_memory(tmp_path: Path) -> None:
    """What one flush of a large fleet takes beyond the rows that it is given."""
    frame = windows([f"a>b{at}@n" for at in range(1000)], START_NS)
    archive = Archive(tmp_path, "abc", 0, tags, clock=clock())
    archive.write([delivery(seq, frame) for seq in range(1, 51)])
    archive.close()
    with closing(ArchiveReader(tmp_path)) as reader:
        assert len(reader.keys("window")) == 50_000
    assert 0 < pa.default_memory_pool().max_memory() < 200 << 20
