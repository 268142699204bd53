"""The archive as the source of roll-ups: what cannot be read is said with the file and the mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from collector.rollup.slot import SHORT_NS, Slot
from collector.rollup.source import ArchiveSource
from collector.sinks.archive import Archive
from collector.sinks.sink import Delivery
from linkgauge.frame import Frame
from tests.collector.rollup.windows import T0_NS, Sampled, frame_of

SLOT = Slot(T0_NS, SHORT_NS)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with closing(Archive(tmp_path, "abc", 0, lambda link: {"network": "n"})) as made:
        yield made


def _write(archive: Archive, seq: int, *windows: Sampled) -> None:
    archive.write([Delivery(seq, "a", "b", seq, {"window": frame_of(windows)})])


def _rows(source: ArchiveSource, *agents: str) -> list[Frame]:
    return [frame for pieces in source.pieces(SLOT, agents) for frame in pieces]


def test_only_rows_of_the_slot_and_of_the_agents_are_read(archive: Archive, tmp_path: Path) -> None:
    starts = (T0_NS - 1, T0_NS, SLOT.end_ns - 1, SLOT.end_ns)
    windows = [Sampled(at, (1e6,), link=link) for at in starts for link in ("a>b@n", "b>a@n", "ab>c@n")]
    _write(archive, 1, *windows)
    with closing(ArchiveSource(tmp_path)) as source:
        (frame,) = _rows(source, "a")
        assert set(frame.text("link")) == {"a>b@n"}
        assert frame.count("start_ns").tolist() == [T0_NS, SLOT.end_ns - 1]
        assert [set(frame.text("link")) for frame in _rows(source, "ab", "b")] == [{"ab>c@n", "b>a@n"}]
        assert _rows(source, "x") == []


def test_of_two_copies_the_later_counts(archive: Archive, tmp_path: Path) -> None:
    _write(archive, 1, Sampled(T0_NS, (1e6,)))
    _write(archive, 2, Sampled(T0_NS, (2e6, 3e6)))
    with closing(ArchiveSource(tmp_path)) as source:
        (frame,) = _rows(source, "a")
        assert frame.count("replied").tolist() == [2]


def test_a_file_that_is_no_parquet_is_left_out_and_counted(
    archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _write(archive, 1, Sampled(T0_NS, (1e6,)))
    bad = next(tmp_path.glob("window/*/*/*.parquet")).with_name("fff-1-1.parquet")
    bad.write_bytes(b"half a file")
    with closing(ArchiveSource(tmp_path)) as source:
        for _ in range(2):
            assert [frame.rows for frame in _rows(source, "a")] == [1]
        assert len(list(source.touches(0, 2**62))) == 1
        assert source.unreadable.count == 1
        assert ["fff-1-1" in record.message for record in caplog.records] == [True]
        bad.unlink()
        assert source.unreadable.count == 0


def test_files_of_other_days_are_not_opened(archive: Archive, tmp_path: Path) -> None:
    _write(archive, 1, Sampled(T0_NS, (1e6,)))
    other = tmp_path / "window" / "date=2026-01-01" / "network=n" / "fff-1-1.parquet"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"of another day")
    with closing(ArchiveSource(tmp_path)) as source:
        assert [frame.rows for frame in _rows(source, "a")] == [1]


def test_days_are_found_by_their_folders(archive: Archive, tmp_path: Path) -> None:
    day_ns = 86_400 * 10**9
    _write(archive, 1, Sampled(T0_NS, (1e6,)), Sampled(T0_NS + 3 * day_ns, (1e6,)))
    (tmp_path / "window" / "date=notes").mkdir()
    with closing(ArchiveSource(tmp_path)) as source:
        found = [[touch.slot.start_ns for touch in day] for day in source.touches(0, 2**62)]
        assert found == [[T0_NS], [T0_NS + 3 * day_ns]]
        assert [list(day) for day in source.touches(T0_NS + 1, T0_NS + 2)] == [[]]
