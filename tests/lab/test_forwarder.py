"""What the forwarder says to a configuration that it cannot use; that it forwards is shown in test_world."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.forwarder import main


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"wires": [["a", "b"]]}', '{"wires": [["a", "b", "soon"]]}']
)
def test_a_bad_configuration_is_one_sentence_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    config = tmp_path / "forwarder.json"
    config.write_text(text)
    assert main([str(config), str(tmp_path / "status.json")]) == 2
    words = capsys.readouterr().err
    assert str(config) in words
    assert words.count("\n") == 1


def test_a_missing_configuration_and_missing_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "absent.json"), str(tmp_path / "status.json")]) == 2
    assert "absent.json" in capsys.readouterr().err
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
