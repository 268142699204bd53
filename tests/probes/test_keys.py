"""The keys file: what is read, exact sentences, and never a key in one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkgauge.errors import ConfigError
from probes.keys import read_keys

KEY = "00112233445566778899aabbccddeeff" * 2
DIGITS = "0123456789" * 6 + "0123"


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "keys.yaml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def fault(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_keys(path)
    return str(caught.value)


def test_keys_by_address_also_those_that_look_like_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, f"10.0.0.1: {KEY}\n'2001:db8:0::1': {DIGITS}\n10.0.0.3: '{KEY.upper()}'\n")
    assert read_keys(path) == {
        "10.0.0.1": bytes.fromhex(KEY),
        "2001:db8::1": bytes.fromhex(DIGITS),
        "10.0.0.3": bytes.fromhex(KEY),
    }
    assert read_keys(write(tmp_path, "# none yet\n")) == {}


def test_a_file_that_others_can_reach_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, f"10.0.0.1: {KEY}\n", 0o640)
    assert fault(path) == f"{path}: others can reach this keys file; run `chmod 600 {path}`"


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    assert fault(tmp_path / "no.yaml").endswith("there is no such keys file; create it or name another")
    path = write(tmp_path, "")
    path.write_bytes(b"\xff\xfe")
    assert fault(path) == f"{path}: the keys file cannot be read (UnicodeDecodeError)"
    assert fault(tmp_path) == f"{tmp_path}: the keys file cannot be read (IsADirectoryError)"


def test_every_fault_is_told_with_its_line_and_no_key(tmp_path: Path) -> None:
    path = write(
        tmp_path, f"10.0.0.1: {KEY}\n10.0.0.1: {KEY}\nhost: {KEY}\n10.0.0.2: {KEY}ff\n10.0.0.4: [{KEY}]\n"
    )
    told = fault(path)
    assert told.splitlines() == [
        f"{path}: line 2: 10.0.0.1 stands twice; remove one",
        f"{path}: line 3: what stands before the colon is no IP address; "
        "must be a mapping of peer addresses to keys of 64 hex digits",
        f"{path}: line 4: the key of 10.0.0.2 is not of 64 hex digits; make one with `openssl rand -hex 32`",
        f"{path}: line 5: the key of 10.0.0.4 is not of 64 hex digits; make one with `openssl rand -hex 32`",
    ]
    assert KEY not in told


@pytest.mark.parametrize("text", [f"10.0.0.1: *{KEY}\n", f"10.0.0.1: {{{KEY}\n", f"- {KEY}\n", KEY])
def test_what_is_no_mapping_shows_no_key(tmp_path: Path, text: str) -> None:
    told = fault(write(tmp_path, text))
    assert "must be a mapping of peer addresses" in told
    assert KEY not in told


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.text())
def test_whatever_stands_there_is_a_sentence_that_does_not_quote_it(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, f"10.0.0.1: secret{text}")
    assert "secret" not in fault(path)
