"""Records and the sweep, without root: what may be removed and what may not."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from pathlib import Path

import pytest

import lab
from lab.process import ProcessMark
from lab.record import Record
from linkgauge.errors import LabError

_DEAD = {"pid": 4_194_303, "start_ticks": 1}


def _write(folder: Path, **fields: object) -> Path:
    folder.mkdir(parents=True)
    record = {"owner": _DEAD, "namespaces": [], "processes": [], **fields}
    (folder / "record.json").write_text(json.dumps(record))
    return folder


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    record = Record.claim(tmp_path / "new" / "state", lambda world: (f"{world}-center",))
    record.add_process(os.getpid())
    again = Record.load(record.folder)
    assert (again.owner, again.namespaces) == (ProcessMark.of(os.getpid()), (f"{record.world}-center",))
    assert again.processes == [ProcessMark.of(os.getpid())]
    assert [path.name for path in record.folder.parent.iterdir()] == [record.world]


def test_sweep_takes_the_dead_and_leaves_the_living(tmp_path: Path) -> None:
    living = Record.claim(tmp_path, lambda _: ())
    dead = _write(tmp_path / "lg00aa")
    foreign = _write(tmp_path / "lgzz-mine")
    assert lab.sweep(tmp_path) == ["lg00aa"]
    assert not dead.exists()
    assert living.folder.exists()
    assert foreign.exists()
    assert lab.sweep(tmp_path) == []


def test_sweep_kills_what_the_dead_world_started_and_nobody_else(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as ours, subprocess.Popen(["sleep", "60"]) as other:
        mark, stranger = ProcessMark.of(ours.pid), ProcessMark.of(other.pid)
        assert mark is not None
        assert stranger is not None
        recycled = {"pid": other.pid, "start_ticks": stranger.start_ticks - 1}
        started = [{"pid": mark.pid, "start_ticks": mark.start_ticks}, recycled]
        _write(tmp_path / "lg00aa", processes=started)
        assert lab.sweep(tmp_path) == ["lg00aa"]
        assert ours.wait(60) == -9
        assert stranger.alive()
        other.kill()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no record"),
        ("[]", "no record"),
        ('{"owner": {"pid": 1}, "namespaces": [], "processes": []}', "no record"),
        (json.dumps({"owner": _DEAD, "namespaces": ["default"], "processes": []}), "names default"),
        (
            json.dumps({"owner": _DEAD, "namespaces": ["lg00ab-center"], "processes": []}),
            "names lg00ab-center",
        ),
    ],
)
def test_a_damaged_record_is_left_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, word: str
) -> None:
    folder = _write(tmp_path / "lg00aa")
    (folder / "record.json").write_text(text)
    with caplog.at_level(logging.WARNING):
        assert lab.sweep(tmp_path) == []
    assert word in caplog.text
    assert "remove it by hand" in caplog.text
    assert folder.exists()


def test_a_state_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="cannot write the record of a world in"):
        Record.claim(tmp_path / "file" / "state", lambda _: ())


def test_sweep_of_a_folder_that_is_not_there_does_nothing(tmp_path: Path) -> None:
    assert lab.sweep(tmp_path / "absent") == []
