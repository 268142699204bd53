"""A collector that was started anew goes on with its places: none is named otherwise, nobody hears more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.causes.scene import (
    DARK,
    LINKS,
    LOSSY,
    SILENT,
    Scene,
    all_of,
    between,
    ids,
    into,
    out_of,
    places,
    sweeps,
)

LITTLE = {
    "loss_forward_ratio": 0.02, "loss_forward_upper_ratio": 0.08, "loss_forward_excess_ratio": 0.001,
    "loss_forward_spread_ratio": 0.001,
}  # fmt: skip
"""Loss that needs windows of the others, until it is sure that they have none."""
BACK = {"delay_step_us": 5_000.0}
Rows = Mapping[str, Mapping[str, float]]


class Restarted:
    """Windows of a scene that is begun anew between any two of them."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self._folder, self._more, self._window = folder, more, 100

    def windows(
        self, count: int, rows: Rows, down: tuple[str, ...] = (), anew: bool = True, carry: bool = False
    ) -> list[str]:
        """Ids of what is told. anew: begun anew before each window, else once. carry: not at all."""
        told = []
        for at in range(count):
            if not carry and (anew or not at):
                self.scene = Scene(self._folder, **self._more)
                self.scene._window = self._window
            self.outcome = self.scene.window(rows, down)
            self._window = self.scene._window
            told += ids(self.outcome.events)
        return told


@pytest.mark.parametrize("trouble", [DARK, LOSSY, LITTLE])
def test_links_stay_held_back_until_their_place_is_found_again(
    tmp_path: Path, trouble: Mapping[str, float]
) -> None:
    run, rows = Restarted(tmp_path), all_of(into("west-1"), trouble)
    told = run.windows(8, rows, anew=False)
    assert (
        told == ["common-cause/node:west-1/in"] if trouble is not DARK else ["common-cause/node:west-1/both"]
    )
    assert run.windows(8, rows) == [], "begun anew before each window"
    assert run.windows(8, rows, anew=False) == []
    assert run.windows(30, {}, anew=False) == told, "it ends, and nobody hears of the links"


def test_a_place_keeps_its_name_though_more_is_known_of_the_ways(tmp_path: Path) -> None:
    paths: dict[str, Any] = {}
    run, rows = Restarted(tmp_path, sweeps=lambda: paths), all_of(between("east", "west"), DARK)
    assert run.windows(3, rows) == ["common-cause/trunk:east>west/out"]
    paths.update(sweeps())
    assert run.windows(3, all_of(LINKS, SILENT)) == []
    assert run.windows(6, rows) == []
    assert places(run.outcome) == [("trunk", "east>west", "out", 1.0)]
    assert run.windows(8, {}) == ["common-cause/trunk:east>west/out"]
    assert run.windows(3, rows) == ["common-cause/hop:10.1.0.2/in"], "what is over is forgotten"


def test_a_site_stays_a_site_though_only_one_of_its_nodes_is_known_again(tmp_path: Path) -> None:
    run, dark = Restarted(tmp_path), all_of(between("east", "") + between("", "east"), DARK)
    assert run.windows(2, dark) == ["common-cause/site:east/both"]
    of_one = {link: row for link, row in dark.items() if "east-1" in link}
    rows = {**dark, **all_of([link for link in dark if link not in of_one], SILENT)}
    assert run.windows(6, rows, ("east-1",)) == []
    assert run.windows(3, dark, ("east-1", "east-2")) == []


def test_links_stay_held_back_while_nothing_is_sure_enough_to_find_the_place(tmp_path: Path) -> None:
    """One link of the place is known again before the others."""
    run, rows = Restarted(tmp_path), all_of(into("west-1"), LOSSY)
    told = run.windows(8, rows, anew=False)
    one = {**rows, **all_of(into("west-1")[1:], SILENT)}
    assert run.windows(3, one) == []
    assert run.windows(8, rows) == []
    assert run.windows(30, {}, anew=False) == told


def test_what_holds_over_a_restart_holds_over_an_absence(tmp_path: Path) -> None:
    """Nothing is known for a while; then of a few links only."""
    run, lossy = Restarted(tmp_path), all_of(into("west-1"), LOSSY)
    told = run.windows(8, lossy, anew=False)
    one = {**lossy, **all_of(into("west-1")[1:], SILENT)}
    for rows in (all_of(LINKS, SILENT), one, lossy):
        assert run.windows(8, rows, carry=True) == []
    assert run.windows(30, {}, carry=True) == told
    dark = all_of(between("east", "") + between("", "east"), DARK)
    assert run.windows(2, dark, carry=True) == ["common-cause/site:east/both"]
    rows = {**dark, **all_of([link for link in dark if "east-1" not in link], SILENT)}
    assert run.windows(6, all_of(LINKS, SILENT), carry=True) == []
    assert run.windows(6, rows, ("east-1",), carry=True) == []
    assert run.windows(3, dark, ("east-1", "east-2"), carry=True) == []


def test_nodes_and_what_comes_late_stay_explained(tmp_path: Path) -> None:
    run, dark = Restarted(tmp_path), all_of(between("east", "") + between("", "east"), DARK)
    assert run.windows(8, dark, ("east-1", "east-2")) == ["common-cause/site:east/both"]
    run, lossy = Restarted(tmp_path / "late"), all_of(between("east", "west"), LOSSY)
    (tmp_path / "late").mkdir()
    told = run.windows(8, lossy)
    told += run.windows(12, all_of(between("west", "east"), BACK))
    assert told == ["common-cause/hop:10.1.0.2/in"] * 2


def test_a_place_that_is_a_node_stays_the_nodes(tmp_path: Path) -> None:
    run, rows = Restarted(tmp_path), {**all_of(into("west-1"), DARK), **all_of(out_of("west-1"), SILENT)}
    told = run.windows(4, rows, ("west-1",)) + run.windows(3, all_of(LINKS, SILENT), ("west-1",))
    assert told + run.windows(4, rows, ("west-1",)) == ["node-down/west-1/-"]
