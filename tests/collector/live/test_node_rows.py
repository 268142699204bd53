"""NODE rows: who is heard, what agents say of themselves, and who answers nobody."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collector.live.excuses import Excuses
from collector.live.live import LiveState
from collector.live.node_rows import NodeRows
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.inventory import load
from linkgauge.schema import HEALTH, STATE
from tests.collector.world import INVENTORY, NOW_NS, WINDOW_NS, StillClock, batch, write_inventory

DUE_NS = 3 * NS_PER_S
WINDOW = NOW_NS
"""Start of the window that is judged first; the collector began when it began."""


class World:
    def __init__(self, folder: Path) -> None:
        self.file = write_inventory(folder)
        self.inventory = load(self.file)
        self.clock, self.deaf = StillClock(WINDOW), False
        self.live = LiveState(lambda: self.inventory)
        self.excuses = Excuses(lambda: self.inventory, WINDOW_NS, 6 * WINDOW_NS)
        self.rows = NodeRows(
            lambda: self.inventory, self.live.agents, self.excuses, self.clock, DUE_NS, lambda: self.deaf
        )
        self.start_ns = WINDOW

    def hear(self, node: str, start_ns: int, at_ns: int, **health: float) -> None:
        keys = {"agent": [node], "start_ns": [start_ns], "length_ns": [WINDOW_NS]}
        fields = {"fit": 1, "clock_synchronised": 1, **health}
        frame = Frame.of(HEALTH, {**keys, **{name: [value] for name, value in fields.items()}})
        self.live.take(batch(node, 1, frame), at_ns)
        self.excuses.observe(batch(node, 1, frame), at_ns)

    def judge(self, state: Frame | None = None) -> dict[str, dict[str, Any]]:
        """The rows of the next window, when it is due, by node."""
        start_ns, self.start_ns = self.start_ns, self.start_ns + WINDOW_NS
        self.clock.wall_ns = start_ns + WINDOW_NS + DUE_NS
        frame = self.rows.rows(state or states(start_ns, {}))
        assert frame.count("start_ns").tolist() == [start_ns] * frame.rows
        names = [field.name for field in frame.table.columns]
        rows = zip(*(frame.columns[name].tolist() for name in names), strict=True)  # type: ignore[union-attr] # no histogram there
        return {row[0]: dict(zip(names, row, strict=True)) for row in rows}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def states(start_ns: int, unanswered_s: Mapping[str, float], unfit: Sequence[str] = ()) -> Frame:
    links = list(unanswered_s) or ["j1>j2@backbone"]
    measured = [int(link in unanswered_s) for link in links]
    columns = {"link": links, "start_ns": [start_ns] * len(links), "length_ns": [WINDOW_NS] * len(links)}
    fit = [int(link in unanswered_s and link not in unfit) for link in links]
    given = [unanswered_s.get(link, math.nan) for link in links]
    return Frame.of(STATE, {**columns, "measured": measured, "fit": fit, "unanswered_s": given})


def test_a_node_that_nobody_heard_is_silent_since_the_start(world: World) -> None:
    silent_s = [world.judge()["g1"]["silent_s"] for _ in range(7)]
    assert all(math.isnan(each) for each in silent_s[:5])  # it may just be about to tell
    assert silent_s[5:] == [63, 73]
    row = world.judge()["g1"]
    assert (row["site"], row["region"], row["operator"], row["links_in"]) == ("guiyang", "guizhou", "op", 0)


def test_a_node_that_is_heard_is_not_silent_and_says_how_it_is(world: World) -> None:
    for at in range(8):
        heard_ns = world.start_ns + WINDOW_NS + NS_PER_S
        world.hear("j1", world.start_ns, heard_ns, plan_age_s=7.0, clock_error_us=30.0, outbox_oldest_s=0.5)
        world.hear("j2", world.start_ns, heard_ns, fit=0, clock_synchronised=0, outbox_dropped=at)
        rows = world.judge()
    assert (rows["j1"]["silent_s"], rows["j2"]["silent_s"], rows["g1"]["silent_s"]) == (0, 0, 83)
    asked = ("unfit_ratio", "clock_unsynchronised_ratio", "clock_error_us", "plan_age_s", "outbox_oldest_s")
    assert [rows["j1"][name] for name in asked] == [0, 0, 30, 7, 0.5]
    assert [rows["j2"][name] for name in asked[:2]] == [1, 1]
    assert rows["j2"]["outbox_dropped"] == 7
    assert all(math.isnan(rows["g1"][name]) for name in asked)
    gone = [world.judge()["j1"] for _ in range(4)]
    assert [each["silent_s"] for each in gone] == [0, 22, 32, 42]
    assert [each["plan_age_s"] for each in gone[:2]] == [7, 7]
    assert all(math.isnan(gone[3][name]) for name in asked)


def test_of_a_time_in_which_nobody_listened_here_nothing_is_known(world: World) -> None:
    world.start_ns -= 3 * WINDOW_NS
    assert [math.isnan(world.judge()["j1"]["silent_s"]) for _ in range(4)] == [True] * 4
    world.start_ns += 90 * WINDOW_NS  # the machine slept
    assert [math.isnan(world.judge()["j1"]["silent_s"]) for _ in range(3)] == [True] * 3
    world.deaf = True
    assert [math.isnan(world.judge()["j1"]["silent_s"]) for _ in range(9)] == [True] * 9
    world.deaf = False
    silent_s = [world.judge()["j1"]["silent_s"] for _ in range(7)]
    assert all(math.isnan(each) for each in silent_s[:6])
    assert silent_s[6] == 70


def test_who_is_heard_again_after_that_is_known_at_once(world: World) -> None:
    world.start_ns += 90 * WINDOW_NS
    assert math.isnan(world.judge()["j1"]["silent_s"])
    world.hear("j1", world.start_ns, world.start_ns + WINDOW_NS + NS_PER_S)
    assert [world.judge()["j1"]["silent_s"] for _ in range(4)] == [0, 0, 22, 32]


def test_a_clock_that_is_set_back_does_not_make_blind(world: World) -> None:
    world.judge()
    world.start_ns -= 360 * WINDOW_NS
    silent_s = [world.judge()["g1"]["silent_s"] for _ in range(9)]
    assert all(math.isnan(each) for each in silent_s[:7])
    assert silent_s[7:] == [70, 80]


def test_a_node_that_is_new_has_the_time_to_be_set_up(world: World) -> None:
    for _ in range(9):
        world.judge()
    text = INVENTORY + "  - {name: g2, site: guiyang, addresses: {backbone: 10.0.0.9}}\n"
    world.file.write_text(text)
    world.inventory = load(world.file)
    rows = [world.judge() for _ in range(8)]
    assert [math.isnan(row["g2"]["silent_s"]) for row in rows] == [True] * 7 + [False]
    assert rows[-1]["g2"]["silent_s"] == 70
    assert rows[-1]["g1"]["silent_s"] > 100


def test_a_node_is_down_when_nobody_gets_an_answer(world: World) -> None:
    down = {"j1>g1@backbone": 4.0, "j2>g1@backbone": 1.5, "g1>j1@backbone": 0.0, "j1>j2@backbone": 9.0}
    rows = world.judge(states(WINDOW, {**down, "j1>gone@backbone": 9.0}))
    counts = ("links_in", "links_in_down", "links_out", "links_out_down")
    assert [rows["g1"][name] for name in counts] == [2, 2, 1, 0]
    assert [rows["j1"][name] for name in counts] == [1, 0, 3, 3]
    assert (rows["g1"]["down_ratio"], rows["j1"]["down_ratio"]) == (1, 0)
    assert math.isnan(rows["j2"]["down_ratio"])  # one link alone may be the network


@pytest.mark.parametrize(
    ("unanswered_s", "unfit", "down_ratio"),
    [
        ({"j1>g1@backbone": 4.0, "j2>g1@backbone": 0.0}, [], 0.0),
        ({"j1>g1@backbone": 4.0, "j2>g1@backbone": 1.0}, [], 0.0),
        ({"j1>g1@backbone": 4.0, "j2>g1@backbone": math.nan}, [], 0.0),
        ({"j1>g1@backbone": 4.0, "j2>g1@backbone": 4.0}, ["j2>g1@backbone"], math.nan),
        ({"j1>g1@backbone": 4.0, "j1>g1@private": 4.0}, [], math.nan),  # the line of j1
        ({"j1>g1@backbone": 4.0, "j1>g1@private": 4.0, "j2>g1@backbone": 4.0}, [], 1.0),
        ({"j1>j2@backbone": 4.0}, [], math.nan),
    ],
)
def test_one_answer_is_enough(
    world: World, unanswered_s: dict[str, float], unfit: list[str], down_ratio: float
) -> None:
    told = world.judge(states(WINDOW, unanswered_s, unfit))["g1"]["down_ratio"]
    assert told == down_ratio or (math.isnan(told) and math.isnan(down_ratio))


def test_who_works_on_a_node_and_who_plays_a_fault_is_marked(world: World) -> None:
    world.hear("g1", WINDOW, WINDOW + 11 * NS_PER_S, drill=1)
    text = (
        "maintenance:\n  - {from: 2027-01-15T08:00:00Z, until: 2027-01-15T08:00:15Z, reason: x,"
        " sites: [jinan]}\n"
    )
    world.file.write_text(INVENTORY + text)
    world.inventory = load(world.file)
    rows = [world.judge() for _ in range(3)]
    marks = [[(row[node]["maintenance"], row[node]["drill"]) for node in ("j1", "g1")] for row in rows]
    assert marks == [[(1, 0), (0, 1)], [(1, 0), (0, 1)], [(0, 0), (0, 0)]]


def test_a_certificate_is_told_once_of_the_node_that_shows_it(world: World) -> None:
    links = ["j1>g1@backbone", "j2>g1@backbone", "g1>j1@backbone", "j1>gone@backbone", "j1>j2@backbone"]
    frame = states(WINDOW, dict.fromkeys(links, 0.0))
    left_s = np.array([9e5, 8e5, math.nan, 1.0, -5.0])
    rows = world.judge(Frame(frame.table, {**frame.columns, "certificate_left_s": left_s}, frame.rows))
    assert (rows["g1"]["certificate_left_s"], rows["j2"]["certificate_left_s"]) == (8e5, -5)
    assert math.isnan(rows["j1"]["certificate_left_s"])


def test_links_that_somebody_works_on_do_not_say_that_a_node_is_down(world: World) -> None:
    unanswered_s = {"j1>g1@backbone": 4.0, "j2>g1@backbone": 4.0, "j1>g1@private": 0.0}

    def told(*work: int) -> dict[str, Any]:
        frame = states(world.start_ns, unanswered_s)
        columns = {**frame.columns, "maintenance": np.array(work)}
        return world.judge(Frame(frame.table, columns, frame.rows))["g1"]

    assert math.isnan(told(1, 1, 1)["down_ratio"])
    assert [told(0, 0, 1)[name] for name in ("down_ratio", "links_in", "links_in_down")] == [1, 2, 2]
    assert told(1, 1, 0)["down_ratio"] == 0


def test_a_far_end_that_measures_nothing_and_was_never_heard_is_no_silent_agent(world: World) -> None:
    made = world.inventory
    listed = {link: spec for link, spec in made.links.items() if link.src != "g1"}
    world.inventory = replace(made)
    world.inventory.__dict__["links"] = listed
    for _ in range(9):
        rows = world.judge()
    assert math.isnan(rows["g1"]["silent_s"])
    assert rows["j2"]["silent_s"] > 60
    world.hear("g1", world.start_ns, world.start_ns + WINDOW_NS + NS_PER_S)
    assert [world.judge()["g1"]["silent_s"] for _ in range(4)] == [0, 0, 22, 32]
