"""`linkgauge archive`: exit codes, what is printed, and what it will not touch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from console.main import app
from linkgauge.errors import StoreError
from tests.collector.archive.world import holdings, names, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "archive", range(1, 6))
    return tmp_path / "archive"


def _run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["archive", *map(str, words)])
    if isinstance(result.exception, StoreError):
        raise result.exception
    return result.exit_code, result.stdout


def _json(*words: object) -> tuple[int, Any]:
    code, text = _run(*words, "--json")
    return code, json.loads(text)


def test_verify_tells_heads_and_faults(root: Path) -> None:
    code, told = _json("verify", root)
    assert (code, told["whole"], told["faults"]) == (0, True, [])
    (writer,) = told["writers"]
    assert (writer["writer"], writer["lines"], writer["files"], writer["rows"]) == ("abc", 6, 5, 10)
    assert _json("verify", root, "--head", writer["head"])[0] == 0
    code, told = _json("verify", root, "--head", "1" * 64)
    assert (code, told["whole"], len(told["faults"])) == (1, False, 1)
    code, text = _run("verify", root)
    assert f"head {writer['head']}" in text
    assert text.endswith("the archive is as it was written\n")
    next(root.rglob("abc-2-2.parquet")).unlink()
    code, text = _run("verify", root)
    assert code == 1
    assert "abc-2-2.parquet: the file is missing; 2 rows are gone" in text


def test_by_settings(root: Path, tmp_path: Path) -> None:
    config = tmp_path / "collector.yaml"
    config.write_text(
        "inventory: i.yaml\ndata_dir: data\ntokens: tokens.yaml\narchive: {path: archive, keep_free_mb: 0}\n"
    )
    assert _run("verify", "--config", config)[0] == 0
    assert _json("compact", "--config", config, "--all")[1]["put_together"] == 1


def test_list_and_compact(root: Path) -> None:
    code, told = _json("list", root)
    assert code == 0
    assert [(row["table"], row["date"], row["network"], row["files"], row["rows"]) for row in told] == [
        ("window", "2027-01-15", "n", 5, 10)
    ]
    assert "2027-01-15" in _run("list", root)[1]
    assert _json("compact", root, "--all") == (0, {"put_together": 1, "left": []})
    assert names(root) == ["abc-1-4.parquet", "abc-5-5.parquet"]
    assert _json("list", root)[1][0]["rows"] == 10


def test_a_running_writer_is_left_alone(root: Path) -> None:
    writer = holdings(root)
    code, told = _json("compact", root, "--all")
    writer.close()
    assert (code, told["put_together"]) == (1, 0)
    assert "another process writes this archive" in told["left"][0]


def test_no_archive_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no archive; name its folder"):
        _run("verify", tmp_path / "none")


def test_a_folder_without_any_manifest_is_not_called_whole(tmp_path: Path) -> None:
    for words in (("verify", tmp_path), ("verify", tmp_path, "--json")):
        with pytest.raises(StoreError, match="there is no archive"):
            _run(*words)
    assert _run("verify", tmp_path, "--head", "1" * 64)[0] == 1


def test_the_archive_of_another_user_is_not_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(StoreError, match="run this as that user"):
        _run("compact", root)
