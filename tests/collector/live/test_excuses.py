"""What does not count: links under announced work, and links to a node that plays a fault."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from collector.live.excuses import Excuses
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory, load
from linkgauge.maintenance import Maintenance, Scope
from linkgauge.schema import HEALTH, STATE
from tests.collector.world import INVENTORY, NOW_NS, WINDOW_NS, batch, health, write_inventory

BACK_NS = 6 * WINDOW_NS


def announced(folder: Path, from_s: int, until_s: int, what: str) -> Inventory:
    """Work from so many seconds after NOW_NS."""
    times = [datetime.fromtimestamp(NOW_NS // NS_PER_S + each, UTC).isoformat() for each in (from_s, until_s)]
    work = f"maintenance:\n  - {{from: {times[0]}, until: {times[1]}, reason: optics, {what}}}\n"
    return load(write_inventory(folder, INVENTORY + work))


def drilled(node: str, start_ns: int) -> Frame:
    made = health(node, start_ns)
    return Frame(HEALTH, {**made.columns, "drill": np.array([1])}, 1)


def test_links_are_excused_while_announced_work_touches_them(tmp_path: Path) -> None:
    inventory = announced(tmp_path, 5, 25, "nodes: [g1], networks: [backbone]")
    specs = tuple(inventory.links.values())
    excuses = Excuses(lambda: inventory, WINDOW_NS, BACK_NS)
    touched = [spec.link.network == "backbone" and "g1" in (spec.link.src, spec.link.dst) for spec in specs]
    assert any(touched)
    assert not all(touched)
    for window, running in enumerate([True, True, True, False]):
        excused = excuses.links(specs, NOW_NS + window * WINDOW_NS)
        assert excused.maintenance.tolist() == [running and each for each in touched]
        assert not excused.drill.any()
    state = Frame.of(STATE, {"link": [str(spec.link) for spec in specs], "start_ns": [NOW_NS] * len(specs)})
    marked = excuses.links(specs, NOW_NS).marked(state)
    assert marked.count("maintenance").tolist() == [int(each) for each in touched]
    assert marked.text("link").tolist() == state.text("link").tolist()


def test_a_changed_inventory_excuses_others(tmp_path: Path) -> None:
    given = [announced(tmp_path, 0, 50, "nodes: [g1]")]
    excuses = Excuses(lambda: given[0], WINDOW_NS, BACK_NS)
    first = excuses.links(tuple(given[0].links.values()), NOW_NS).any
    given[0] = announced(tmp_path, 0, 50, "nodes: [j2]")
    second = excuses.links(tuple(given[0].links.values()), NOW_NS).any
    assert first.any()
    assert second.any()
    assert first.tolist() != second.tolist()


def test_links_to_a_node_that_plays_a_fault_are_excused_in_that_window_and_the_next(tmp_path: Path) -> None:
    inventory = load(write_inventory(tmp_path))
    specs = tuple(inventory.links.values())
    excuses = Excuses(lambda: inventory, WINDOW_NS, BACK_NS)
    excuses.observe(batch("g1", 1, health("g1", NOW_NS)), NOW_NS)
    assert not excuses.links(specs, NOW_NS).any.any()
    excuses.observe(batch("g1", 2, drilled("g1", NOW_NS)), NOW_NS)
    to_g1 = [spec.link.dst == "g1" for spec in specs]
    for window, touched in ((-1, False), (0, True), (1, True), (2, False)):
        excused = excuses.links(specs, NOW_NS + window * WINDOW_NS)
        assert excused.drill.tolist() == [touched and each for each in to_g1]
        assert not excused.maintenance.any()


def test_drills_are_forgotten_when_no_window_is_judged_again_for_them(tmp_path: Path) -> None:
    inventory = load(write_inventory(tmp_path))
    excuses = Excuses(lambda: inventory, WINDOW_NS, BACK_NS)
    for at in range(1000):
        excuses.observe(batch("g1", at, drilled("g1", NOW_NS + at * WINDOW_NS)), NOW_NS)
    assert sum(map(len, excuses._drills.values())) < 20
    excuses.observe(batch("j1", 1, drilled("j1", NOW_NS + 9999 * WINDOW_NS)), NOW_NS)
    assert list(excuses._drills) == ["j1"]


def test_windows_of_which_more_or_less_is_known_since_they_were_judged_are_named(tmp_path: Path) -> None:
    given = [load(write_inventory(tmp_path))]
    excuses = Excuses(lambda: given[0], WINDOW_NS, BACK_NS)
    starts = [NOW_NS + at * WINDOW_NS for at in range(6)]
    for at in starts:
        excuses.judged(at)
    assert excuses.changed() == []
    excuses.take(drilled("g1", starts[1]))
    assert excuses.changed() == starts[1:3]
    excuses.judged(starts[1])
    excuses.take(drilled("g1", starts[1]))
    assert excuses.changed() == starts[2:3], "that is known"
    given[0] = announced(tmp_path, 35, 45, "nodes: [g1]")
    assert excuses.changed() == starts[2:5]
    for at in starts[2:5]:
        excuses.judged(at)
    assert excuses.changed() == []
    given[0] = load(write_inventory(tmp_path))
    assert excuses.changed() == starts[3:5], "it was taken back"
    excuses.begin_anew()
    given[0] = announced(tmp_path, 35, 45, "nodes: [g1]")
    assert excuses.changed() == []
    for at in range(100):
        excuses.judged(NOW_NS + at * WINDOW_NS)
    assert len(excuses._judged) < 20
    assert len(excuses._answers) < 20


def test_many_works_are_looked_through_once_for_each_window_while_nothing_is_new(tmp_path: Path) -> None:
    asked: list[int] = []

    class Noted(Maintenance):
        def runs(self, start_ns: int, end_ns: int) -> bool:
            asked.append(start_ns)
            return True

    work = Noted(Scope(), NOW_NS, NOW_NS + 1, "optics")
    given = [replace(load(write_inventory(tmp_path)), maintenance=(work,))]
    excuses = Excuses(lambda: given[0], WINDOW_NS, BACK_NS)
    assert [excuses.answer(NOW_NS)[1] for _ in range(3)] == [(work,)] * 3
    assert asked == [NOW_NS]
    excuses.take(drilled("g1", NOW_NS))
    assert excuses.answer(NOW_NS) == (frozenset({"g1"}), (work,))
    given[0] = replace(given[0], maintenance=())
    assert excuses.answer(NOW_NS) == (frozenset({"g1"}), ())
