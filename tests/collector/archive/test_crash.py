"""A crash or a full disk between any two steps of writing, putting together and removing: nothing is lost,
nothing counts twice, and the manifest says what is there."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from collector.archive.layout import Layout
from collector.archive.rules import Rules
from collector.archive.upkeep import Upkeep
from collector.archive.verify import verify
from collector.sinks.archive import Archive
from linkgauge.errors import SinkHeld
from tests.collector.archive.crash import Crash, Stops, stopped
from tests.collector.archive.world import SOON, clock, delivery, holdings, names, starts, tags, write

LAST = 8640 * 3
"""The last delivery's number; it is of another day."""


def _stored(root: Path) -> list[int]:
    """Starts of all rows, copies included."""
    files = [pq.ParquetFile(root / path).read(["start_ns"]) for path in Layout(root).files()]
    return sorted(start for file in files for start in file["start_ns"].to_pylist())


def _deliver(root: Path, cursor: int, upto: int) -> Iterator[int]:
    """One process with the archive; each number once it is acknowledged."""
    with contextlib.closing(Archive(root, "abc", cursor, tags, clock=clock())) as archive:
        for seq in range(cursor + 1, upto + 1):
            archive.write([delivery(seq)])
            yield seq


def _keep(root: Path, rules: Rules = SOON, hours: float = 1) -> None:
    """One process that opens the archive and does what is due."""
    with contextlib.closing(holdings(root, LAST)) as files:
        upkeep = Upkeep(files, rules, clock(hours))
        upkeep.round()
        if upkeep.trouble is not None:
            raise OSError(upkeep.trouble)


def _at_every_step(
    work: Callable[[Path], None], root: Path, crash: bool, made: Path | None = None, exchange: bool = True
) -> Iterator[tuple[Path, Stops]]:
    """Do the work on a copy of `made` and stop before its first step, then before its second, and so on."""
    for at in range(1, 1000):
        place = root / str(at)
        if made is not None:
            shutil.copytree(made, place)
        with stopped(at, crash, exchange) as stops, contextlib.suppress(Crash, SinkHeld, OSError):
            work(place)
        if not stops.struck:
            assert at > 10
            return
        yield place, stops
    raise AssertionError("there is no end to it")


@pytest.mark.parametrize("crash", [True, False], ids=["crash", "full disk"])
def test_writing_stopped_at_any_step(tmp_path: Path, crash: bool) -> None:
    cursor = 0

    def work(root: Path) -> None:
        nonlocal cursor
        cursor = 0
        for cursor in _deliver(root, 0, 2):  # noqa: B007  # it is looked at below
            pass

    for root, _ in _at_every_step(work, tmp_path, crash):
        if cursor:
            assert set(starts(range(1, cursor + 1))) <= set(_stored(root)), root
        assert list(_deliver(root, cursor, 3))[-1] == 3
        assert _stored(root) == starts(range(1, 4)), root
        assert verify(root).faults == (), root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four deliveries, of which three are to be put together, and one of a later day."""
    root = tmp_path_factory.mktemp("made")
    write(root, range(1, 5))
    write(root, [LAST], cursor=4)
    return root


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "no exchange"])
@pytest.mark.parametrize("crash", [True, False], ids=["crash", "full disk"])
def test_putting_together_stopped_at_any_step(
    tmp_path: Path, made: Path, crash: bool, exchange: bool
) -> None:
    before = starts([1, 2, 3, 4, LAST])
    seen = set()
    for root, _ in _at_every_step(_keep, tmp_path, crash, made, exchange):
        found = _stored(root)
        assert found == before or (not exchange and set(found) == set(before)), root
        seen.add(tuple(names(root)))
        _keep(root)
        assert _stored(root) == before, root
        assert [name for name in names(root) if "-1-" in name] == ["abc-1-4.parquet"], root
        assert verify(root).faults == (), root
        assert not (root / ".work" / "abc" / "fresh").exists()
    assert len(seen) > 1


@pytest.mark.parametrize("crash", [True, False], ids=["crash", "full disk"])
def test_removing_old_days_stopped_at_any_step(tmp_path: Path, made: Path, crash: bool) -> None:
    rules = Rules(compact_after_s=1e6, keep_days=2)

    def work(root: Path) -> None:
        _keep(root, rules, hours=72)

    for root, _ in _at_every_step(work, tmp_path, crash, made):
        work(root)
        assert _stored(root) == starts([LAST]), root
        assert verify(root).faults == (), root


def test_a_full_disk_at_any_step_of_a_living_archive(tmp_path: Path) -> None:
    """The same archive goes on after the error, as the pump lets it."""
    for at in range(1, 200):
        root = tmp_path / str(at)
        archive = Archive(root, "abc", 0, tags, clock=clock())
        with stopped(at, crash=False) as stops:
            for seq in (1, 2):
                while True:
                    with contextlib.suppress(SinkHeld):
                        archive.write([delivery(seq)])
                        break
        archive.close()
        assert verify(root).faults == (), at
        assert _stored(root) == starts([1, 2]), at
        if not stops.struck:
            return
    raise AssertionError("there is no end to it")
