"""`linkgauge check-config`: each kind of file is known by its keys; faults are whole sentences, exit 1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from collector.tokens import issue
from console.main import app
from console.token import write_secret

INVENTORY = """
version: 1
sites: [{name: s, region: r, operator: o}]
networks: [{name: n, kind: backbone}]
nodes:
  - {name: a, site: s, addresses: {n: 10.0.0.1}}
  - {name: b, site: s, addresses: {n: 10.0.0.2}}
"""
AGENT = "node: a\ncollectors: ['http://127.0.0.1:8440']\ntoken_file: token\ndata_dir: data\n"
COLLECTOR = "inventory: inventory.yaml\ndata_dir: data\ntokens: tokens.yaml\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    (tmp_path / "agent.yaml").write_text(AGENT)
    (tmp_path / "collector.yaml").write_text(COLLECTOR)
    write_secret(tmp_path / "token", issue(tmp_path / "tokens.yaml", "a"))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("inventory.yaml", "inventory with 1 sites, 2 nodes, 1 networks, 2 links"),
        ("agent.yaml", "settings of agent a, reports to http://127.0.0.1:8440"),
        ("collector.yaml", "settings of collector collector at 127.0.0.1:8440, inventory with 1 sites"),
    ],
)
def test_good_files(folder: Path, name: str, said: str) -> None:
    result = CliRunner().invoke(app, ["check-config", str(folder / name)])
    assert result.exit_code == 0
    assert said in result.output


def test_all_faults_of_all_files(folder: Path) -> None:
    (folder / "inventory.yaml").write_text(INVENTORY.replace("name: b", "name: a") + "colour: red\n")
    (folder / "token").chmod(0o644)
    names = [str(folder / "inventory.yaml"), str(folder / "agent.yaml")]
    result = CliRunner().invoke(app, ["check-config", "--json", *names])
    assert result.exit_code == 1
    first, second = json.loads(result.output)["files"]
    assert any("colour: there is no such key" in fault for fault in first["faults"])
    assert any("others can read this token file; run `chmod 600" in fault for fault in second["faults"])


def test_a_missing_file_is_a_fault(folder: Path) -> None:
    result = CliRunner().invoke(app, ["check-config", str(folder / "nothing.yaml")])
    assert result.exit_code == 1
    assert "there is no such file" in result.output
