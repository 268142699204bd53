"""The units are taken by systemd without a word, and leave a service little that it does not need."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))
COMMAND = "/opt/linkgauge/.venv/bin/linkgauge"
MOST_EXPOSED = 2.5
"""Of 10; systemd's own word for up to 4.9 is "OK", a unit without any hardening has 9.6."""

each_unit = pytest.mark.parametrize("unit", UNITS, ids=[unit.stem for unit in UNITS])
with_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (Debian package systemd)"
)


def _here(unit: Path, folder: Path) -> Path:
    """The unit with a command that this machine has."""
    copy = folder / unit.name
    copy.write_text(unit.read_text().replace(COMMAND, "/bin/true"))
    return copy


def _verified(unit: Path) -> list[str]:
    """What systemd says of this unit, and not of others on the machine."""
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    return [*said, *([f"exit {done.returncode}"] if done.returncode else [])]


def test_there_are_three() -> None:
    assert [unit.stem for unit in UNITS] == ["linkgauge-agent", "linkgauge-collector", "linkgauge-reflector"]


@with_systemd
@each_unit
def test_systemd_takes_it(unit: Path, tmp_path: Path) -> None:
    assert _verified(_here(unit, tmp_path)) == []


@with_systemd
def test_a_key_that_systemd_does_not_know_would_be_seen(tmp_path: Path) -> None:
    unit = _here(UNITS[0], tmp_path)
    unit.write_text(unit.read_text().replace("MemoryMax=", "MemoryMaximum="))
    assert "Unknown key" in _verified(unit)[0]


@with_systemd
@each_unit
def test_it_is_exposed_little(unit: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", _here(unit, tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None
    assert float(found[1]) <= MOST_EXPOSED


@each_unit
def test_it_runs_as_its_own_user_with_bounds(unit: Path) -> None:
    text = unit.read_text()
    for line in ("User=linkgauge", "NoNewPrivileges=yes", "ProtectSystem=strict", "Restart=always"):
        assert f"\n{line}\n" in text
    assert re.search(r"^MemoryMax=\d+[MG]$", text, re.MULTILINE)
    raw = "CAP_NET_RAW" in text
    assert raw == (unit.stem == "linkgauge-agent")
