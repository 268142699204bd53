"""Putting files together: when it is due, what comes out, and that each row counts after it as before."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from collector.archive import compaction
from collector.archive.holdings import Holdings
from collector.archive.manifest import Listed, Manifest
from collector.archive.rules import Rules
from collector.archive.upkeep import ANEW_NS, Upkeep
from collector.sinks.archive import Archive
from collector.sinks.archive_reader import ArchiveReader
from linkgauge.frame import Frame
from linkgauge.schema import STATE, WINDOW
from tests.collector.archive.world import (
    SOON,
    START_NS,
    clock,
    delivery,
    holdings,
    names,
    revised,
    starts,
    tags,
    write,
)
from tests.linkgauge.frames import same_frame


def _read(root: Path) -> Frame:
    reader = ArchiveReader(root)
    found = reader.windows(None, 0, 2**62)
    reader.close()
    return found


def _compact(root: Path, rules: Rules = SOON, hours: float = 1, identity: str = "abc") -> int:
    """Steps that had something to do."""
    files = holdings(root, identity=identity)
    steps = 0
    while compaction.step(files, rules, clock(hours)):
        steps += 1
    files.close()
    return steps


def test_small_files_become_one_sorted_by_link_and_start(tmp_path: Path) -> None:
    write(tmp_path, range(1, 6))
    before = _read(tmp_path)
    assert _compact(tmp_path) == 1
    assert names(tmp_path) == ["abc-1-4.parquet", "abc-5-5.parquet"]
    merged = pq.read_table(next(tmp_path.rglob("abc-1-4.parquet")), partitioning=None)
    keys = list(zip(merged["link"].to_pylist(), merged["start_ns"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    assert len(keys) == 8
    assert same_frame(_sorted(_read(tmp_path)), _sorted(before))


def _sorted(frame: Frame) -> Frame:
    return frame.take(np.lexsort((frame.text("link").astype(str), frame.count("start_ns"))))


def test_the_file_that_was_put_together_has_the_same_columns_and_types(tmp_path: Path) -> None:
    write(tmp_path, range(1, 6))
    with duckdb.connect() as db:
        query = "DESCRIBE FROM read_parquet(?, hive_partitioning=false)"
        before = db.execute(query, [str(next(tmp_path.rglob("abc-5-5.parquet")))]).fetchall()
        _compact(tmp_path)
        merged = next(tmp_path.rglob("abc-1-4.parquet"))
        assert db.execute(query, [str(merged)]).fetchall() == before
    fresh = pq.read_schema(next(tmp_path.rglob("abc-5-5.parquet")))
    assert pq.read_schema(merged).equals(fresh)
    assert merged.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("files", "rules", "hours", "steps"),
    [
        (5, Rules(compact_after_s=0, step_files=6), 1, 0),  # too few while the day lasts
        (5, Rules(compact_after_s=0, step_files=60), 25, 1),  # the day is over
        (5, Rules(compact_after_s=7200, step_files=3), 2.9, 0),  # too young
        (5, Rules(compact_after_s=7200, step_files=3), 3.1, 1),
        (5, Rules(compact_after_s=7200, step_files=60), 25.9, 0),  # late windows may still come
        (2, Rules(compact_after_s=0, step_files=1), 25, 0),  # the last delivery is not settled
        (9, Rules(compact_after_s=0, step_files=2, step_octets=1), 1, 0),  # large files stay
    ],
)
def test_when_it_is_due(tmp_path: Path, files: int, rules: Rules, hours: float, steps: int) -> None:
    write(tmp_path, range(1, files + 1))
    assert _compact(tmp_path, rules, hours) == steps


def test_hours_become_a_day_and_what_comes_late_waits_a_day(tmp_path: Path) -> None:
    write(tmp_path, range(1, 9))
    files = holdings(tmp_path)
    assert compaction.step(files, SOON, clock(1))
    files.close()
    write(tmp_path, [9, 10], cursor=8)
    assert _compact(tmp_path, hours=1) == 0
    assert _compact(tmp_path, hours=25) == 0  # one file and two late ones
    assert _compact(tmp_path, hours=26) == 1
    assert names(tmp_path) == ["abc-1-9.parquet", "abc-10-10.parquet"]
    assert _read(tmp_path).count("start_ns").tolist() == starts(range(1, 11))


def test_of_each_key_the_last_copy_stays(tmp_path: Path) -> None:
    archive = Archive(tmp_path, "abc", 0, tags, clock=clock())
    for seq, frame in enumerate([revised(1, 0), revised(1, 2), revised(1, 1), revised(2, 0), revised(3, 0)]):
        archive.write([delivery(seq + 1, frame)])
    archive.close()
    assert _compact(tmp_path) == 1
    found = _read(tmp_path)
    assert found.count("sent").tolist() == [102] * 2 + [100] * 4
    reader = ArchiveReader(tmp_path)
    assert len(reader.keys("window")) == 6
    reader.close()
    line = (tmp_path / ".manifest" / "abc.jsonl").read_text().splitlines()[-1]
    assert '"what":"merged"' in line
    assert '"doubles":4' in line


def test_of_equal_copies_the_one_written_last_counts_before_and_after(tmp_path: Path) -> None:
    """A file too large to be put together lies between: the runs on its two sides stay apart."""
    archive = Archive(tmp_path, "abc", 0, tags, clock=clock())
    large = [delivery(3, _states(range(30_000), 7))]
    for seq, verdict in ((1, 1), (2, 1)):
        archive.write([delivery(seq, _states(range(3), verdict))])
    archive.write(large)
    for seq, verdict in ((4, 2), (5, 3), (6, 9)):
        archive.write([delivery(seq, _states(range(3), verdict))])
    archive.close()
    octets = next(tmp_path.rglob("abc-3-3.parquet")).stat().st_size
    rules = Rules(compact_after_s=0, step_files=2, step_octets=octets)
    assert _compact(tmp_path, rules) == 2
    assert names(tmp_path) == ["abc-1-2.parquet", "abc-3-3.parquet", "abc-4-5.parquet", "abc-6-6.parquet"]
    reader = ArchiveReader(tmp_path)
    found = reader.read(STATE, 0, 2**62)
    reader.close()
    verdicts = dict(zip(found.text("link").tolist(), found.count("verdict").tolist(), strict=True))
    assert (verdicts["a>b0@n"], verdicts["a>b5@n"], len(verdicts)) == (9, 7, 30_000)


def _states(ends: Sequence[int], verdict: int) -> Frame:
    links = [f"a>b{end}@n" for end in ends]
    return Frame.of(
        STATE, {"link": links, "start_ns": [START_NS + 1] * len(links), "verdict": [verdict] * len(links)}
    )


def test_a_column_that_the_schema_no_longer_has_is_kept(tmp_path: Path) -> None:
    write(tmp_path, range(1, 5))
    path = next(tmp_path.rglob("abc-2-2.parquet"))
    with duckdb.connect() as db:
        db.execute(f"CREATE TABLE t AS SELECT * EXCLUDE (revision), 7 AS former FROM read_parquet('{path}')")
        db.execute(f"COPY (SELECT * EXCLUDE (date, network) FROM t) TO '{path}' (FORMAT parquet)")
        _compact(tmp_path)
        query = "SELECT count(*), count(former), count(revision) FROM read_parquet(?)"
        assert db.execute(query, [str(next(tmp_path.rglob("abc-1-3.parquet")))]).fetchone() == (6, 2, 4)
    assert _read(tmp_path).count("start_ns").tolist() == starts(range(1, 5))


def test_two_writers_on_one_root_leave_each_others_files(tmp_path: Path) -> None:
    write(tmp_path, range(1, 6))
    write(tmp_path, range(1, 6), identity="def")
    other = holdings(tmp_path, identity="def")  # open meanwhile
    assert _compact(tmp_path) == 1
    assert names(tmp_path) == [
        "abc-1-4.parquet", "abc-5-5.parquet", *(f"def-{at}-{at}.parquet" for at in range(1, 6))
    ]  # fmt: skip
    other.close()
    assert _compact(tmp_path, identity="def") == 1
    assert _read(tmp_path).count("start_ns").tolist() == starts(range(1, 6))


def test_without_room_files_stay_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, range(1, 6))
    assert _compact(tmp_path, Rules(compact_after_s=0, step_files=3, keep_free_bytes=2**62)) == 0


def test_where_memory_does_not_do_half_of_the_files_are_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, range(1, 10))
    merge = compaction.merge

    def narrow(holdings: Holdings, paths: Sequence[str], rows: int) -> None:
        if len(paths) > 4:
            raise duckdb.OutOfMemoryException("no room")
        merge(holdings, paths, rows)

    monkeypatch.setattr(compaction, "merge", narrow)
    assert _compact(tmp_path) == 2
    assert names(tmp_path) == ["abc-1-4.parquet", "abc-5-8.parquet", "abc-9-9.parquet"]
    assert _read(tmp_path).count("start_ns").tolist() == starts(range(1, 10))


def test_a_damaged_file_is_told_once_and_nothing_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, range(1, 6))
    next(tmp_path.rglob("abc-2-2.parquet")).write_bytes(b"PAR1 no parquet PAR1")
    files = holdings(tmp_path)
    upkeep, before = Upkeep(files, SOON, clock()), names(tmp_path)
    upkeep.round()
    upkeep.round()
    assert upkeep.trouble is not None
    assert "abc-2-2" in upkeep.trouble
    assert names(tmp_path) == before
    assert sum("archive_folder_failed" in record.message for record in caplog.records) == 1
    files.close()


def test_a_folder_that_fails_holds_up_no_other_and_is_tried_again_a_day_later(tmp_path: Path) -> None:
    day = 8640
    write(tmp_path, [*range(1, 5), *range(day + 1, day + 6), *range(2 * day + 1, 2 * day + 5)], cursor=0)
    bad, gone = (next(tmp_path.rglob(f"abc-{seq}-{seq}.parquet")) for seq in (2, day + 2))
    kept = bad.read_bytes()
    bad.write_bytes(b"PAR1 no parquet PAR1")
    gone.unlink()
    manifest = tmp_path / ".manifest" / "old.jsonl"
    with contextlib.closing(Manifest(manifest)) as old:
        for folder in ("nothing/date=2026-01-02", "window/date=2026-13-45"):
            old.append(1, "added", [Listed(f"{folder}/network=n/abc-1-1.parquet", 1, 1, "")])
    files, time = holdings(tmp_path), clock()
    upkeep = Upkeep(files, SOON, time)
    upkeep.round()
    assert f"abc-{2 * day + 1}-{2 * day + 3}.parquet" in names(tmp_path)
    assert upkeep.trouble is not None
    assert "abc-2-2" in upkeep.trouble
    bad.write_bytes(kept)
    upkeep.round()
    assert "abc-1-4.parquet" not in names(tmp_path)
    time.wall_ns += ANEW_NS
    upkeep.round()
    assert "abc-1-4.parquet" in names(tmp_path)
    files.close()


def test_files_of_a_former_writer_expire_and_those_of_a_living_one_are_its_own(tmp_path: Path) -> None:
    write(tmp_path, range(1, 6), identity="abc")
    write(tmp_path, range(1, 4), identity="def")
    files, rules, late = holdings(tmp_path, identity="def"), Rules(keep_days=1), clock(24 * 400)
    with contextlib.closing(holdings(tmp_path, identity="abc")):
        Upkeep(files, rules, late).round()
        assert len(names(tmp_path)) == 5
    upkeep = Upkeep(files, rules, late)
    upkeep.round()
    assert (names(tmp_path), upkeep.trouble) == ([], None)
    with contextlib.closing(holdings(tmp_path, identity="abc")):  # nothing is old: its name is not taken
        upkeep = Upkeep(files, rules, late)
        upkeep.round()
        assert upkeep.trouble is None
    files.close()


def test_days_that_are_no_longer_kept_go(tmp_path: Path) -> None:
    write(tmp_path, range(1, 6))
    files = holdings(tmp_path)
    rules = Rules(compact_after_s=1e6, keep_days=2)
    Upkeep(files, rules, clock(71.9)).round()
    assert len(names(tmp_path)) == 5
    Upkeep(files, rules, clock(72)).round()
    assert names(tmp_path) == []
    files.close()
    write(tmp_path, [8640 * 3 + 1], cursor=5)
    files = holdings(tmp_path)
    Upkeep(files, rules, clock(72)).round()
    assert names(tmp_path) == ["abc-25921-25921.parquet"]
    assert len(list((tmp_path / WINDOW.name).iterdir())) == 1
    files.close()
