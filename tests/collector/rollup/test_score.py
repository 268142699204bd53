"""Scores of an hour: from verdicts that were journalled, judged again, excused, and of a silent link."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.rollup.score import scores
from collector.rollup.slot import HOUR_NS, SHORT_NS, Slot
from collector.rollup.source import Tally
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.model import Link
from linkgauge.schema import SCORE, STATE
from linkgauge.wire import Batch
from tests.collector.rollup.windows import T0_NS
from tests.collector.rollup.world import LINKS, World
from tests.collector.world import inventory


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def state(link: str, first: int, count: int, **columns: float) -> Frame:
    """STATE rows of `count` windows from the window `first` after T0_NS on."""
    starts = [T0_NS + at * 10 * NS_PER_S for at in range(first, first + count)]
    same = {name: [value] * count for name, value in {"measured": 1, **columns}.items()}
    times = {"start_ns": starts, "length_ns": [10 * NS_PER_S] * count}
    return Frame.of(STATE, {"link": [link] * count, **times, **same})


def keep(world: World, *frames: Frame) -> None:
    """The collector journals its verdicts, a batch for each frame."""
    for frame in frames:
        world.number += 1
        world.intake.keep_own(
            Batch("@collector", "judge", world.number, world.clock.wall_ns, {"state": frame})
        )
    world.pump()


def score(world: World, link: str) -> dict[str, float]:
    rows = world.read(SCORE, [link])
    assert rows.rows == 1
    return {field.name: float(rows.columns[field.name][0]) for field in SCORE.fields}  # type: ignore[arg-type] # no histogram


def test_windows_are_counted_by_their_last_verdict(world: World) -> None:
    link = LINKS[0]
    good, bad, unknown = {"good": 1.0}, {"bad": 1.0, "unanswered_s": 9.0}, {"measured": 0.0}
    keep(
        world,
        state(LINKS[0], 0, 300, **good),
        state(LINKS[0], 300, 20, **bad),
        state(LINKS[0], 320, 40, **unknown),
    )
    keep(world, state(link, 300, 5, **good))  # judged again
    keep(world, state(link, 0, 10, **bad, maintenance=1))
    world.at(3600 + 121)
    assert world.make() == 1
    found = score(world, link)
    assert found == {
        "windows": 360, "windows_good": 295, "windows_bad": 15, "windows_down": 15, "windows_excused": 10,
        "good_ratio": 295 / 310, "good_objective_ratio": 0.99, "coverage_ratio": 310 / 350,
    }  # fmt: skip


def test_a_silent_link_has_a_score_without_a_ratio(world: World) -> None:
    keep(world, state(LINKS[1], 0, 360, measured=0))
    world.at(3600 + 121)
    assert world.make() == 1
    found = score(world, LINKS[1])
    assert found["windows"] == 360
    assert found["coverage_ratio"] == 0
    assert math.isnan(found["good_ratio"])


def test_the_scores_tags_are_the_operators_of_its_ends(tmp_path: Path) -> None:
    links = inventory(tmp_path).links
    tallies = [Tally(LINKS[2], 360, 100, 0, 0, 0), Tally("gone>away@backbone", 360, 1, 1, 0, 0)]
    frame = scores(Slot(T0_NS, HOUR_NS), tallies, lambda link: links.get(Link.parse(link)))
    ends = links[Link.parse(LINKS[2])].tags
    sites = {site.name: site.operator for site in inventory(tmp_path).sites.values()}
    expected = sites[ends["src_site"]], sites[ends["dst_site"]]
    assert (frame.text("src_operator")[0], frame.text("dst_operator")[0]) == expected
    assert (frame.text("src_operator")[1], frame.text("dst_operator")[1]) == ("", "")
    assert frame.real("good_ratio").tolist() == [1.0, 0.5]


def test_only_silence_notes_an_hour_by_its_verdicts(world: World) -> None:
    keep(world, state(LINKS[0], 0, 3, good=1))
    assert world.notes.counts() == {}
    keep(world, state(LINKS[0], 3, 1, measured=0))
    assert list(world.notes.counts()) == [HOUR_NS]
    assert SHORT_NS not in world.notes.counts()
