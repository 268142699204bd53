"""`linkgauge token`: the token is shown or written once, the collector's file has only its hash."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from collector.tokens import Tokens
from console.main import app
from linkgauge.errors import ConfigError


def test_printed_and_valid(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.yaml"
    result = CliRunner().invoke(app, ["token", "a1", "--tokens", str(tokens), "--json"])
    assert result.exit_code == 0
    token = json.loads(result.output)["token"]
    assert Tokens.load(tokens).agent_of(token) == "a1"
    assert token not in tokens.read_text()


def test_written_for_its_owner_only_and_not_printed(tmp_path: Path) -> None:
    tokens, out = tmp_path / "tokens.yaml", tmp_path / "token"
    out.write_text("older")
    out.chmod(0o644)
    result = CliRunner().invoke(app, ["token", "a1", "--tokens", str(tokens), "--out", str(out)])
    assert result.exit_code == 0
    token = out.read_text().strip()
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert Tokens.load(tokens).agent_of(token) == "a1"
    assert token not in result.output


def test_a_new_token_ends_the_old_one(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.yaml"
    made = [
        json.loads(CliRunner().invoke(app, ["token", "a1", "--tokens", str(tokens), "--json"]).output)[
            "token"
        ]
        for _ in range(2)
    ]
    assert [Tokens.load(tokens).agent_of(token) for token in made] == [None, "a1"]


def test_a_name_that_no_node_can_have(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'A1' is no node name"):
        CliRunner().invoke(
            app, ["token", "A1", "--tokens", str(tmp_path / "tokens.yaml")], catch_exceptions=False
        )
