"""`linkgauge rollup`: noting slots for making again, and what waits, beside an archive of an hour."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from collector.rollup.notes import FILE_NAME, Grace, Notes
from collector.rollup.slot import SHORT_NS, Slot
from collector.sinks.archive import Archive
from collector.sinks.sink import Delivery
from console.rollup import app
from console.single import only_one
from linkgauge.clock import SystemClock
from linkgauge.errors import ConfigError
from tests.collector.rollup.windows import T0_NS, Sampled, frame_of
from tests.collector.running import settings_in


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of a collector whose archive has a window in each of twelve slots, of two agents."""
    settings = settings_in(tmp_path)
    archive = Archive(settings.archive_path, "abc", 0, lambda link: {"network": "n"})
    windows = [
        Sampled(T0_NS + at * SHORT_NS, (1e6,), link=link)
        for at in range(12)
        for link in ("j1>j2@n", "j2>j1@n")
    ]
    archive.write([Delivery(1, "j1", "b", 1, {"window": frame_of(windows)})])
    archive.close()
    notes = Notes(settings.data_dir / FILE_NAME, SystemClock())
    notes.note([], 0)
    notes.counts()
    notes.close()
    return settings.file


def _run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def _ready(config: Path) -> tuple[Slot, dict[str, int]] | None:
    notes = Notes(config.parent / "data" / FILE_NAME, SystemClock())
    try:
        return notes.ready(2**61, 0, Grace(0, 0))
    finally:
        notes.close()


def test_rebuilding_notes_the_slots_that_have_rows(config: Path) -> None:
    code, told = _run("rebuild", "--config", str(config), "--from", "2027-01-15T08:10", "--to", "2027-01-16")
    assert code == 0
    assert told == "noted: 10 slots of 5 minutes, 0 of an hour; they are made when the collector starts\n"
    assert _ready(config) == (Slot(T0_NS + 11 * SHORT_NS, SHORT_NS), {"j1": 0, "j2": 0})
    code, told = _run("status", "--config", str(config))
    assert code == 0
    assert "5 minutes: 10 slots noted, 2027-01-15T08:10:00Z to 2027-01-15T08:55:00Z" in told
    assert "of them are over and not made" in told


def test_rebuilding_may_be_for_the_agent_of_a_link_and_told_as_json(config: Path) -> None:
    since = ("rebuild", "--config", str(config), "--from", "2027-01-15", "--to", "2027-01-16")
    with only_one(config.parent / "data", "collector", "wait"):
        code, told = _run(*since, "--link", "j2>j1@n", "--json")
    assert (code, json.loads(told)) == (0, {"noted": {"5m": 12, "1h": 0}, "collector_runs": True})
    found = _ready(config)
    assert found is not None
    assert found[1] == {"j2": 0}
    code, told = _run("status", "--config", str(config), "--json")
    first_ns, last_ns = T0_NS, T0_NS + 11 * SHORT_NS
    noted = json.loads(told)["noted"]
    assert (code, noted) == (0, {"5m": {"slots": 12, "first_ns": first_ns, "last_ns": last_ns}})


def test_a_time_without_rows_is_said_and_is_exit_1(config: Path) -> None:
    code, told = _run("rebuild", "--config", str(config), "--from", "2020-01-01", "--to", "2020-01-02")
    assert code == 1
    assert "no rows from 2020-01-01T00:00:00Z" in told
    assert _ready(config) is None


def test_what_influxdb_will_refuse_is_said_before(config: Path) -> None:
    words = ("rebuild", "--config", str(config), "--to", "2027-01-16")
    config.write_text(config.read_text() + "influxdb: {url: 'http://localhost:1', keep_5m_days: 3}\n")
    assert "dead letters" not in _run(*words, "--from", "2d ago")[1]
    told = _run(*words, "--from", "4d ago")[1]
    assert "keeps linkgauge_5m for 3 days" in told
    assert "linkgauge_1h" not in told


def test_what_is_wrong_is_one_sentence(config: Path) -> None:
    with pytest.raises(ConfigError, match="exchange them"):
        _run("rebuild", "--config", str(config), "--from", "1h ago", "--to", "2h ago")
    with pytest.raises(ConfigError, match="j1"):
        _run("rebuild", "--config", str(config), "--from", "1h ago", "--link", "j1-j2")
    (config.parent / "data" / FILE_NAME).unlink()
    with pytest.raises(ConfigError, match="start the collector once"):
        _run("status", "--config", str(config))
