"""Two collectors at once: agents go over and back, both are brought batches, and nothing is counted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from collector.sinks.archive_reader import ArchiveReader
from linkgauge.schema import FLOW, STATE, THROUGHPUT, WINDOW
from tests.collector.pair import Key, Pair
from tests.collector.world import until
from tests.influxd import Influxd, influxd

__all__ = ["influxd"]
ALL_TIME = (0, 1 << 62)
PATIENCE_S = 300
"""On a starved machine requests time out, and then each side leaves the other alone for half a minute."""


def go_over_and_back(pair: Pair) -> None:
    """Both take batches; a ends in mid-upload and comes back; agents follow each time."""
    first, second, third = pair.agents
    pair.put(10)
    until(lambda: first.uploader.uploads.address == 0 and third.uploader.uploads.address == 0)
    pair.put(15)
    pair.a.end()
    pair.put(10)
    until(pair.sent, PATIENCE_S)
    assert second.uploader.uploads.address == 1
    until(pair.b.on_duty, PATIENCE_S)
    pair.a.start()

    def back() -> bool:
        if pair.sent():
            pair.put(1)
        return all(agent.uploader.uploads.address == 0 for agent in (first, second))

    until(back, PATIENCE_S)  # after failures an address is left alone for a while
    pair.put(10)
    until(pair.sent, PATIENCE_S)
    until(lambda: not pair.b.on_duty(), PATIENCE_S)  # after three windows of answers without a gap


def points(server: Influxd, database: str, measurement: str, field: str) -> Counter[Key]:
    found = server.query(f'SELECT "{field}" FROM "{measurement}" GROUP BY "link", "probe", "class"', database)
    return Counter(
        (series["tags"]["link"], time_ns)
        for series in found.get("series", [])
        for time_ns, _ in series["values"]
    )


def arrived(found: Callable[[], Counter[Key]], expected: Counter[Key]) -> None:
    """Wait until everything is there; nothing else must be."""
    until(lambda: found().total() >= expected.total(), PATIENCE_S)
    assert found() == expected


@pytest.mark.influx
def test_each_with_stores_of_its_own_has_every_window_once(tmp_path: Path, influxd: Influxd) -> None:
    more = "archive: {{flush_s: 0.2}}\ninfluxdb: {{url: '{}', database: {}}}\n"
    names = {"a": "own_a", "b": "own_b"}
    with Pair(tmp_path, *(more.format(influxd.url, name) for name in names.values())) as pair:
        go_over_and_back(pair)
        windows, tested = Counter(pair.produced), Counter(pair.tested)
        for station in (pair.a, pair.b):
            database = names[station.folder.name]
            arrived(partial(station.archived, WINDOW.name), windows)
            arrived(partial(station.archived, THROUGHPUT.name), tested)
            arrived(partial(station.archived, FLOW.name), tested + tested)  # two flows each
            arrived(partial(points, influxd, database, "link_loss", "sent"), windows)
            arrived(partial(points, influxd, database, "link_throughput", "received_bps"), tested)
            assert station.collector.metrics.total("batches_duplicate") > 0  # copies did come


@pytest.mark.influx
def test_both_on_one_pair_of_stores_give_every_window_once(tmp_path: Path, influxd: Influxd) -> None:
    root = tmp_path / "archive"
    more = f"archive: {{flush_s: 0.2, path: {root}}}\ninfluxdb: {{url: '{influxd.url}', database: shared}}\n"
    with Pair(tmp_path, more, more) as pair:
        go_over_and_back(pair)
        windows, tested = Counter(pair.produced), Counter(pair.tested)
        # one copy of each writer, until the files are put together
        arrived(partial(pair.a.archived, WINDOW.name), windows + windows)
        arrived(partial(pair.a.archived, THROUGHPUT.name), tested + tested)
        arrived(partial(points, influxd, "shared", "link_loss", "sent"), windows)
        arrived(partial(points, influxd, "shared", "link_throughput", "received_bps"), tested)
        with closing(ArchiveReader(root)) as archive:
            assert archive.read(WINDOW, *ALL_TIME).rows == windows.total()
            assert archive.read(THROUGHPUT, *ALL_TIME).rows == tested.total()
            assert archive.read(FLOW, *ALL_TIME).rows == 2 * tested.total()
            state = archive.read(STATE, *ALL_TIME)
        verdicts = Counter(zip(state.text("link").tolist(), state.count("start_ns").tolist(), strict=True))
        assert set(verdicts.values()) == {1}
        told = partial(points, influxd, "shared", "link_state", "verdict")
        until(lambda: set(told()) >= set(verdicts), PATIENCE_S)
        assert set(told().values()) == {1}
        _without_a_gap(verdicts)


def _without_a_gap(verdicts: Counter[Key]) -> None:
    """Each window has its verdict, also those in which duty went over."""
    starts = sorted({start_ns for _, start_ns in verdicts})
    recent = [at for at in starts if at > starts[-1] - 60 * 10**9]
    assert [b - a for a, b in pairwise(recent)] == [10**9] * (len(recent) - 1)
