"""Sums of scores by node: of all links from it, in pieces, of links that have left, and made again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.rollup.node_score import NodeScores
from collector.rollup.slot import HOUR_NS, Slot, Touch
from collector.rollup.source import Tally
from linkgauge.frame import Frame
from linkgauge.model import Link
from linkgauge.schema import NODE_SCORE, SCORE
from tests.collector.rollup.test_score import keep, state
from tests.collector.rollup.windows import T0_NS
from tests.collector.rollup.world import World
from tests.collector.world import inventory

SLOT = Slot(T0_NS, HOUR_NS)
COUNTS = ("links", "windows", "windows_good", "windows_bad", "windows_down", "windows_excused")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def _rows(frame: Frame) -> list[tuple[str, str, str, tuple[int, ...]]]:
    """Node, network, tier and counts of each row."""
    counts = zip(*(frame.count(name).tolist() for name in COUNTS), strict=True)
    keys = (frame.text(name).tolist() for name in ("src", "network", "tier"))
    return list(zip(*keys, counts, strict=True))


def test_links_from_a_node_are_added_up_by_network_and_tier_however_they_come(tmp_path: Path) -> None:
    links = inventory(tmp_path).links
    tallies = [Tally(str(link), 360, 300 + at, at, 1, 7) for at, link in enumerate(links)]
    whole, pieces = (NodeScores(SLOT, lambda link: links.get(Link.parse(link))) for _ in range(2))
    whole.add(tallies)
    for tally in reversed(tallies):
        pieces.add([tally])
    frame = whole.frame()
    assert _rows(frame) == _rows(pieces.frame())
    assert sum(row[3][0] for row in _rows(frame)) == len(links)
    for node, network, tier, counts in _rows(frame):
        of = [
            (tally, spec)
            for tally, spec in zip(tallies, links.values(), strict=True)
            if (spec.link.src, spec.link.network, spec.tier.name) == (node, network, tier)
        ]
        good, bad = sum(tally.good for tally, _ in of), sum(tally.bad for tally, _ in of)
        assert counts == (len(of), 360 * len(of), good, bad, len(of), 7 * len(of))
    assert set(frame.count("start_ns")) == {T0_NS}
    objectives = sum(spec.tier.good_ratio for spec in links.values())
    assert frame.real("good_objective_sum_ratio").sum() == pytest.approx(objectives)


def test_a_link_that_has_left_is_counted_under_what_its_name_tells() -> None:
    sums = NodeScores(SLOT, lambda _: None)
    sums.add([Tally("gone>away@n", 360, 3, 1, 0, 0), Tally("gone>far@n", 360, 0, 0, 0, 360)])
    frame = sums.frame()
    assert [frame.text(name).tolist() for name in NODE_SCORE.keys] == [
        ["gone"],
        [""],
        [""],
        [""],
        ["n"],
        [""],
    ]
    assert _rows(frame)[0][3] == (0, 720, 3, 1, 0, 360)
    assert frame.real("good_ratio").tolist() == [0.75]
    assert frame.real("coverage_ratio").tolist() == [4 / 360]
    assert math.isnan(frame.real("good_objective_sum_ratio")[0])


def test_of_what_nothing_can_be_told_the_shares_are_unknown() -> None:
    sums = NodeScores(SLOT, lambda _: None)
    assert sums.frame().rows == 0
    sums.add([Tally("a>b@n", 360, 0, 0, 0, 360)])
    frame = sums.frame()
    assert math.isnan(frame.real("good_ratio")[0])
    assert math.isnan(frame.real("coverage_ratio")[0])


def _made(world: World) -> list[tuple[str, str, str, tuple[int, ...]]]:
    return sorted(_rows(world.read(NODE_SCORE)))


def test_an_hour_made_again_for_one_agent_has_all_its_links_and_leaves_the_others(world: World) -> None:
    links = [str(link) for link in world.inventory.links]
    keep(world, *(state(link, 0, 360, good=1, measured=at % 2) for at, link in enumerate(links)))
    world.notes.note([Touch(SLOT, Link.parse(link).src, 0) for link in links], world.clock.wall_ns)
    world.at(3600 + 121)
    assert world.make() == 1
    before = _made(world)
    assert sum(row[3][1] for row in before) == 360 * len(links)
    assert sum(world.read(SCORE).count("windows_good")) == sum(row[3][2] for row in before)

    changed = links[0]
    keep(world, state(changed, 10, 5, good=0, bad=1))
    world.notes.note([Touch(SLOT, Link.parse(changed).src, 0)], world.clock.wall_ns)
    assert world.make() == 1
    after = _made(world)
    spec = world.inventory.links[Link.parse(changed)]
    key = (spec.link.src, spec.link.network, spec.tier.name)
    assert [row for row in after if row[:3] != key] == [row for row in before if row[:3] != key]
    (old,), (new,) = ([row[3] for row in rows if row[:3] == key] for rows in (before, after))
    assert new == (old[0], old[1], old[2] - 5, old[3] + 5, *old[4:])

    world.maker = world.make_maker()  # another life, or the other collector
    world.notes.note([Touch(SLOT, Link.parse(link).src, 0) for link in links], world.clock.wall_ns)
    assert world.make() == 1
    assert _made(world) == after


def test_rebuilding_makes_the_sums_of_hours_from_before_there_were_any(world: World) -> None:
    links = [str(link) for link in world.inventory.links]
    keep(world, *(state(link, 0, 360, good=1) for link in links))
    world.at(3600 + 121)
    assert world.make() == 0, "verdicts of measured links note nothing"
    for touches in world.source.touches(T0_NS, T0_NS + HOUR_NS):
        world.notes.note(touches, world.clock.wall_ns)
    assert world.make() == 1
    assert sum(row[3][2] for row in _made(world)) == 360 * len(links)
