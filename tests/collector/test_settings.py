"""Settings: paths, defaults, and one sentence for each fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.secret import read_secret
from collector.settings import Settings, host_and_port
from linkgauge.errors import ConfigError

LEAST = "inventory: inventory.yaml\ndata_dir: data\ntokens: tokens.yaml\n"


def _load(folder: Path, text: str) -> Settings:
    path = folder / "collector.yaml"
    path.write_text(text)
    return Settings.load(path)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    settings = _load(tmp_path, LEAST + "webhooks: [{name: ops, url: 'http://h/x', token_file: t}]\n")
    assert settings.inventory == tmp_path / "inventory.yaml"
    assert settings.archive_path == tmp_path / "data" / "archive"
    assert settings.webhooks[0].token_file == tmp_path / "t"
    assert settings.file == tmp_path / "collector.yaml"
    assert (settings.listen, settings.archive.flush_s, settings.name) == ("127.0.0.1:8440", 60, "collector")


def test_an_absolute_path_stays(tmp_path: Path) -> None:
    assert _load(tmp_path, LEAST + "archive: {path: /srv/archive}\n").archive_path == Path("/srv/archive")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("listen: '127.0.0.1'", "listen: must be host:port"),
        ("listen: '127.0.0.1:99999'", "port of 0 to 65535"),
        ("listen: '::1:80'", "an IPv6 address stands in brackets"),
        ("archive: {flush_s: 0}", "archive.flush_s"),
        ("influxdb: {url: 'ftp://x'}", "must be an http:// or https:// address"),
        ("influxdb: {url: 'http://me:secret@x'}", "must not hold a user or password"),
        ("colour: red", "colour: there is no such key"),
        ("webhooks: [{name: a, url: 'http://x'}, {name: a, url: 'http://y'}]", "different names"),
    ],
)
def test_each_fault_has_a_sentence(tmp_path: Path, lines: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, LEAST + lines + "\n")
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'collector.yaml'}: ")


def test_host_and_port_reads_ipv6() -> None:
    assert host_and_port("[::1]:8440") == ("::1", 8440)
    assert host_and_port("name.example:0") == ("name.example", 0)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("hush\n")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        read_secret("x", path, {})
    path.chmod(0o600)
    secret = read_secret("x", path, {})
    assert secret is not None
    assert secret.get_secret_value() == "hush"
    assert "hush" not in repr(secret)


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    secret = read_secret("webhook_my-hook_token", tmp_path / "none", {"LINKGAUGE_WEBHOOK_MY_HOOK_TOKEN": "e"})
    assert secret is not None
    assert secret.get_secret_value() == "e"


def test_a_missing_or_empty_secret_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        read_secret("x", tmp_path / "none", {})
    path = tmp_path / "empty"
    path.touch(0o600)
    with pytest.raises(ConfigError, match="is empty"):
        read_secret("x", path, {})
    assert read_secret("x", None, {}) is None
