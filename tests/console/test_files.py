"""The commands that look into outbox and journal: what they show, their codes; they disturb nobody."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from collector.journal.journal import Journal
from console.lying import age_text
from console.main import app
from linkgauge.clock import SystemClock
from linkgauge.errors import StoreError
from linkgauge.packing import pack
from probes.upload.outbox import Outbox
from tests.collector.journals import FROM_ONE

DAY_NS = 86_400 * 10**9


def _now_ns() -> int:
    return SystemClock().now().wall_ns


def _run(*words: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def _told(*words: str | Path) -> tuple[int, dict[str, Any]]:
    code, text = _run(*words, "--json")
    return code, json.loads(text)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.sqlite", 10**6, DAY_NS, keep_free_bytes=0)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    made = Journal(tmp_path / "journal.sqlite", 10**6, DAY_NS, FROM_ONE)
    made.register(["archive", "influxdb"])
    return made


def test_a_healthy_outbox(outbox: Outbox) -> None:
    for _ in range(3):
        outbox.put("b1", lambda number: b"body", 5, _now_ns())
    outbox.done([outbox.waiting(1)[0].seq])
    code, told = _told("outbox", outbox.path)
    assert code == 0
    assert told["troubles"] == told["damaged_files"] == told["dead_letters"] == []
    assert (told["waiting"], told["produced"], told["acknowledged"]) == (2, 3, 1)
    assert told["waiting_octets"] == 2 * len(pack(b"body"))
    assert 0 <= told["oldest_s"] < 60
    assert outbox.put("b1", lambda number: b"body", 5, _now_ns()) == 4  # it goes on beside


def test_what_should_not_lie_in_an_outbox_is_said(outbox: Outbox) -> None:
    outbox.put("b1", lambda number: b"old", 5, _now_ns() - 10**12)
    outbox.put("b1", lambda number: b"bad", 7, _now_ns())
    outbox.reject(outbox.waiting(2)[1].seq, "window 3 starts in the future")
    outbox.path.with_name("outbox.sqlite.damaged-17").touch()
    code, text = _run("outbox", outbox.path)
    assert code == 1
    assert "b1/2, 7 rows: window 3 starts in the future" in text
    assert re.search(r"! the oldest batch has waited for 1[67]\.\d min", text)
    assert "! dead letters: 1;" in text
    assert "outbox.sqlite.damaged-17: was damaged" in text
    code, told = _told("outbox", outbox.path)
    assert code == 1
    assert [letter["words"] for letter in told["dead_letters"]] == ["window 3 starts in the future"]
    assert len(told["troubles"]) == 3


def test_drops_are_said(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", 1, DAY_NS, keep_free_bytes=0)
    for _ in range(3):
        outbox.put("b1", lambda number: b"body", 5, _now_ns())
    code, told = _told("outbox", outbox.path)
    assert (code, told["dropped"], told["waiting"]) == (1, 2, 1)


def test_the_settings_lead_to_the_outbox(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text("node: n1\ncollectors: ['http://127.0.0.1:1']\ndata_dir: data\n")
    outbox = Outbox(tmp_path / "data" / "outbox.sqlite", 10**6, DAY_NS, keep_free_bytes=0)
    outbox.put("b1", lambda number: b"body", 5, _now_ns())
    code, told = _told("outbox", "--config", tmp_path / "agent.yaml")
    assert (code, told["waiting"]) == (0, 1)


def test_a_disk_that_takes_no_more_windows_is_said(tmp_path: Path) -> None:
    text = "node: n1\ncollectors: ['http://127.0.0.1:1']\ndata_dir: data\noutbox: {keep_free_mb: %d}\n"
    Outbox(tmp_path / "data" / "outbox.sqlite", 10**6, DAY_NS, keep_free_bytes=0).put(
        "b1", lambda number: b"body", 5, _now_ns()
    )
    config = tmp_path / "agent.yaml"
    config.write_text(text % 1)
    code, told = _told("outbox", "--config", config)
    assert (code, told["keep_free_octets"]) == (0, 1 << 20)
    assert told["free_octets"] > 1 << 20
    config.write_text(text % 1_000_000_000)
    code, shown = _run("outbox", "--config", config)
    assert code == 1
    assert "nothing more is put in, windows are lost; make room on it" in shown


def test_a_healthy_journal(journal: Journal) -> None:
    for number in (1, 2, 3):
        journal.append("j1", "b", number, 0, _now_ns(), b"body")
    journal.advance("archive", 3)
    journal.advance("influxdb", 1)
    code, told = _told("journal", journal.path)
    assert code == 0
    assert (told["identity"], told["batches"], told["octets"]) == (journal.identity, 3, 12)
    assert told["sinks"]["archive"] == {"cursor": 3, "backlog": 0, "oldest_s": None}
    assert (told["sinks"]["influxdb"]["cursor"], told["sinks"]["influxdb"]["backlog"]) == (1, 2)
    assert told["dropped"] == {"size": 0, "age": 0, "damage": 0}
    assert journal.append("j1", "b", 4, 0, _now_ns(), b"body")


def test_what_should_not_lie_in_a_journal_is_said(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite", 5, DAY_NS)
    journal.register(["archive"])
    for number in (1, 2, 3):
        journal.append("j1", "b", number, 0, _now_ns() - 10**13, b"body")
    code, text = _run("journal", journal.path)
    assert code == 1
    assert "! sink archive has not taken what came 2.8 h ago" in text
    assert "! 2 batches were dropped by journal.max_mb before every sink had them" in text


@pytest.mark.parametrize("command", ["outbox", "journal"])
def test_what_cannot_be_read_is_a_sentence(tmp_path: Path, command: str) -> None:
    file = tmp_path / "x.sqlite"
    with pytest.raises(StoreError, match=r"x\.sqlite: there is no such file"):
        _run(command, file)
    with pytest.raises(StoreError, match=rf"is a folder; name the file in it that is the {command}"):
        _run(command, tmp_path)
    file.write_bytes(b"no database" * 500)
    with pytest.raises(StoreError, match=r"x\.sqlite: the \w+ cannot be read"):
        _run(command, file)
    assert file.read_bytes() == b"no database" * 500
    main = "import sys; from console.main import main; sys.argv[0] = 'linkgauge'; main()"
    result = subprocess.run(
        [sys.executable, "-c", main, command, str(file)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr.startswith(f"linkgauge: {file}: ")


def test_ages_are_told_in_the_unit_that_fits() -> None:
    told = [age_text(age) for age in (None, 5.0, 119.0, 120.0, 7200.0, 172_800.0)]
    assert told == ["-", "5 s", "119 s", "2.0 min", "2.0 h", "2.0 d"]
