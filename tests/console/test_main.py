"""The command line imports what a command needs when it is called, and no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.main import COMMANDS, app, made
from linkgauge.errors import LinkgaugeError

HEAVY = {
    "duckdb",
    "scipy",
    "fastapi",
    "uvicorn",
    "pydantic",
    "influxdb_client",
    "httpx",
    "scapy",
    "apscheduler",
}
_IMPORTED = """
import importlib, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
print(*sorted(set(sys.argv[1].split(",")) & sys.modules.keys()))
"""


def imported(*modules: str) -> set[str]:
    """What of HEAVY a fresh interpreter has loaded after importing these modules."""
    argv = [sys.executable, "-c", _IMPORTED, ",".join(sorted(HEAVY)), *modules]
    return set(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split())


def test_the_command_line_itself_imports_nothing_heavy() -> None:
    assert imported("console.main") == set()


def test_a_reflector_imports_nothing_heavy() -> None:
    assert imported("console.main", COMMANDS["reflector"][0]) == set()


def test_a_probe_of_one_far_end_imports_nothing_heavy() -> None:
    assert imported("console.main", COMMANDS["probe"][0]) == set()


def test_an_agent_imports_no_database_no_server_and_no_statistics() -> None:
    assert imported("console.main", COMMANDS["agent"][0]) <= {"pydantic", "apscheduler"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_tells_its_help(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert f"Usage: linkgauge {name}" in result.output
    assert made(name).name == name


def test_help_lists_every_command_with_its_line() -> None:
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"}, terminal_width=120)
    assert result.exit_code == 0
    for name, (_, line) in COMMANDS.items():
        assert name in result.output
        assert line.split(",")[0].split()[0] in result.output


def test_a_command_that_is_not_there_is_told_with_what_is_near() -> None:
    result = CliRunner().invoke(app, ["statsu"])
    assert result.exit_code == 2
    assert "No such command 'statsu'" in result.output


@pytest.mark.parametrize(
    "words", [["store", "check"], ["dead-letters", "list"], ["rollup", "status"], ["journal"]]
)
def test_the_collectors_settings_are_looked_for_in_their_usual_place(words: list[str]) -> None:
    usual = Path("/etc/linkgauge/collector.yaml")
    if usual.exists():
        pytest.skip(f"this host has a collector: {usual}")
    with pytest.raises(LinkgaugeError, match=str(usual)):
        CliRunner().invoke(app, words, catch_exceptions=False)
