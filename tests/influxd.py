"""A real influxd for tests: configuration, data and loopback ports of its own, ended by its process id.

Use by ``from tests.influxd import influxd`` (and `influxd_with_password`) in a test file or conftest.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from collector.sinks.influx_address import InfluxAddress
from collector.sinks.influx_setup import set_up
from console.demo.influxd import configuration
from tests.ports import own_ports

USER, PASSWORD = "linkgauge", "right-one"
_PATIENT = '[coordinator]\n  write-timeout = "120s"\n'
"""By itself it gives up a write after 10 s, which a starved machine takes."""


@dataclass(frozen=True)
class Influxd:
    """A running server. user and password are None when it asks for none; org and token are of 2 only."""

    url: str
    user: str | None = None
    password: str | None = None
    org: str | None = None
    token: str | None = None

    @property
    def version(self) -> int:
        """The major one."""
        return 2 if self.token else 1

    def address(self, database: str, keep_days: int = 30) -> InfluxAddress:
        """One of its databases, for the collector's own sink and `store setup`."""
        secrets = (None if secret is None else SecretStr(secret) for secret in (self.password, self.token))
        password, token = secrets
        return InfluxAddress(self.url, database, self.user, password, self.org, token, keep_days=keep_days)

    def create(self, database: str) -> None:
        """Make a database (2: bucket) as `store setup` does."""
        set_up([self.address(database)])

    def asked(self, text: str, database: str = "", epoch: str = "ns") -> list[dict[str, Any]]:
        """The result of each InfluxQL statement; fails the test on an error of any."""
        reply = httpx.post(
            f"{self.url}/query",
            params={"db": database, "epoch": epoch},
            data={"q": text},
            auth=(self.user, self.password or "") if self.user else None,
            headers={"Authorization": f"Token {self.token}"} if self.token else {},
            timeout=120,
            trust_env=False,
            verify=False,  # plain HTTP; reading the authorities would cost more than the query
        )
        results: list[dict[str, Any]] = reply.json().get("results", [{"error": reply.text}])
        for result in results:
            assert "error" not in result, (text, result)
        return results

    def query(self, text: str, database: str = "") -> dict[str, Any]:
        """The first result of an InfluxQL statement; fails the test on an error."""
        return self.asked(text, database)[0]

    def values(self, text: str, database: str) -> list[list[Any]]:
        """Rows of every series of the answer."""
        return [row for series in self.query(text, database).get("series", []) for row in series["values"]]


class Server:
    """A server that may be killed and started again: its ports and its data in `folder` stay the same."""

    def __init__(self, folder: Path, auth: bool = False) -> None:
        self._folder, self._auth = folder, auth
        program = shutil.which("influxd")
        if program is None:
            pytest.skip("needs influxd; install it (deploy/prepare.sh does, as root)")
        self._program = program
        http, rpc = own_ports(2)
        self.url = f"http://127.0.0.1:{http}"
        self._config = folder / "influxd.conf"
        self._config.write_text(configuration(folder, http, rpc, auth) + _PATIENT)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; does not wait."""
        with (self._folder / "influxd.log").open("ab") as log:
            argv = [self._program, "-config", str(self._config)]
            self._process = subprocess.Popen(argv, stdout=log, stderr=log)

    def wait(self) -> None:
        """Until it answers; fails the test when it does not."""
        assert self._process is not None
        wait(self.url, self._process, self._folder / "influxd.log")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """In order, else by force."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def running(folder: Path, auth: bool = False) -> Iterator[Influxd]:
    """Start a server with its data in `folder`, wait until it answers, and end it."""
    server = Server(folder, auth)
    server.start()
    try:
        server.wait()
        if auth:
            query = f"CREATE USER {USER} WITH PASSWORD '{PASSWORD}' WITH ALL PRIVILEGES"
            httpx.post(f"{server.url}/query", data={"q": query}, timeout=30).raise_for_status()
        yield Influxd(server.url, USER, PASSWORD) if auth else Influxd(server.url)
    finally:
        server.end()


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """A server that asks for no password."""
    with running(tmp_path_factory.mktemp("influxd")) as server:
        yield server


@pytest.fixture(scope="session")
def influxd_with_password(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """A server that asks for USER and PASSWORD."""
    with running(tmp_path_factory.mktemp("influxd-auth"), auth=True) as server:
        yield server


def wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until a server answers to /ping; fails the test when it does not."""
    deadline_s = time.monotonic() + 120
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/ping").status_code == 204:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    pytest.fail(f"influxd does not answer: {log.read_text()[-2000:]}")
