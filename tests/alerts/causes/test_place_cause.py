"""Likely places from judged windows, and which alerts they hold back: the real evaluator and engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alerts.causes.flow_trouble import WAIT_NS
from alerts.engine import Outcome
from alerts.event import Fired
from quality.verdicts.flow_losses import LossOfFlows
from quality.verdicts.flows import FlowCounts, unequal
from tests.alerts.causes.scene import (
    DARK,
    LINKS,
    LOSSY,
    SILENT,
    WINDOW_NS,
    Scene,
    all_of,
    between,
    ids,
    into,
    out_of,
    places,
    sweeps,
)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_nothing_is_looked_for_while_all_is_well(scene: Scene) -> None:
    assert places(scene.window({})) == []


def test_a_dead_site_uplink_is_one_page(scene: Scene) -> None:
    dark = all_of(between("east", "") + between("", "east"), DARK)
    told = scene.window(dark)
    assert places(told) == [("site", "east", "both", 1.0)]
    assert ids(told.events) == ["common-cause/site:east/both"]
    [event] = told.events
    assert isinstance(event, Fired)
    assert (
        event.place
        == "site east on net, because 16 of 16 links over it are in trouble while 14 others are well"
    )
    held = [each for each in scene.engine.active() if each["held"]]
    assert len(held) == 16
    assert {each["cause"] for each in held} == {"common-cause/site:east/both"}
    assert "site east" in held[0]["place"]


def test_when_it_is_over_nobody_hears_of_the_links(scene: Scene) -> None:
    dark = all_of(between("east", "") + between("", "east"), DARK)
    told = [ids(scene.window(dark).events) for _ in range(5)]
    told += [ids(scene.window({}).events) for _ in range(20)]
    assert [each for some in told for each in some] == ["common-cause/site:east/both"] * 2


def test_a_dead_node_is_told_by_its_own_alert(scene: Scene) -> None:
    rows = {**all_of(into("west-1"), DARK), **all_of(out_of("west-1"), SILENT)}
    told = scene.window(rows, down=["west-1"])
    assert places(told) == [("node", "west-1", "both", 1.0)]
    assert ids(told.events) == ["node-down/west-1/-"]


def test_a_dead_site_holds_its_nodes_back(scene: Scene) -> None:
    dark = all_of(between("east", "") + between("", "east"), DARK)
    told = scene.window(dark, down=["east-1", "east-2"])
    assert ids(told.events) == ["common-cause/site:east/both"]


def test_a_bad_receiver_is_found_by_loss_in_one_direction(scene: Scene) -> None:
    rows = all_of(into("west-1"), LOSSY)
    told = [scene.window(rows) for _ in range(4)]
    assert [places(each) for each in told[:2]] == [[], [("node", "west-1", "in", 1.0)]]
    assert [each for some in told for each in ids(some.events)] == ["common-cause/node:west-1/in"]


def test_little_loss_is_found_once_the_others_have_shown_enough_packets(scene: Scene) -> None:
    """Of 100 packets none lost says little against 2 % loss, of 300 it does."""
    little = {
        "loss_forward_ratio": 0.02,
        "loss_forward_upper_ratio": 0.08,
        "loss_forward_excess_ratio": 0.001,
        "loss_forward_spread_ratio": 0.001,
    }
    rows = all_of(into("west-1"), little)
    told = [places(scene.window(rows)) for _ in range(3)]
    assert told[2] == [("node", "west-1", "in", 1.0)]


def test_a_full_trunk_is_found_once_though_round_trips_rise_both_ways(scene: Scene) -> None:
    slow = {"delay_us": 6_000.0, "delay_excess_us": 5_000.0, "delay_basis": 2}
    there, back = between("east", "west"), between("west", "east")
    rows = {**all_of(there, {**LOSSY, **slow}), **all_of(back, slow)}
    scene.window(rows)
    told = scene.window(rows)
    assert places(told) == [("hop", "10.1.0.2", "in", 1.0)]
    events = [each for _ in range(3) for each in ids(scene.window(rows).events)]
    assert events == []
    assert {each["cause"] for each in scene.engine.active() if not each["told"]} == {
        "common-cause/hop:10.1.0.2/in"
    }


def test_links_that_lose_once_are_no_place(scene: Scene) -> None:
    for _ in range(3):
        assert places(scene.window(all_of(into("west-1"), LOSSY))) == []
        for _ in range(9):
            scene.window({})


def test_a_step_of_the_delay_over_a_place_is_its_own_even_when_it_is_told_late(scene: Scene) -> None:
    rows = all_of(between("east", "west"), LOSSY)
    slower = all_of(between("west", "east"), {"delay_step_us": 5_000.0})
    events = [ids(scene.window(rows).events) for _ in range(4)]
    events += [ids(scene.window(slower).events) for _ in range(12)]
    assert [each for some in events for each in some] == ["common-cause/hop:10.1.0.2/in"] * 2
    events = [ids(scene.window({}).events) for _ in range(40)]
    told = ids(scene.window(slower).events)
    assert told == [f"delay-step/{link}/-" for link in slower]


def test_one_link_alone_is_told_by_its_own_alert(scene: Scene) -> None:
    told = scene.window(all_of(LINKS[:1], DARK))
    assert places(told) == []
    assert ids(told.events) == [f"link-unreachable/{LINKS[0]}/-"]


def test_unfit_agents_and_announced_work_accuse_nobody(scene: Scene) -> None:
    told = scene.window({**all_of(into("west-1"), {**DARK, "fit": 0})})
    assert places(told) == []


class Equal:
    """Links from east to west have two flows, each over a hop of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bad = folder, between("east", "west")
        (folder / "again").mkdir()
        self.lost: dict[str, LossOfFlows] = {}
        ways = {"0": ("10.0.0.254", "10.9.0.1"), "1": ("10.0.0.254", "10.9.0.2")}
        paths = {link: tuple(ways.values()) if link in self.bad else some for link, some in sweeps().items()}
        self.scene = Scene(folder, sweeps=lambda: paths, flow_losses=self.losses, ways=lambda _: dict(ways))

    def losses(self, since_ns: Mapping[str, int]) -> dict[str, LossOfFlows]:
        return {link: self.lost[link] for link in since_ns if link in self.lost}

    def tell(self, told: LossOfFlows) -> None:
        self.lost = dict.fromkeys(self.bad, told)

    def window(self) -> Outcome:
        return self.scene.window(all_of(self.bad, {**LOSSY, "loss_forward_ratio": 0.5, "flows": 2}))


