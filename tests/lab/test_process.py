"""A process mark knows its process and never another of the same pid."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from lab.process import ProcessMark


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_kills_exactly_the_marked_process(sleeper: subprocess.Popen[bytes]) -> None:
    mark = ProcessMark.of(sleeper.pid)
    assert mark is not None
    assert mark.alive()
    mark.kill()
    assert sleeper.wait(60) == -9
    assert not mark.alive()
    mark.kill()  # once more does nothing


def test_a_recycled_pid_is_not_touched(sleeper: subprocess.Popen[bytes]) -> None:
    mark = ProcessMark.of(sleeper.pid)
    assert mark is not None
    earlier = ProcessMark(mark.pid, mark.start_ticks - 1)
    assert not earlier.alive()
    earlier.kill()
    assert mark.alive()


def test_a_zombie_is_gone(sleeper: subprocess.Popen[bytes]) -> None:
    mark = ProcessMark.of(sleeper.pid)
    assert mark is not None
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # ended, not yet reaped
    assert ProcessMark.of(sleeper.pid) is None
    assert not mark.alive()
