"""A file that this program may not read: whose it has to be is said, whoever reads it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from collector.http.server_tls import ServerTls
from collector.secret import read_secret
from collector.settings import Tls
from collector.watched_file import WatchedFile
from linkgauge.errors import ConfigError
from linkgauge.owner import give
from linkgauge.probing import Model
from linkgauge.yaml_file import read_yaml
from probes.settings import AgentSettings, read_token


def _denied(*_: object, **__: object) -> str:
    raise PermissionError(13, "Permission denied")


def test_the_mend_names_the_user_and_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert give("/etc/token").endswith(" /etc/token")
    monkeypatch.setattr(os, "geteuid", lambda: 54_321)
    assert give("/x") == "this program runs as 54321 and may not read it; run: chown 54321 /x"


def test_tokens_secrets_and_settings_say_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    path.write_text("x")
    path.chmod(0o600)
    agent = AgentSettings(
        node="a1", collectors=("https://c.example:8440",), token_file=path, data_dir=tmp_path
    )
    monkeypatch.setattr(Path, "read_text", _denied)
    for read in (
        lambda: read_token(agent),
        lambda: read_secret("none", path),
        lambda: read_yaml(path, Model),
    ):
        with pytest.raises(ConfigError, match=f"run: chown .* {path}"):
            read()


def test_of_a_certificate_the_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "c.key"
    monkeypatch.setattr("collector.http.server_tls._context", _denied)
    monkeypatch.setattr(os, "access", lambda path, _: path != key)
    with pytest.raises(ConfigError) as caught:
        ServerTls(Tls(certificate=certificate, key=key), tmp_path / "collector.yaml")
    assert str(caught.value) == f"{key}: {give(key)}"


def test_a_file_that_was_given_to_its_owner_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("x")
    watched = WatchedFile(path, lambda each: each.stat().st_mode & 0o777)
    path.chmod(0o640)
    assert watched.stale
    assert watched.value() == 0o640
