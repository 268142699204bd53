"""A real InfluxDB 2 for tests, that of LINKGAUGE_INFLUXD2, on loopback, with its data in a folder.

The variable names the program influxd; nothing of another server of this machine is touched.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.influxd import Influxd, wait
from tests.ports import own_port

PROGRAM = "LINKGAUGE_INFLUXD2"
ORG, TOKEN = "noc", "token-of-the-test"


@contextmanager
def running2(folder: Path) -> Iterator[Influxd]:
    """Start one with an organisation and a token that may do all; skips the test where there is none."""
    program = os.environ.get(PROGRAM)
    if not program:
        pytest.skip(f"needs an InfluxDB 2: set {PROGRAM} to its program influxd")
    port = own_port()
    url, log = f"http://127.0.0.1:{port}", folder / "influxd.log"
    argv = [
        program, f"--http-bind-address=127.0.0.1:{port}", f"--bolt-path={folder}/influxd.bolt",
        f"--sqlite-path={folder}/influxd.sqlite", f"--engine-path={folder}/engine", "--reporting-disabled",
        "--log-level=error", "--pprof-disabled",
    ]  # fmt: skip
    with log.open("ab") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out)
    try:
        wait(url, process, log)
        _set_up(url)
        yield Influxd(url, org=ORG, token=TOKEN)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _set_up(url: str) -> None:
    first = {"username": "admin", "password": "of-the-test", "org": ORG, "bucket": "first", "token": TOKEN}
    reply = httpx.post(f"{url}/api/v2/setup", json=first, trust_env=False, timeout=30)
    assert reply.status_code == 201, reply.text


@pytest.fixture(scope="session")
def influxd2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """A server of version 2."""
    with running2(tmp_path_factory.mktemp("influxd2")) as server:
        yield server


@pytest.fixture(scope="session", params=["influxd", "influxd2"])
def either_influxd(request: pytest.FixtureRequest) -> Influxd:
    """A server of version 1, and one of version 2."""
    found: Influxd = request.getfixturevalue(request.param)
    return found
