"""prepare.sh: each role gets what it uses and no more."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "prepare.sh"
NOBODY = 65534


def prepare(*words: str) -> subprocess.CompletedProcess[str]:
    """As somebody who may install nothing, on a host that has nothing in /bin; so it says what it lacks."""
    return subprocess.run(
        ["/bin/bash", "-s", *words],
        input=SCRIPT.read_text(),
        env={"PATH": "/nowhere"},
        cwd="/",
        user=NOBODY if os.geteuid() == 0 else None,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "lacking"),
    [
        ((), {"iperf3", "influxd", "amtool"}),
        (("agent",), {"iperf3"}),
        (("collector",), set()),
        (("collector", "influxdb"), {"influxd"}),
    ],
)
def test_a_role_gets_what_it_uses(words: tuple[str, ...], lacking: set[str]) -> None:
    done = prepare(*words)
    assert (done.returncode, done.stderr) == (0, "")
    named = {line.split(" is missing")[0] for line in done.stdout.splitlines() if " is missing (" in line}
    assert named - {"nft", "ip", "tc"} == lacking  # they lie in /usr/sbin, which is always searched
    assert (done.stdout == f"nothing is missing for: {' '.join(words)}\n") == (not lacking)
    if words:
        assert named == lacking


def test_a_role_that_is_none_changes_nothing() -> None:
    done = subprocess.run(["bash", SCRIPT, "agnet"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "deploy/prepare.sh agent" in done.stderr
    assert done.stdout == ""
