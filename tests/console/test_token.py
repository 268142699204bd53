"""`linkgauge token`: the token is shown or written once, the collector's file has only its hash."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from collector.http.tokens import Holder, Tokens, issue
from console.main import app
from linkgauge.errors import ConfigError


def told(*words: str) -> Any:
    result = CliRunner().invoke(app, ["token", *words, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_printed_and_valid(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.yaml"
    token = told("a1", "--tokens", str(tokens))["token"]
    assert Tokens.load(tokens).holder(token) == Holder("agent", "a1")
    assert token not in tokens.read_text()


def test_written_for_its_owner_only_and_not_printed(tmp_path: Path) -> None:
    tokens, out = tmp_path / "tokens.yaml", tmp_path / "token"
    out.write_text("older")
    out.chmod(0o644)
    result = CliRunner().invoke(app, ["token", "a1", "--tokens", str(tokens), "--out", str(out)])
    assert result.exit_code == 0
    token = out.read_text().strip()
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert Tokens.load(tokens).holder(token) == Holder("agent", "a1")
    assert token not in result.output


def test_a_place_that_cannot_be_written_ends_no_token(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.yaml"
    first = issue(tokens, "a1")
    before = tokens.read_text()
    for _ in range(3):
        with pytest.raises(ConfigError, match="the token cannot be written"):
            CliRunner().invoke(
                app,
                ["token", "a1", "--only", "--tokens", str(tokens), "--out", str(tmp_path / "none" / "x")],
                catch_exceptions=False,
            )
    assert tokens.read_text() == before
    assert Tokens.load(tokens).holder(first) == Holder("agent", "a1")


def test_that_the_file_is_new_is_said(tmp_path: Path) -> None:
    at = ["token", "a1", "--tokens", str(tmp_path / "tokens.yaml")]
    said = [CliRunner().invoke(app, at).stderr for _ in range(2)]
    assert said == [f"{tmp_path / 'tokens.yaml'}: made, there was none\n", ""]


def test_a_new_token_leaves_one_old_token_valid_until_only_ends_it(tmp_path: Path) -> None:
    at = ("--tokens", str(tmp_path / "tokens.yaml"))
    made = [told("a1", *at)["token"] for _ in range(3)]
    tokens = Tokens.load(tmp_path / "tokens.yaml")
    assert [tokens.holder(token) is not None for token in made] == [False, True, True]
    assert told("a1", "--end-former", *at) == {"agent": "a1", "former_ended": True}
    assert [tokens.holder(token) is not None for token in made] == [False, False, True]
    last = told("a1", "--only", *at)["token"]
    assert [tokens.holder(token) is not None for token in (*made, last)] == [False, False, False, True]


def test_readers_and_peers_are_listed_and_ended(tmp_path: Path) -> None:
    at = ("--tokens", str(tmp_path / "tokens.yaml"))
    reader, peer = told("--reader", "board", *at), told("--peer", "guiyang", *at)
    told("a1", *at), told("a1", *at)
    tokens = Tokens.load(tmp_path / "tokens.yaml")
    assert tokens.holder(reader["token"]) == Holder("reader", "board")
    assert tokens.holder(peer["token"]) == Holder("peer", "guiyang")
    assert told("--list", *at)["holders"] == [
        {"scope": "agent", "name": "a1", "tokens": 2},
        {"scope": "reader", "name": "board", "tokens": 1},
        {"scope": "peer", "name": "guiyang", "tokens": 1},
    ]
    text = CliRunner().invoke(app, ["token", "--list", *at]).output
    assert "agent   a1  2 tokens" in text
    assert told("--reader", "board", "--end", *at) == {"reader": "board", "ended": True}
    assert tokens.holder(reader["token"]) is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["A1"], "'A1' is no node name"),
        (["--reader", "A 1"], "'A 1' is no reader name"),
        ([], "name one holder"),
        (["a1", "--peer", "b"], "name one holder"),
        (["a1", "--end"], "agent a1 has no token"),
        (["a1", "--end-former"], "agent a1 has no token"),
        (["--list"], "there is no such file"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(tmp_path: Path, words: list[str], sentence: str) -> None:
    at = ["--tokens", str(tmp_path / "tokens.yaml")]
    with pytest.raises(ConfigError, match=sentence):
        CliRunner().invoke(app, ["token", *words, *at], catch_exceptions=False)
