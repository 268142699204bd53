"""Nothing grave is told to nobody because something milder explains it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.alerts.causes.scene import (
    DARK,
    LOSSY,
    SILENT,
    Scene,
    all_of,
    between,
    ids,
    into,
    out_of,
    places,
)

SLOW = {"delay_excess_us": 5_000.0, "delay_us": 6_000.0}
TRUNK = between("east", "west") + between("west", "east")
ONE = "east-1>west-1@net"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_node_that_dies_behind_a_lossy_trunk_is_told(scene: Scene) -> None:
    lossy = all_of(between("east", "west"), LOSSY)
    assert [each for _ in range(8) for each in ids(scene.window(lossy).events)] == [
        "common-cause/hop:10.1.0.2/in"
    ]
    dead = {**lossy, **all_of(into("west-1"), DARK), **all_of(out_of("west-1"), SILENT)}
    told = [each for _ in range(8) for each in ids(scene.window(dead, down=["west-1"]).events)]
    assert told == ["node-down/west-1/-"]


@pytest.mark.parametrize("trouble", [SLOW, {**LOSSY, **SLOW}])
def test_a_link_that_dies_over_a_slow_or_lossy_trunk_is_told(
    scene: Scene, trouble: Mapping[str, float]
) -> None:
    rows = all_of(TRUNK, trouble)
    assert [each for _ in range(8) for each in ids(scene.window(rows).events)] == [
        "common-cause/trunk:east<>west/both"
    ]
    told = scene.window({**rows, ONE: DARK})
    assert places(told) == [("trunk", "east<>west", "both", 1.0)]
    assert ids(told.events) == [f"link-unreachable/{ONE}/-"]


def test_links_that_lose_over_a_slow_trunk_are_told(scene: Scene) -> None:
    rows = all_of(TRUNK, SLOW)
    for _ in range(8):
        scene.window(rows)
    told = [each for _ in range(6) for each in ids(scene.window({**rows, ONE: {**SLOW, **LOSSY}}).events)]
    assert told == [f"link-loss/{ONE}/forward"]


def test_a_place_explains_what_it_explained_lately_and_not_what_it_ever_did(scene: Scene) -> None:
    """A trunk that was dead, and of which one link stays dead while the others only lose."""
    dark, lossy = all_of(TRUNK, DARK), all_of(TRUNK, LOSSY)
    assert ids(scene.window(dark).events) == ["common-cause/trunk:east<>west/both"]
    told = [each for _ in range(10) for each in ids(scene.window({**lossy, ONE: DARK}).events)]
    assert f"link-unreachable/{ONE}/-" in told
    assert not any(each.startswith("link-loss") for each in told)


def test_a_dead_node_whose_links_are_not_all_of_the_dead_trunk_is_told(scene: Scene) -> None:
    trunk = all_of(TRUNK, DARK)
    assert ids(scene.window(trunk).events) == ["common-cause/trunk:east<>west/both"]
    dead = {**trunk, **all_of(into("west-1"), DARK), **all_of(out_of("west-1"), SILENT)}
    told = [each for _ in range(6) for each in ids(scene.window(dead, down=["west-1"]).events)]
    assert told == ["node-down/west-1/-"]


def test_a_node_dark_because_of_a_place_is_not_told(scene: Scene) -> None:
    """The agents of a dead site are told by the site."""
    dark = all_of(between("east", "") + between("", "east"), DARK)
    told = [each for _ in range(6) for each in ids(scene.window(dark, down=["east-1", "east-2"]).events)]
    assert told == ["common-cause/site:east/both"]
