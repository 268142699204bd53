"""A place of which nothing is known is neither over nor told anew."""

from __future__ import annotations

from pathlib import Path

from alerts.causes.unseen import unknown
from tests.alerts.causes.scene import DARK, LINKS, SILENT, Scene, all_of, between, ids


def test_a_place_of_whose_links_nothing_is_known_is_not_over(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    dark = all_of(between("east", "") + between("", "east"), DARK)
    told = [ids(scene.window(dark).events) for _ in range(8)]
    assert told == [["common-cause/site:east/both"], *[[]] * 7]
    again = Scene(tmp_path)  # after a restart nothing is known of its windows
    again._window = scene._window
    told = [ids(again.window(all_of(LINKS, SILENT)).events) for _ in range(9)]
    told += [ids(again.window(dark).events) for _ in range(3)]
    assert told == [[]] * 12
    told = [ids(again.window({}).events) for _ in range(4)]
    assert told == [*[[]] * 3, ["common-cause/site:east/both"]]


def test_a_place_ends_though_some_of_its_links_are_unknown(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    dark = all_of(between("east", "") + between("", "east"), DARK)
    scene.window(dark)
    told = [ids(scene.window(all_of(between("east", "north"), SILENT)).events) for _ in range(4)]
    assert told[3] == ["common-cause/site:east/both"]


def test_a_place_that_is_never_judged_again_ends(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.window(all_of(between("east", "") + between("", "east"), DARK))
    told = [scene.window(all_of(LINKS, SILENT)).events for _ in range(60)]
    assert [len(each) for each in told[:59]] == [0] * 59
    assert any("no longer judged" in event.summary for event in told[59])


def test_a_place_all_of_whose_links_are_taken_out_of_the_inventory_ends() -> None:
    known = {"a-1>b-1@net": True}
    assert not unknown(["c-1>b-1@net", "c-1>a-1@net"], known)
    assert not unknown(["c-1>b-1@net", "c-1>a-1@net", "a-1>b-1@net"], known)
    assert unknown(["c-1>b-1@net", "a-1>b-1@net"], dict.fromkeys(known, False))
    assert unknown(["c-1>b-1@net"], {}), "no window was judged at all"
