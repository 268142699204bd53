"""The last way of each flow: kept while it does not reach, forgotten with its link, bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.causes.alterations import NEWS_WINDOWS, SPELL_ROUNDS
from collector.live.last_paths import MOST_FLOWS, ROUNDS_BACK, WINDOWS_BACK, LastPaths
from linkgauge.errors import StoreError
from linkgauge.frame import Frame, concat
from linkgauge.inventory import load
from linkgauge.schema import PATH
from linkgauge.table import Table
from tests.collector.world import INVENTORY, NOW_NS, batch, write_inventory

A, B = "j1>g1@backbone", "j1>j2@backbone"


def swept(link: str, *ways: str, reached: int = 1, first: int = 0, at_ns: int = NOW_NS) -> Frame:
    rows = len(ways)
    columns = {"link": [link] * rows, "class": ["0"] * rows, "path": list(ways), "reached": [reached] * rows}
    flows = [str(first + at) for at in range(rows)]
    return Frame.of(PATH, {**columns, "flow": flows, "start_ns": [at_ns] * rows})


class World:
    def __init__(self, folder: Path) -> None:
        self.file = write_inventory(folder)
        self.inventory = load(self.file)
        self.paths = LastPaths(lambda: self.inventory)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class Shelf:
    """An archive with rows, or one that cannot be read."""

    def __init__(self, *frames: Frame, broken: bool = False) -> None:
        self.frames, self.broken = frames, broken
        self.asked: list[tuple[int, int]] = []

    def read(self, table: Table, from_ns: int, to_ns: int) -> Frame:
        if self.broken:
            raise StoreError("the archive cannot be read")
        self.asked.append((from_ns, to_ns))
        whole = concat(table, self.frames)
        starts = whole.count("start_ns")
        return whole.take((starts >= from_ns) & (starts < to_ns))


def test_the_way_of_each_flow_is_told(world: World) -> None:
    frame = swept(A, "10.9.0.1 10.0.0.3", "10.9.0.2 * 10.0.0.3", "10.9.0.1 10.0.0.3", "")
    world.paths.observe(batch("j1", 1, frame), NOW_NS)
    world.paths.observe(batch("j1", 2), NOW_NS)
    one, other = ("10.9.0.1", "10.0.0.3"), ("10.9.0.2", "*", "10.0.0.3")
    assert world.paths.paths() == {A: (one, other, one)}
    world.paths.take(swept(A, "10.9.0.7 10.0.0.3", "10.9.0.7 10.0.0.3", "10.9.0.7 10.0.0.3"))
    world.paths.take(swept(B, "10.0.0.2"))
    assert world.paths.paths() == {A: (("10.9.0.7", "10.0.0.3"),) * 3, B: (("10.0.0.2",),)}


def test_a_sweep_that_was_cut_short_does_not_replace_one_that_reached(world: World) -> None:
    world.paths.take(swept(A, "10.9.0.1", reached=0))
    assert world.paths.paths() == {A: (("10.9.0.1", "*"),)}
    world.paths.take(swept(A, "10.9.0.1 10.9.0.2 10.0.0.3"))
    world.paths.take(swept(A, "10.9.0.1", reached=0))
    assert world.paths.paths() == {A: (("10.9.0.1", "10.9.0.2", "10.0.0.3"),)}
    world.paths.take(swept(A, "10.9.0.1 10.9.0.5 ..."))
    assert world.paths.paths() == {A: (("10.9.0.1", "10.9.0.5"),)}


def test_a_hop_that_is_silent_for_once_keeps_its_address(world: World) -> None:
    world.paths.take(swept(A, "10.9.0.1 10.9.0.2 * 10.0.0.3"))
    world.paths.take(swept(A, "* 10.9.0.2 10.9.0.4 10.0.0.3"))
    assert world.paths.paths() == {A: (("10.9.0.1", "10.9.0.2", "10.9.0.4", "10.0.0.3"),)}
    world.paths.take(swept(A, "* 10.9.0.5 10.9.0.4 10.0.0.3"))
    assert world.paths.paths() == {A: (("*", "10.9.0.5", "10.9.0.4", "10.0.0.3"),)}
    world.paths.take(swept(A, "* 10.9.0.5 10.0.0.3"))
    assert world.paths.paths() == {A: (("*", "10.9.0.5", "10.0.0.3"),)}


def test_links_that_are_not_expected_are_not_kept_and_flows_are_bounded(world: World) -> None:
    world.paths.take(swept("j2>g9@backbone", "10.9.0.1"))
    world.paths.take(swept(A, *(f"10.9.0.{at} 10.0.0.3" for at in range(MOST_FLOWS + 5))))
    (ways,) = world.paths.paths().values()
    assert len(ways) == MOST_FLOWS
    assert ways[0] == ("10.9.0.5", "10.0.0.3")
    world.paths.take(swept(B, "10.0.0.2"))
    world.file.write_text(INVENTORY.replace("  - {name: g1, ", "  - {name: g7, "))
    world.inventory = load(world.file)
    assert set(world.paths.paths()) == {B}


def test_at_start_the_last_rounds_are_taken_from_the_archive(world: World) -> None:
    old, new = swept(A, "10.9.0.9", at_ns=NOW_NS - 201 * 10**9), swept(B, "10.9.0.1", at_ns=NOW_NS - 10**9)
    shelf = Shelf(old, new)
    world.paths.replay(shelf, NOW_NS)
    assert world.paths.paths() == {B: (("10.9.0.1",),)}
    assert shelf.asked[0][0] == NOW_NS - 200 * 10**9
    assert shelf.asked[-1][1] == NOW_NS + 60 * 10**9


def test_what_is_taken_up_is_a_round_longer_than_a_change_of_the_mtu_is_news() -> None:
    assert (ROUNDS_BACK, WINDOWS_BACK) == (SPELL_ROUNDS + 1, NEWS_WINDOWS)


def test_an_archive_that_cannot_be_read_is_told_of(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.paths.replay(Shelf(broken=True), NOW_NS)
    assert "paths_not_read" in caplog.text
    assert world.paths.paths() == {}