def lost(one: int, other: int, doubtful: int = 0) -> LossOfFlows:
    """Of 100 packets of each flow."""
    counts = FlowCounts(np.array([0, 0]), np.array([100, 100]), np.array([one, other]), 1)
    return LossOfFlows(("0", "1"), counts.sent, counts.lost, unequal(counts).is_bad, doubtful)


class TestEqualPaths:
    @pytest.fixture
    def equal(self, tmp_path: Path) -> Equal:
        return Equal(tmp_path)

    def test_a_bad_one_is_found_by_its_flows(self, equal: Equal) -> None:
        equal.tell(lost(0, 100))
        told = [equal.window() for _ in range(4)]
        assert [places(each) for each in told[:2]] == [[], [("hop", "10.9.0.2", "in", 1.0)]]
        assert [each for some in told for each in ids(some.events)] == ["common-cause/hop:10.9.0.2/in"]

    def test_no_place_is_told_before_its_flows_are(self, equal: Equal) -> None:
        assert [places(equal.window()) for _ in range(5)] == [[]] * 5
        equal.tell(lost(0, 100))
        assert places(equal.window()) == [("hop", "10.9.0.2", "in", 1.0)]

    def test_where_nobody_tells_flows_the_place_is_not_sure(self, equal: Equal) -> None:
        told = [places(equal.window()) for _ in range(WAIT_NS // WINDOW_NS + 2)]
        assert told[:8] == [[]] * 8
        [found] = told[-1]
        assert found[3] == 0.5
        others = equal.window().frames["place"].text("others").tolist()[0]
        assert {found[1], *others.replace("hop ", "").split(", ")} >= {"10.9.0.1", "10.9.0.2"}

    def test_flows_that_lose_too_little_to_be_named_still_clear_the_other_way(self, equal: Equal) -> None:
        equal.tell(lost(0, 4))
        assert not lost(0, 4).bad.any()
        equal.window()
        assert places(equal.window()) == [("hop", "10.9.0.2", "in", 1.0)]

    def test_a_hop_that_one_sweep_did_not_see_is_known_from_others(self, equal: Equal) -> None:
        seen = {"0": ("10.0.0.254", "10.9.0.1", "10.9.1.1"), "1": ("10.0.0.254", "10.9.0.2", "10.9.1.2")}
        silent = {**seen, "1": ("10.0.0.254", "*", "10.9.1.2")}
        paths = {link: tuple(seen.values()) if link in equal.bad else some for link, some in sweeps().items()}
        equal.scene = Scene(
            equal.folder / "again",
            sweeps=lambda: paths,
            flow_losses=equal.losses,
            ways=lambda link: seen if link == equal.bad[0] else silent,
        )
        equal.tell(lost(0, 100))
        equal.window()
        [found] = places(equal.window())
        assert found == ("hop", "10.9.0.2", "in", 0.5)

    @pytest.mark.parametrize("told", [None, lost(0, 100), lost(20, 22)])
    def test_where_no_sweep_is_known_flows_hide_no_place(
        self, equal: Equal, told: LossOfFlows | None
    ) -> None:
        equal.scene = Scene(equal.folder / "again", sweeps=dict, flow_losses=equal.losses)
        if told is not None:
            equal.tell(told)
        equal.window()
        assert places(equal.window()) == [("trunk", "east>west", "out", 1.0)]

    def test_where_the_way_of_the_bad_flow_is_not_known_the_link_counts_as_a_whole(
        self, equal: Equal
    ) -> None:
        some = {"0": ("10.0.0.254", "10.9.0.1")}
        paths = {link: tuple(some.values()) if link in equal.bad else way for link, way in sweeps().items()}
        equal.scene = Scene(
            equal.folder / "again",
            sweeps=lambda: paths,
            flow_losses=equal.losses,
            ways=lambda _: some,
        )
        equal.tell(lost(0, 100))
        equal.window()
        [found] = places(equal.window())
        assert found[:2] == ("trunk", "east>west")

    def test_flows_that_all_lose_are_no_sign_of_one_way(self, equal: Equal) -> None:
        equal.tell(lost(20, 22))
        equal.window()
        [found] = places(equal.window())
        assert found[:2] == ("trunk", "east>west")

    def test_losses_whose_direction_nobody_tells_are_no_sign_of_a_way(self, equal: Equal) -> None:
        equal.tell(lost(0, 0, doubtful=100))
        assert [places(equal.window()) for _ in range(4)] == [[]] * 4

    def test_what_is_left_of_a_fault_that_is_over_opens_no_place(self, equal: Equal) -> None:
        """Flows are told late: the fault is over, but for packets that were lost by chance."""
        for _ in range(4):
            equal.window()
        equal.tell(lost(0, 100))
        chance = {"loss_forward_ratio": 0.01, "loss_forward_upper_ratio": 0.1, "flows": 2}
        for _ in range(4):
            assert places(equal.scene.window(all_of(equal.bad, chance))) == []


def test_a_place_does_not_flap_between_names_that_explain_the_same(tmp_path: Path) -> None:
    """Sweeps that come later make the hop known; the trunk that was named before stays. Who began later names
    the hop."""
    paths: dict[str, Any] = {}
    scene = Scene(tmp_path, sweeps=lambda: paths)
    rows = all_of(between("east", "west"), DARK)
    first = places(scene.window(rows))
    assert first == [("trunk", "east>west", "out", 1.0)]
    paths.update(sweeps())
    assert [places(scene.window(rows)) for _ in range(8)] == [first] * 8
    [found] = locate_again(tmp_path / "new", rows)
    assert found[:2] == ("hop", "10.1.0.2")


def locate_again(folder: Path, rows: Mapping[str, Mapping[str, float]]) -> list[tuple[str, str, str, float]]:
    """What a collector says that was started only now."""
    folder.mkdir()
    return places(Scene(folder).window(rows))
