"""Whose alert is held back hears of what explains it, also when that was told to others long ago."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from alerts.receivers.receiver import Policy
from alerts.receivers.told import Told
from tests.alerts.causes.scene import DARK, LOSSY, SILENT, SITES, Scene, all_of, into, out_of
from tests.alerts.deaf import Deaf
from tests.alerts.test_teams import of_teams

PLACE, DOWN = "common-cause/node:west-1/in", "node-down/west-1/-"
ALL = tuple(f"team-{site}" for site in SITES)
NORTH = [link for link in into("west-1") if link.startswith("north")]
FEW = {**all_of(into("west-1"), LOSSY), **all_of(NORTH, SILENT)}
"""Of the node's links those of one team are unknown."""
MORE = all_of(into("west-1"), LOSSY)
RECEIVERS = [
    Deaf("everybody", Policy()),
    Deaf("noc", Policy(gathers=True, resend_s=60.0)),
    *(Deaf(team, Policy(teams=(team,))) for team in ALL),
    Deaf("two", Policy(teams=("team-north", "team-east"))),
    Deaf("north-noc", Policy(teams=("team-north",), resend_s=60.0)),
    Deaf("east-noc", Policy(teams=("team-east",), resend_s=60.0)),
    Deaf("tickets", Policy(severities=("ticket",))),
]


class Scenes:
    """One folder's engine, over restarts."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._window = folder, 100
        self.begin()

    def begin(self) -> None:
        self.scene = Scene(self._folder, inventory=of_teams(), receivers=RECEIVERS)
        self.scene._window = self._window

    def windows(
        self, count: int, rows: Mapping[str, Mapping[str, float]], down: tuple[str, ...] = ()
    ) -> None:
        for _ in range(count):
            self.scene.window(rows, down)
        self._window = self.scene._window

    def heard(self, receiver: str) -> list[str]:
        """What the receiver wants of all that was written for it, firing +, resolved -."""
        (policy,) = [each.policy for each in RECEIVERS if each.name == receiver]
        read = [Told.read(each.body) for each in self.scene.book.waiting(receiver, 999)]
        return [("+" if told.fires else "-") + told.id for told in read if policy.wants(told)]


@pytest.fixture
def scenes(tmp_path: Path) -> Scenes:
    return Scenes(tmp_path)


def test_a_place_that_grows_is_told_once_to_the_teams_that_it_comes_to_concern(scenes: Scenes) -> None:
    scenes.windows(6, FEW)
    assert scenes.heard("team-north") == []
    assert scenes.heard("team-east") == ["+" + PLACE]
    scenes.windows(4, MORE)
    scenes.begin()
    scenes.windows(4, MORE)
    once = ["+" + PLACE]
    assert {each.name: scenes.heard(each.name) for each in RECEIVERS} == {
        "everybody": once, **dict.fromkeys(ALL, once), "two": once, "tickets": [],
        "noc": once * 2, "east-noc": once, "north-noc": once,
    }  # fmt: skip
    held = {each["cause"] for each in scenes.scene.engine.active() if not each["told"]}
    assert held == {PLACE}, "nobody is told of a link"


def test_the_end_of_a_place_that_grew_is_told_to_all_teams(scenes: Scenes) -> None:
    scenes.windows(6, FEW)
    scenes.windows(4, MORE)
    scenes.begin()
    scenes.windows(20, {})
    assert [scenes.heard(team) for team in ALL] == [["+" + PLACE, "-" + PLACE]] * 3


def test_a_node_that_is_down_is_told_to_the_teams_of_all_links_that_it_holds_back(scenes: Scenes) -> None:
    rows = {**all_of(into("west-1"), DARK), **all_of(out_of("west-1"), SILENT)}
    scenes.windows(4, rows, ("west-1",))
    told = {each.name: scenes.heard(each.name) for each in RECEIVERS}
    assert told.pop("tickets") == []
    assert set(map(tuple, told.values())) == {("+" + DOWN,)}
    assert len([each for each in scenes.scene.engine.active() if each["cause"] == DOWN]) > len(into("west-1"))


def test_who_was_told_later_by_one_of_a_pair_hears_of_the_end_though_the_other_is_on_duty_then(
    tmp_path: Path,
) -> None:
    scenes = Scenes(tmp_path)
    engine = scenes.scene.engine
    observe, peers = engine.observe, lambda event: False
    engine.observe = lambda judged, tell=peers: observe(judged, tell)  # type: ignore[method-assign]
    scenes.windows(6, FEW)
    engine.take_over([], 1 << 62)  # the peer told all of that for sure
    engine.observe = observe  # type: ignore[method-assign]
    scenes.windows(6, MORE)
    assert scenes.heard("team-north") == [f"+{PLACE}"]
    scenes.begin()
    engine, observe = scenes.scene.engine, scenes.scene.engine.observe
    engine.observe = lambda judged, tell=peers: observe(judged, tell)  # type: ignore[method-assign]
    scenes.windows(12, {})
    assert scenes.heard("team-north") == [f"+{PLACE}", f"-{PLACE}"]
    for other in ("everybody", "team-east", "two"):
        assert scenes.heard(other) == [], "it is for the peer to tell them"
