"""The archive: what is written reads back, nothing twice after a crash, whole files only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from collector.archive.rules import Rules
from collector.sinks.archive import Archive
from collector.sinks.archive_reader import ArchiveReader
from collector.sinks.link_tags import Tags, link_tags
from collector.sinks.sink import Delivery
from linkgauge.clock import NS_PER_S
from linkgauge.errors import SinkHeld, StoreError
from linkgauge.frame import Frame
from linkgauge.schema import ALERT, EVENT, STATE, WINDOW
from tests.collector.world import NOW_NS, WINDOW_NS, health, inventory, throughput, windows
from tests.linkgauge.frames import frames, same_column, same_frame

LINKS = ["j1>j2@backbone", "j1>g1@backbone", "j1>g1@private"]


@pytest.fixture
def tags(tmp_path: Path) -> Tags:
    found = inventory(tmp_path)
    return link_tags(lambda: found)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[ArchiveReader]:
    made = ArchiveReader(tmp_path / "archive")
    yield made
    made.close()


def _write(folder: Path, tags: Tags, *deliveries: Delivery, cursor: int = 0) -> None:
    archive = Archive(folder / "archive", "abc", cursor, tags)
    archive.write(deliveries)
    archive.close()


def _delivery(seq: int, *given: Frame) -> Delivery:
    return Delivery(seq, "j1", "boot", seq, {frame.table.name: frame for frame in given})


def test_windows_read_back_equal(tmp_path: Path, tags: Tags, reader: ArchiveReader) -> None:
    frame = windows(LINKS)
    _write(tmp_path, tags, _delivery(1, frame))
    assert same_frame(_by_link(reader.windows(None, 0, 2**62)), _by_link(frame))


def _by_link(frame: Frame) -> Frame:
    return frame.take(np.argsort(frame.text("link").astype(str), kind="stable"))


def test_files_lie_by_table_date_and_network(tmp_path: Path, tags: Tags) -> None:
    midnight_ns = NOW_NS - NOW_NS % (86_400 * NS_PER_S)
    before, after = (windows(LINKS, midnight_ns + ns) for ns in (-WINDOW_NS, 0))
    _write(tmp_path, tags, _delivery(4, before, health("j1")), _delivery(7, after))
    names = sorted(str(p.relative_to(tmp_path / "archive")) for p in tmp_path.rglob("*.parquet"))
    assert names == [
        "health/date=2027-01-15/network=none/abc-4-7.parquet",
        "window/date=2027-01-14/network=backbone/abc-4-7.parquet",
        "window/date=2027-01-14/network=private/abc-4-7.parquet",
        "window/date=2027-01-15/network=backbone/abc-4-7.parquet",
        "window/date=2027-01-15/network=private/abc-4-7.parquet",
    ]
    assert all(path.stat().st_mode & 0o027 == 0 for path in tmp_path.rglob("*.parquet"))


def test_rows_that_tell_their_network_lie_there_and_are_read_as_they_were(
    tmp_path: Path, tags: Tags, reader: ArchiveReader
) -> None:
    networks = ["backbone", "", "private", "backbone"]
    columns = {key: ["x"] * 4 for key in ALERT.keys} | {"about": list("abcd"), "network": networks}
    times = {"start_ns": [NOW_NS] * 4, "length_ns": [WINDOW_NS] * 4}
    frame = Frame.of(
        ALERT, {**columns, **times, "since_s": [1.0, 2.0, math.nan, 4.0], "summary": list("wxyz")}
    )
    _write(tmp_path, tags, _delivery(1, frame))
    folders = {path.parent.name for path in tmp_path.rglob("alert/*/*/*.parquet")}
    assert folders == {"network=backbone", "network=none", "network=private"}
    found = reader.read(ALERT, NOW_NS, NOW_NS + 1)
    assert same_frame(found.take(np.argsort(found.text("about").astype(str))), frame)


def test_columns_and_types_are_the_schemas(tmp_path: Path, tags: Tags) -> None:
    _write(tmp_path, tags, _delivery(1, windows(LINKS, rtt_p50_us=math.nan)))
    path = next(tmp_path.rglob("network=private/*.parquet"))
    with duckdb.connect() as db:
        types = {
            row[0]: row[1] for row in db.execute("DESCRIBE FROM read_parquet(?)", [str(path)]).fetchall()
        }
        row = db.execute(
            "SELECT rtt_p50_us, src_region, tier, boot, number, len(rtt_ns_bucket) FROM read_parquet(?)",
            [str(path)],
        ).fetchone()
    assert (types["link"], types["sent"], types["rtt_p50_us"]) == ("VARCHAR", "BIGINT", "DOUBLE")
    assert (types["rtt_ns_bucket"], types["rtt_ns_count"]) == ("INTEGER[]", "BIGINT[]")
    assert row is not None
    assert row[:5] == (None, "shandong", "hub", "boot", 1)
    assert row[5] > 1


def test_reading_picks_links_and_times(tmp_path: Path, tags: Tags, reader: ArchiveReader) -> None:
    starts = [NOW_NS + at * WINDOW_NS for at in range(4)]
    _write(tmp_path, tags, *(_delivery(at + 1, windows(LINKS, start)) for at, start in enumerate(starts)))
    found = reader.windows(LINKS[:1], starts[1], starts[3])
    assert found.count("start_ns").tolist() == starts[1:3]
    assert set(found.text("link")) == {LINKS[0]}
    assert reader.windows([], 0, 2**62).rows == 0


def test_an_empty_archive_reads_as_nothing(reader: ArchiveReader) -> None:
    assert reader.windows(None, 0, 2**62).rows == 0
    assert reader.keys("window") == []


def test_keys_tell_doubles(tmp_path: Path, tags: Tags, reader: ArchiveReader) -> None:
    _write(tmp_path, tags, _delivery(1, windows(LINKS), health("j1")), _delivery(2, windows(LINKS)))
    keys = reader.keys("window")
    assert len(keys) == len(set(keys)) == 6
    assert ("j1", "boot", 1, LINKS[0], "stamp", "0", NOW_NS - WINDOW_NS) in keys
    assert reader.keys("health") == [("j1", "boot", 1, "j1", NOW_NS - WINDOW_NS)]


def test_a_crash_between_rename_and_cursor_doubles_nothing(
    tmp_path: Path, tags: Tags, reader: ArchiveReader
) -> None:
    _write(tmp_path, tags, _delivery(1, windows(LINKS)))
    _write(tmp_path, tags, _delivery(2, windows(LINKS)), cursor=1)  # the cursor stays at 1: a crash
    other = next(tmp_path.rglob("*-1-1.parquet")).with_name("fff-9-9.parquet")
    other.write_bytes(next(tmp_path.rglob("*-1-1.parquet")).read_bytes())
    partial = other.with_name(".tmp-abc-2-3.parquet")
    partial.write_bytes(b"half")
    _write(tmp_path, tags, _delivery(2, windows(LINKS)), _delivery(3, windows(LINKS)), cursor=1)
    other.unlink()  # another journal's file was left alone
    assert not partial.exists()
    assert sorted(key[2] for key in reader.keys("window")) == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_writing_the_same_deliveries_again_changes_nothing(
    tmp_path: Path, tags: Tags, reader: ArchiveReader
) -> None:
    archive = Archive(tmp_path / "archive", "abc", 0, tags)
    for _ in range(3):
        archive.write([_delivery(1, windows(LINKS)), _delivery(2, throughput(LINKS[0], 1e6))])
    archive.close()
    assert len(reader.keys("window")) == 3
    assert len(reader.keys("throughput")) == 1


def test_a_link_that_left_the_inventory_is_kept_with_what_its_name_tells(
    tmp_path: Path, tags: Tags, reader: ArchiveReader
) -> None:
    _write(tmp_path, tags, _delivery(1, windows(["x1>x2@gone", LINKS[0]])))
    assert len(reader.keys("window")) == 2
    assert list(tmp_path.rglob("network=gone/*.parquet"))


def test_an_archive_that_cannot_be_written_holds(tmp_path: Path, tags: Tags) -> None:
    (tmp_path / "archive").touch()
    archive = Archive(tmp_path / "archive", "abc", 0, tags)
    with pytest.raises(SinkHeld, match=r"archive: the archive cannot be written"):
        archive.write([_delivery(1, windows(LINKS))])
    archive.close()


def test_a_disk_that_is_nearly_full_holds_before_anything_is_written(
    tmp_path: Path, tags: Tags, reader: ArchiveReader
) -> None:
    archive = Archive(tmp_path / "archive", "abc", 0, tags, Rules(keep_free_bytes=2**60))
    with pytest.raises(SinkHeld, match=r"MB are to stay free \(archive.keep_free_mb\)") as held:
        archive.write([_delivery(1, windows(LINKS))])
    assert "the journal keeps the rows" in str(held.value)
    archive.close()
    assert reader.windows(None, 0, 2**62).rows == 0


@pytest.mark.parametrize("part", ["footer", "data", "all"])
def test_a_damaged_file_is_left_out_and_said_once(
    tmp_path: Path, tags: Tags, reader: ArchiveReader, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    links = LINKS[:2]  # of one network
    for seq in (1, 2, 3):
        _write(tmp_path, tags, _delivery(seq, windows(links, NOW_NS + seq * WINDOW_NS)), cursor=seq - 1)
    bad = next(tmp_path.rglob("abc-2-2.parquet"))
    whole = bad.read_bytes()
    data = b"PAR1" + b"\xff" * 2000 + whole[2004:]
    damaged = {"footer": whole[:-20], "data": data, "all": b"PAR1 no PAR1"}
    bad.write_bytes(damaged[part])
    for _ in range(2):
        assert {key[2] for key in reader.keys("window")} == {1, 3}
        assert reader.windows(None, 0, 2**62).rows == 2 * len(links)
    (record,) = caplog.records
    assert f'archive_file_unreadable file="{bad}"' in record.message
    bad.write_bytes(whole)  # somebody had a copy
    assert {key[2] for key in reader.keys("window")} == {1, 2, 3}


def test_what_is_the_fault_of_no_file_is_a_sentence(
    tmp_path: Path, tags: Tags, reader: ArchiveReader, caplog: pytest.LogCaptureFixture
) -> None:
    _write(tmp_path, tags, _delivery(1, windows(LINKS)))
    reader.close()
    with pytest.raises(StoreError, match="the archive cannot be read"):
        reader.keys("window")
    assert caplog.records == []


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(frames())
def test_every_table_reads_back(tmp_path_factory: pytest.TempPathFactory, frame: Frame) -> None:
    folder = tmp_path_factory.mktemp("any")
    limit = np.minimum(frame.count("start_ns"), 2**60)
    frame = Frame(frame.table, {**frame.columns, "start_ns": limit}, frame.rows)
    if "link" in frame.table.keys:
        links = np.array([f"a>b{at}@n" for at in range(frame.rows)], np.object_)
        frame = Frame(frame.table, {**frame.columns, "link": links}, frame.rows)
    archive = Archive(folder, "abc", 0, lambda link: {"link": link, "network": "n"})
    archive.write([Delivery(1, "j1", "boot", 1, {frame.table.name: frame})])
    archive.close()
    reader = ArchiveReader(folder)
    found = reader.read(frame.table, 0, 2**62)
    reader.close()
    assert found.rows == frame.rows
    order = np.argsort(frame.count("start_ns"), kind="stable")
    if len(set(limit.tolist())) == frame.rows:  # else the order among equal starts is free
        for name in frame.columns:
            assert same_column(found.columns[name], frame.take(order).columns[name]), name


def _made_older(path: Path, *missing: str) -> None:
    """Write a file anew as it was before some columns were thought of."""
    with duckdb.connect() as db:
        rest = ", ".join(missing)
        db.execute(f"CREATE TABLE part AS SELECT * EXCLUDE ({rest}) FROM read_parquet('{path}')")
        db.execute(f"COPY part TO '{path}' (FORMAT parquet)")


@pytest.mark.parametrize("newer_too", [False, True])
def test_what_an_older_file_lacks_is_zero_unknown_or_empty(
    tmp_path: Path, tags: Tags, reader: ArchiveReader, newer_too: bool
) -> None:
    event = {"link": LINKS[:1], "class": ["0"], "kind": ["path"], "start_ns": [NOW_NS], "before": ["a"]}
    given = [windows(LINKS, NOW_NS), Frame.of(EVENT, event)]
    _write(tmp_path, tags, _delivery(1, *given))
    missing = ("revision", "ce_forward", "hops_forward", "backward_ns_bucket", "backward_ns_count")
    for path in tmp_path.rglob("*.parquet"):
        _made_older(path, *(missing if "/window/" in str(path) else ("before",)))
    if newer_too:
        later = Frame.of(EVENT, {**event, "start_ns": [NOW_NS + 1]})
        _write(tmp_path, tags, _delivery(2, windows(LINKS, NOW_NS + WINDOW_NS), later), cursor=1)
    found, events = reader.windows(None, 0, NOW_NS + 1), reader.read(EVENT, 0, 2**62)
    assert (found.rows, events.rows) == (3, 1 + newer_too)
    assert (found.count("revision").tolist(), found.count("ce_forward").tolist()) == ([0] * 3, [0] * 3)
    assert np.isnan(found.real("hops_forward")).all()
    assert [row.total for row in found.histograms("backward_ns")] == [0] * 3
    assert found.count("sent").tolist() == [100] * 3
    assert events.text("before").tolist() == ["", *["a"] * newer_too]


def _revised(revision: int, sent: int, links: list[str] = LINKS[:1]) -> Frame:
    frame = windows(links, sent=sent)
    return Frame(WINDOW, {**frame.columns, "revision": np.full(len(links), revision)}, len(links))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_of_a_corrected_window_the_highest_revision_is_read(
    tmp_path: Path, tags: Tags, reader: ArchiveReader, order: tuple[int, ...]
) -> None:
    for at, revision in enumerate(order):
        _write(tmp_path, tags, _delivery(at + 1, _revised(revision, 100 + revision, LINKS)), cursor=at)
    found = reader.windows(None, 0, 2**62)
    assert (found.rows, found.count("sent").tolist()) == (3, [102] * 3)
    assert len(reader.keys("window")) == 9


def test_of_equal_copies_the_one_written_last_is_read(
    tmp_path: Path, tags: Tags, reader: ArchiveReader
) -> None:
    _write(tmp_path, tags, *(_delivery(at, _revised(1, at)) for at in (8, 9)))
    _write(tmp_path, tags, *(_delivery(at, _revised(1, at)) for at in (10, 12)), cursor=9)
    assert reader.windows(None, 0, 2**62).count("sent").tolist() == [12]
    state = {"link": LINKS, "start_ns": [NOW_NS] * 3}
    for at, verdict in ((13, 2), (14, 1)):
        frame = Frame.of(STATE, {**state, "verdict": [verdict] * 3})
        _write(tmp_path, tags, _delivery(at, frame), cursor=at - 1)
    assert reader.read(STATE, 0, 2**62).count("verdict").tolist() == [1, 1, 1]
