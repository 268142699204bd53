"""Tokens: issued once, known by their hash, taken up without a restart."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from collector.tokens import Tokens, issue
from linkgauge.errors import ConfigError


def test_a_token_tells_its_node_and_is_not_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    one, two = issue(path, "j1"), issue(path, "g1")
    tokens = Tokens.load(path)
    assert (tokens.agent_of(one), tokens.agent_of(two)) == ("j1", "g1")
    assert tokens.agent_of(one[:-1]) is None
    assert tokens.agent_of("") is None
    assert tokens.agent_of("\udcff") is None
    assert one not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_new_token_replaces_the_old_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    old = issue(path, "j1")
    tokens = Tokens.load(path)
    assert tokens.agent_of(old) == "j1"
    new, other = issue(path, "j1"), issue(path, "g1")
    assert tokens.agent_of(old) is None
    assert (tokens.agent_of(new), tokens.agent_of(other)) == ("j1", "g1")


def test_a_broken_new_file_keeps_the_old_tokens_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    token = issue(path, "j1")
    tokens = Tokens.load(path)
    path.write_text("j1: nothex\n")
    assert tokens.agent_of(token) == "j1"
    assert tokens.failures == 1
    assert tokens.fault is not None
    assert str(path) in tokens.fault
    token = issue_after_mending(path)
    assert tokens.agent_of(token) == "j1"
    assert tokens.fault is None


def issue_after_mending(path: Path) -> str:
    path.unlink()
    return issue(path, "j1")


def test_missing_and_open_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    with pytest.raises(ConfigError, match=r"tokens\.yaml: there is no such file"):
        Tokens.load(path)
    issue(path, "j1")
    os.chmod(path, 0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        Tokens.load(path)


def test_one_hash_for_two_nodes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    issue(path, "j1")
    path.write_text(path.read_text() + path.read_text().replace("j1", "g1"))
    with pytest.raises(ConfigError, match="have the same token"):
        Tokens.load(path)


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no name of a node"):
        issue(tmp_path / "tokens.yaml", "J 1")
    assert not (tmp_path / "tokens.yaml").exists()


def test_tokens_issued_at_once_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    nodes = [f"n{at}" for at in range(12)]
    with ThreadPoolExecutor(6) as pool:
        issued = list(pool.map(lambda node: issue(path, node), nodes))
    tokens = Tokens.load(path)
    assert [tokens.agent_of(token) for token in issued] == nodes
