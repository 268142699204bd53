"""`linkgauge dead-letters`: lists, marks and forgets, also beside a collector that runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from collector.sinks.dead_letters import FILE_NAME, DeadLetters, Kind, Letter
from console.main import app
from linkgauge.clock import window_start
from linkgauge.errors import ConfigError
from tests.collector.running import Running, now_ns, settings_in
from tests.collector.sinks.later_influx import later
from tests.collector.world import WINDOW_NS, body, health, until


def _run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["dead-letters", *words, "--config", str(folder / "collector.yaml")])


def _told(folder: Path, *words: str) -> Any:
    result = _run(folder, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _letters(folder: Path) -> None:
    settings = settings_in(folder)
    settings.data_dir.mkdir()
    dead = DeadLetters(settings.data_dir / FILE_NAME)
    dead.keep(1_800_000_000 * 10**9, "influxdb", [Letter(b"m f=1.0 1", "too old"), Letter(b"a\nb", "one of")])
    dead.keep(1, "archive", [Letter(b"\x00", "cannot be read", Kind.BATCH, "j1", "b", 7)])
    dead.close()


def test_the_list_says_when_what_and_why(tmp_path: Path) -> None:
    _letters(tmp_path)
    text = _run(tmp_path, "list").stdout
    assert "1 2027-01-15T08:00:00Z influxdb: too old\n    m f=1.0 1\n" in text
    assert "a and 1 more lines" in text
    assert "batch 7 of j1, boot b, 1 octets" in text
    assert "3 dead letters" in text
    told = _told(tmp_path, "list", "--sink", "influxdb", "--after", "1")
    assert [each["lines"] for each in told["letters"]] == [["a", "b"]]
    batch = _told(tmp_path, "list", "--sink", "archive")["letters"][0]
    assert (batch["agent"], batch["batch"], batch["body_base64"]) == ("j1", 7, "AA==")


def test_marks_and_forgets_what_was_named(tmp_path: Path) -> None:
    _letters(tmp_path)
    assert _told(tmp_path, "replay", "1") == {"marked": 1}
    assert "(to be replayed)" in _run(tmp_path, "list").stdout
    assert _told(tmp_path, "replay", "--all") == {"marked": 2}
    assert _told(tmp_path, "forget", "--sink", "archive") == {"forgotten": 1}
    assert _told(tmp_path, "forget", "2", "99") == {"forgotten": 1}
    assert [each["number"] for each in _told(tmp_path, "list")["letters"]] == [1]
    assert isinstance(_run(tmp_path, "forget").exception, ConfigError)


def test_letters_that_are_not_there_are_no_success(tmp_path: Path) -> None:
    _letters(tmp_path)
    for command in ("replay", "forget"):
        result = _run(tmp_path, command, "77")
        assert (result.exit_code, result.stdout[:1]) == (1, "0")
    assert _told(tmp_path, "forget", "--all") == {"forgotten": 3}
    assert _told(tmp_path, "forget", "--all") == {"forgotten": 0}


@pytest.mark.parametrize(
    "words",
    [("replay", str(1 << 63)), ("forget", "0"), ("list", "--after", "9" * 23), ("list", "--limit", "9" * 23)],
)
def test_a_number_that_no_letter_can_have_is_a_sentence(tmp_path: Path, words: tuple[str, ...]) -> None:
    _letters(tmp_path)
    result = _run(tmp_path, *words)
    assert result.exit_code == 2
    assert "Input should be" in result.output


def test_without_a_collectors_file_it_is_a_sentence(tmp_path: Path) -> None:
    settings_in(tmp_path)
    assert "no collector with these settings has run" in str(_run(tmp_path, "list").exception)


def test_a_running_collector_takes_up_what_was_marked(tmp_path: Path) -> None:
    """Lines that the server refused are refused once more with its new words, then taken."""
    with later("1.8.10") as world:
        world.refuses = ("agent_health", "unable to understand")
        more = f'influxdb: {{url: "{world.url}", rollups: false}}\n'
        with Running(tmp_path, more) as running:
            start_ns = window_start(now_ns(), WINDOW_NS) - WINDOW_NS
            data = body("j1", 1, health("j1", start_ns), created_ns=now_ns())
            assert running.post(data).status_code < 300
            until(lambda: [each["why"] for each in _listed(tmp_path)] == ["unable to understand"])
            world.refuses = ("agent_health", "not yet")
            assert _told(tmp_path, "replay", "--all") == {"marked": 1}
            until(lambda: [each["why"] for each in _listed(tmp_path)] == ["not yet"])
            world.refuses = ("", "")
            assert _told(tmp_path, "replay", "--sink", "influxdb") == {"marked": 1}
            until(lambda: not _listed(tmp_path))
    lines = [line for *_, text in world.writes for line in text.split("\n")]
    ours = [line for line in lines if line.startswith("agent_health,agent=j1")]
    assert len(ours) >= 3
    assert len(set(ours)) == 1


def _listed(folder: Path) -> list[dict[str, Any]]:
    letters: list[dict[str, Any]] = _told(folder, "list")["letters"]
    return letters
