"""A place is told to the teams of all links that it holds back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from alerts.event import Fired, payload
from alerts.receivers.receiver import Policy
from alerts.receivers.told import Told
from linkgauge.inventory import Inventory, build
from linkgauge.inventory_file import InventoryFile
from tests.alerts.causes.scene import DARK, LOSSY, SITES, Scene, all_of, between, into


def of_teams(network: str = "") -> Inventory:
    """Each site its own team."""
    file = {
        "version": 1,
        "sites": [{"name": site, "region": "r", "operator": "o", "team": f"team-{site}"} for site in SITES],
        "networks": [{"name": "net", "kind": "backbone", **({"team": network} if network else {})}],
        "nodes": [
            {"name": f"{site}-{n}", "site": site, "addresses": {"net": f"10.0.{at}.{n}"}}
            for at, site in enumerate(SITES)
            for n in (1, 2)
        ],
    }
    return build(InventoryFile.model_validate(file), "test")


def only(scene: Scene, rows: Mapping[str, Mapping[str, float]]) -> Fired:
    (told,) = [each for _ in range(6) for each in scene.window(rows).events]
    assert isinstance(told, Fired)
    return told


def test_a_trunk_is_told_to_the_teams_of_both_ends_and_to_nobody_else(tmp_path: Path) -> None:
    scene = Scene(tmp_path, inventory=of_teams())
    trunk = between("east", "west") + between("west", "east")
    fired = only(scene, all_of(trunk, DARK))
    assert fired.id == "common-cause/trunk:east<>west/both"
    assert (fired.labels["team"], fired.labels["teams"]) == ("team-east", "team-east,team-west")
    assert fired.labels["trouble"] == "dark"
    told = Told.read(payload(fired, 0))
    wants = {site: Policy(teams=(f"team-{site}",)).wants(told) for site in SITES}
    assert wants == {"east": True, "west": True, "north": False}


def test_a_place_of_a_site_is_its_own_teams_first(tmp_path: Path) -> None:
    scene = Scene(tmp_path, inventory=of_teams())
    fired = only(scene, all_of(into("west-1"), LOSSY))
    assert fired.labels["teams"] == "team-west,team-east,team-north"
    assert (fired.labels["team"], fired.labels["trouble"]) == ("team-west", "lossy")


def test_a_network_with_a_team_is_told_to_that_alone(tmp_path: Path) -> None:
    scene = Scene(tmp_path, inventory=of_teams("core"))
    fired = only(scene, all_of(between("east", "west"), DARK))
    assert fired.labels["team"] == "core"
    assert "teams" not in fired.labels
