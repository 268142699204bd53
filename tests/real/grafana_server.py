"""A real Grafana for tests, that of LINKGAUGE_GRAFANA_HOME, on loopback, with its data in a folder.

The home is what a package of Grafana installs (/usr/share/grafana): bin/grafana, conf, public. Nothing of it
is changed; it asks nobody outside.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

HOME = "LINKGAUGE_GRAFANA_HOME"
ADMIN = ("admin", "of-the-test")
_SETTINGS = {
    "GF_SERVER_HTTP_ADDR": "127.0.0.1",
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_ANALYTICS_FEEDBACK_LINKS_ENABLED": "false",
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
    "GF_PLUGINS_PLUGIN_ADMIN_ENABLED": "false",
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    "GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED": "true",
    "GF_ALERTING_ENABLED": "false",
    "GF_UNIFIED_ALERTING_ENABLED": "true",
    "GF_SECURITY_ADMIN_PASSWORD": ADMIN[1],
}


@dataclass(frozen=True)
class RealGrafana:
    """A running server and a token that may do all."""

    url: str
    token: str

    def get(self, path: str) -> Any:
        """JSON at a path of the API; fails the test on an error."""
        reply = httpx.get(f"{self.url}{path}", auth=ADMIN, timeout=30, trust_env=False)
        assert reply.status_code == 200, (path, reply.status_code, reply.text)
        return reply.json()

    def post(self, path: str, body: Any) -> Any:
        reply = httpx.post(f"{self.url}{path}", json=body, auth=ADMIN, timeout=30, trust_env=False)
        assert reply.status_code // 100 == 2, (path, reply.status_code, reply.text)
        return reply.json()


@contextmanager
def running(folder: Path, provisioning: Path | None = None, **environment: str) -> Iterator[RealGrafana]:
    """Start it with its data in `folder`; skips the test where there is none."""
    home = os.environ.get(HOME)
    if not home:
        pytest.skip(f"needs a Grafana 9.4 or later: set {HOME} to its home, such as /usr/share/grafana")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        **_SETTINGS,
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_PATHS_DATA": str(folder / "data"),
        "GF_PATHS_LOGS": str(folder / "log"),
        "GF_PATHS_PROVISIONING": str(provisioning or folder / "none"),
    }
    log = folder / "grafana.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [Path(home) / "bin/grafana", "server", "--homepath", home],
            env={**os.environ, **settings, **environment}, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        yield _ready(f"http://127.0.0.1:{port}", process, log)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(url: str, process: subprocess.Popen[bytes], log: Path) -> RealGrafana:
    deadline_s = time.monotonic() + 120
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            if httpx.get(f"{url}/api/health", trust_env=False).status_code == 200:
                break
        except httpx.HTTPError:
            time.sleep(0.2)
    else:
        pytest.fail(f"Grafana does not answer: {log.read_text()[-3000:]}")
    made = RealGrafana(url, "")
    name = {"name": f"test-{time.time_ns()}"}
    account = made.post("/api/serviceaccounts", {**name, "role": "Admin"})
    token = made.post(f"/api/serviceaccounts/{account['id']}/tokens", name)["key"]
    return RealGrafana(url, token)
