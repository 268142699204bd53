"""agent.yaml and the token: exact sentences, and never the token itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkgauge.errors import ConfigError
from probes.settings import TOKEN_VARIABLE, keys, load, read_token

GOOD = "node: a1\ncollectors: ['https://c.example:8440']\ntoken_file: token\ndata_dir: data\n"


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


def write(folder: Path, text: str = GOOD) -> Path:
    path = folder / "agent.yaml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    settings = load(write(tmp_path))
    assert settings.data_dir == tmp_path / "data"
    assert settings.token_file == tmp_path / "token"


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "node: A1\ncollectors: []\nspeed: 3\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    text = str(caught.value)
    assert f"{path}: line 3: speed: there is no such key" in text
    assert f"{path}: data_dir: this key is missing" in text
    assert f"{path}: line 1: node: " in text
    assert f"{path}: line 2: collectors: " in text


def test_token_file_missing(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"token: there is no such token file; make one on the collector's host"
    ):
        read_token(load(write(tmp_path)))


def test_token_file_readable_by_others(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("very-secret")
    token.chmod(0o644)
    with pytest.raises(
        ConfigError, match=f"others can read this token file; run `chmod 600 {token}`"
    ) as caught:
        read_token(load(write(tmp_path)))
    assert "very-secret" not in str(caught.value)


def test_token_from_file_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text("from-file\n")
    token.chmod(0o600)
    settings = load(write(tmp_path))
    assert read_token(settings) == "from-file"
    monkeypatch.setenv(TOKEN_VARIABLE, "from-environment")
    assert read_token(settings) == "from-environment"


def test_token_file_with_more_than_a_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("two words")
    token.chmod(0o600)
    with pytest.raises(ConfigError, match="must hold one token and nothing else"):
        read_token(load(write(tmp_path)))


def test_keys_stand_in_a_file_beside_it(tmp_path: Path) -> None:
    assert keys(load(write(tmp_path))) == {}
    (tmp_path / "keys.yaml").write_text("10.0.0.2: " + "0f" * 32)
    (tmp_path / "keys.yaml").chmod(0o600)
    assert keys(load(write(tmp_path, GOOD + "keys_file: keys.yaml\n"))) == {"10.0.0.2": b"\x0f" * 32}


def test_bind_ports_are_by_address(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "bind_ports: {'::01': 900, localhost: 901}\n")
    with pytest.raises(ConfigError, match=r"bind_ports\.localhost: must be an IPv4 or IPv6 address"):
        load(path)
    assert load(write(tmp_path, GOOD + "bind_ports: {'::01': 900}\n")).bind_ports == {"::1": 900}


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("http://agent:very-secret@c.example:8440", "must not hold a user or password"),
        ("ftp://c.example", "must be an http:// or https:// address"),
        ("https://", "must be an http:// or https:// address"),
        ("https://c.example:8440 ", "must be an http:// or https:// address"),
    ],
)
def test_an_address_holds_no_secret_for_it_is_logged(tmp_path: Path, address: str, fault: str) -> None:
    path = write(tmp_path, GOOD.replace("https://c.example:8440", address))
    with pytest.raises(ConfigError, match=fault) as caught:
        load(path)
    assert "very-secret" not in str(caught.value)
