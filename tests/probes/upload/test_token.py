"""A token that is changed while the agent runs."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from linkgauge.errors import ConfigError
from probes.upload.token import Token


def test_a_changed_file_gives_the_new_token_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "probes.upload.token")
    path = tmp_path / "token"
    path.write_text("first")
    token = Token(path.read_text, path)
    assert token.value() == "first"
    path.write_text("the second")
    assert [token.value(), token.value()] == ["the second"] * 2
    assert [record.message for record in caplog.records] == [
        f"{path}: the token was changed, the new one is in use"
    ]
    assert "second" not in caplog.text + repr(token.__dict__)


def test_a_faulty_new_file_leaves_the_former_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    token = Token(path.read_text, path)
    path.write_text("sec\nret")
    assert [token.value(), token.value()] == ["first"] * 2
    (record,) = caplog.records
    assert record.message.endswith("the former token stays in use")
    assert "sec" not in record.message


def test_renew_tells_whether_it_is_another() -> None:
    tokens = iter(["a", "a", "b"])
    token = Token(lambda: next(tokens))
    assert not token.renew()
    assert token.renew()
    assert token.value() == "b"


@pytest.mark.parametrize("bad", ["", " ", "sec\nret", "schlüssel"])
def test_no_token_begins_without_one_that_can_serve(bad: str) -> None:
    with pytest.raises(ConfigError, match="copy it again") as caught:
        Token(lambda: bad)
    assert not bad.strip() or bad not in str(caught.value)
