"""Tokens: issued once, known by their hash, taken up and rotated without a restart."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from collector.http.tokens import Holder, Tokens, end, holders, issue
from linkgauge.errors import ConfigError

J1, G1 = Holder("agent", "j1"), Holder("agent", "g1")


def test_a_token_tells_its_holder_and_is_not_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    one, two = issue(path, "j1"), issue(path, "g1")
    reader, peer = issue(path, "j1", "reader"), issue(path, "j1", "peer")
    tokens = Tokens.load(path)
    assert (tokens.holder(one), tokens.holder(two)) == (J1, G1)
    assert (tokens.holder(reader), tokens.holder(peer)) == (Holder("reader", "j1"), Holder("peer", "j1"))
    assert tokens.holder(one[:-1]) is None
    assert tokens.holder("") is None
    assert tokens.holder("\udcff") is None
    assert one not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert holders(path) == [(G1, 1), (J1, 1), (Holder("reader", "j1"), 1), (Holder("peer", "j1"), 1)]


def test_of_three_tokens_the_oldest_ends_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    first = issue(path, "j1")
    tokens = Tokens.load(path)
    second = issue(path, "j1")
    assert tokens.holder(first) == tokens.holder(second) == J1
    third = issue(path, "j1")
    assert tokens.holder(first) is None
    assert tokens.holder(second) == tokens.holder(third) == J1
    assert holders(path) == [(J1, 2)]


def test_only_and_end_close_former_tokens_at_once(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    old, other = issue(path, "j1"), issue(path, "g1")
    tokens = Tokens.load(path)
    new = issue(path, "j1", only=True)
    assert tokens.holder(old) is None
    assert (tokens.holder(new), tokens.holder(other)) == (J1, G1)
    end(path, "j1")
    assert (tokens.holder(new), tokens.holder(other)) == (None, G1)
    with pytest.raises(ConfigError, match="agent j1 has no token"):
        end(path, "j1")
    with pytest.raises(ConfigError, match="reader g1 has no token"):
        end(path, "g1", "reader")


def test_the_flat_form_is_read_and_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    path.write_text(f"j1: {hashlib.sha256(b'old').hexdigest()}\n")
    path.chmod(0o600)
    tokens = Tokens.load(path)
    assert tokens.holder("old") == J1
    new = issue(path, "j1")
    assert tokens.holder("old") == tokens.holder(new) == J1
    assert [*yaml.safe_load(path.read_text())] == ["agents"]


def test_a_broken_new_file_keeps_the_old_tokens_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    token = issue(path, "j1")
    tokens = Tokens.load(path)
    path.write_text("j1: nothex\n")
    assert tokens.holder(token) == J1
    assert tokens.failures == 1
    assert tokens.fault is not None
    assert str(path) in tokens.fault
    path.unlink()
    token = issue(path, "j1")
    assert tokens.holder(token) == J1
    assert tokens.fault is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("agents: {j1: [topsecret]}", r"agents\.j1: must be a list of one or two SHA-256"),
        ("j1: topsecret", r"agents\.j1: must be a list"),
        ("agents: {j1: topsecret}", r"agents\.j1: must be a list"),
        ("agents: {j1: []}", r"agents\.j1: must be a list"),
        (f"agents: {{j1: [{'a' * 64}, {'b' * 64}, {'c' * 64}]}}", "one or two"),
        ("agents: {J 1: [topsecret]}", "'J 1' is no name"),
        ("writers: {j1: [topsecret]}", "writers: must be agents, readers or peers"),
        ("agents: [topsecret]", "agents: must be agents, readers or peers"),
        ("[topsecret]", "must be a mapping"),
    ],
)
def test_a_fault_names_the_place_and_never_a_value(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "tokens.yaml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=words) as caught:
        Tokens.load(path)
    assert "topsecret" not in str(caught.value)


def test_missing_and_open_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    with pytest.raises(ConfigError, match=r"tokens\.yaml: there is no such file"):
        Tokens.load(path)
    issue(path, "j1")
    os.chmod(path, 0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        Tokens.load(path)


def test_one_hash_for_two_holders_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    issue(path, "j1")
    path.write_text(path.read_text() + path.read_text().replace("agents", "peers").replace("j1", "g1"))
    with pytest.raises(ConfigError, match="g1 and j1 have the same token"):
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
    assert [tokens.holder(token) for token in issued] == [Holder("agent", node) for node in nodes]
