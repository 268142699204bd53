"""What is silenced explains nothing, and a place is silenced with its links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from alerts.roll.silences import Listed
from linkgauge.maintenance import Scope, Silence
from tests.alerts.causes.scene import (
    DARK,
    INVENTORY,
    LOSSY,
    SILENT,
    Scene,
    all_of,
    between,
    ids,
    into,
    out_of,
)

FOR_EVER_NS = 2**62
DEAD = {**all_of(into("west-1"), DARK), **all_of(out_of("west-1"), SILENT)}
UPLINK = between("east", "") + between("", "east")


def scene(folder: Path, scope: Scope, rules: Iterable[str] = ()) -> Scene:
    silence = Silence(scope, frozenset(rules), FOR_EVER_NS, "too loud")
    inventory = replace(INVENTORY, silences=(silence,))
    return Scene(folder, silences=Listed(lambda: inventory))


def told(scene: Scene, rows: Mapping[str, Mapping[str, float]], down: Iterable[str] = ()) -> list[str]:
    down = list(down)
    return [each for _ in range(8) for each in ids(scene.window(rows, down).events)]


def test_a_silenced_alert_of_a_node_leaves_the_place_told(tmp_path: Path) -> None:
    mine = scene(tmp_path, Scope(), ["node-down"])
    assert told(mine, DEAD, ["west-1"]) == ["common-cause/node:west-1/both"]


def test_silenced_places_leave_the_links_told(tmp_path: Path) -> None:
    mine = scene(tmp_path, Scope(), ["common-cause"])
    assert told(mine, all_of(UPLINK, DARK)) == [f"link-unreachable/{link}/-" for link in sorted(UPLINK)]


@pytest.mark.parametrize("links", [into("west-1"), between("east", "west")])
def test_a_place_whose_links_are_silenced_is_silenced(tmp_path: Path, links: list[str]) -> None:
    mine = scene(tmp_path, Scope(links=frozenset(links)))
    assert told(mine, all_of(links, LOSSY)) == []


@pytest.mark.parametrize(("silenced", "rules"), [(into("west-1")[1:], []), (into("west-1"), ["link-loss"])])
def test_a_place_is_told_when_somebody_would_hear_of_a_link(
    tmp_path: Path, silenced: list[str], rules: list[str]
) -> None:
    mine = scene(tmp_path, Scope(links=frozenset(silenced)), rules)
    assert told(mine, all_of(into("west-1"), LOSSY)) == ["common-cause/node:west-1/in"]


def test_what_was_told_before_it_was_silenced_explains_on(tmp_path: Path) -> None:
    inventory = [INVENTORY]
    mine = Scene(tmp_path, silences=Listed(lambda: inventory[0]))
    assert told(mine, all_of(UPLINK, DARK)) == ["common-cause/site:east/both"]
    silence = Silence(Scope(), frozenset({"common-cause"}), FOR_EVER_NS, "known")
    inventory[0] = replace(INVENTORY, silences=(silence,))
    assert told(mine, all_of(UPLINK, DARK)) == []


def test_what_was_told_is_shown_as_silenced_while_it_is(tmp_path: Path) -> None:
    inventory = [INVENTORY]
    mine = Scene(tmp_path, silences=Listed(lambda: inventory[0]))
    assert told(mine, all_of(UPLINK, DARK)) == ["common-cause/site:east/both"]

    def held() -> list[str | None]:
        return [each["held"] for each in mine.engine.active() if each["rule"] == "common-cause"]

    assert held() == [None]
    silence = Silence(Scope(), frozenset({"common-cause"}), FOR_EVER_NS, "known")
    inventory[0] = replace(INVENTORY, silences=(silence,))
    mine.window(all_of(UPLINK, DARK))
    assert held() == ["silence: known"]
    inventory[0] = INVENTORY
    assert told(mine, all_of(UPLINK, DARK)) == []
    assert held() == [None]
