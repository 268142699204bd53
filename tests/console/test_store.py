"""`linkgauge store`: makes and checks databases, with exit codes that scripts can use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from console.main import app
from linkgauge.errors import ConfigError
from tests.collector.sinks.later_influx import World, later
from tests.collector.world import write_inventory


def _config(folder: Path, world: World | None, more: str = "") -> Path:
    write_inventory(folder)
    token = folder / "token"
    token.write_text("a-token\n")
    token.chmod(0o600)
    path = folder / "collector.yaml"
    path.write_text("inventory: inventory.yaml\ndata_dir: data\ntokens: tokens.yaml\n")
    if world is not None:
        hot = f'{{url: "{world.url}", org: ours, token_file: token{more}}}'
        path.write_text(path.read_text() + f"influxdb: {hot}\n")
    return path


def _run(*words: str) -> Result:
    return CliRunner().invoke(app, ["store", *words])


def _told(*words: str) -> Any:
    return json.loads(_run(*words, "--json").stdout)


def test_set_up_then_well(tmp_path: Path) -> None:
    with later("2.7.12") as world:
        world.mapped = ["linkgauge", "linkgauge_5m", "linkgauge_1h"]
        at = ("--config", str(_config(tmp_path, world)))
        missing = _run("check", *at)
        assert missing.exit_code == 1
        assert missing.stdout.splitlines() == [
            f"there is no database {name}; run `linkgauge store setup`" for name in world.mapped
        ]
        assert [each["done"] for each in _told("setup", *at)["databases"]] == ["made"] * 3
        table = _run("setup", *at).stdout
        assert "InfluxDB 2.7" in table
        assert "was there, keeps 1095 d" in table
        well = _run("check", *at)
        assert (well.exit_code, "as the settings want it" in well.stdout) == (0, True)
        told = _told("check", *at)
    assert (told["wrong"], told["hints"]) == ([], [])
    assert set(told["series"]) == {"linkgauge", "linkgauge_5m", "linkgauge_1h"}
    assert "a-token" not in table + well.stdout


def test_what_is_wrong_with_all_databases_is_told_once(tmp_path: Path) -> None:
    with later("2.7.12") as world:
        world.closed = {"/api/v2/buckets", "/api/v2/write"}
        result = _run("check", "--config", str(_config(tmp_path, world)))
    assert result.exit_code == 1
    assert result.stdout.count("unauthorized access") == 1


def test_without_roll_ups_there_is_one_database(tmp_path: Path) -> None:
    with later("3.10.1") as world:
        at = ("--config", str(_config(tmp_path, world, ", rollups: false, keep_days: 7")))
        assert [each["keep_days"] for each in _told("setup", *at)["databases"]] == [7]
        result = _run("check", *at)
    assert (result.exit_code, world.buckets) == (0, {"linkgauge": 7})
    assert result.stdout.startswith("hint: ")


@pytest.mark.parametrize("command", ["setup", "check"])
def test_settings_without_influxdb_are_a_sentence(tmp_path: Path, command: str) -> None:
    result = _run(command, "--config", str(_config(tmp_path, None)))
    assert isinstance(result.exception, ConfigError)
    assert "add influxdb.url" in str(result.exception)


def test_nobody_there(tmp_path: Path) -> None:
    with later("2.7.12") as world:
        path = _config(tmp_path, world)
    assert isinstance(_run("setup", "--config", str(path)).exception, ConfigError)
    result = _run("check", "--config", str(path))
    assert (result.exit_code, "cannot be reached" in result.stdout) == (1, True)
