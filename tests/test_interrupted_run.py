"""A run of the tests that is ended by SIGTERM takes down what its fixtures made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_CONFTEST = "from tests.conftest import pytest_configure\n__all__ = ['pytest_configure']\n"
_TEST = """
import signal
import sys
import pytest

@pytest.fixture
def made():
    yield
    print("taken down", file=sys.__stdout__, flush=True)

def test_that_lasts(made):
    print("runs", file=sys.__stdout__, flush=True)
    signal.pause()
"""


def test_sigterm_ends_a_run_in_order(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    (tmp_path / "test_it.py").write_text(_TEST)
    command = [sys.executable, "-m", "pytest", "-s", "-q", "-p", "no:cacheprovider"]
    command += ["--rootdir", str(tmp_path), "-c", os.devnull, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as run:
        assert run.stdout is not None
        next(line for line in run.stdout if line.strip() == "runs")
        run.terminate()
        rest = run.stdout.read()
        assert run.wait(60) != 0
    assert "taken down" in rest
