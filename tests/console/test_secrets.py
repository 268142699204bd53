"""No secret leaves its file, whatever goes wrong: a real collector and agents, everything against them."""

from __future__ import annotations

import json
import os
import secrets
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import yaml

from collector.http.tokens import issue
from console.token import write_secret
from tests.collector.world import until
from tests.ports import own_port

PATIENCE_S = 120.0
INVENTORY = """
version: 1
window_s: 1
period_s: 10
sites: [{{name: s, region: r, operator: o}}]
networks: [{{name: n, kind: private}}]
nodes:
  - {{name: a, site: s, addresses: {{n: 127.0.0.2}}}}
  - {{name: b, site: s, addresses: {{n: 127.0.0.3}}}}
probing:
  stamp: {{port: {stamp}, timeout_s: 0.5, authenticated: true}}
  icmp: null
  path: null
  tcp: {{interval_s: 1, timeout_s: 0.5, port: {tcp}}}
"""


class _Refusing(BaseHTTPRequestHandler):
    """A store, a pager and a peer that know nobody."""

    def _refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(401)
        self.send_header("Content-Length", "28")
        self.end_headers()
        self.wfile.write(b'{"error":"authorization no"}')

    do_GET = do_POST = do_HEAD = _refuse

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def refusing() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class World:
    """Settings of a collector and two agents in `folder`, a secret in every place that can hold one."""

    def __init__(self, folder: Path, stranger: str) -> None:
        self.folder, self.url = folder, f"http://127.0.0.1:{own_port()}"
        self.secrets: dict[str, str] = {}
        ports = {"stamp": own_port(), "tcp": own_port()}
        (folder / "inventory.yaml").write_text(INVENTORY.format(**ports))
        tokens = folder / "tokens.yaml"
        self.secrets["reader"] = issue(tokens, "wall", "reader")
        self.secrets["peer here"] = issue(tokens, "other", "peer")
        for name in ("password", "hook", "peer", "ding-token", "ding-secret", "am-token"):
            self.secrets[name] = secrets.token_urlsafe(24)
            write_secret(folder / name, self.secrets[name])
        self._write(
            "collector.yaml",
            inventory="inventory.yaml", tokens="tokens.yaml", data_dir="collector", read_access="token",
            listen=self.url.removeprefix("http://"), archive={"flush_s": 0.5},
            influxdb={"url": stranger, "user": "writer", "password_file": "password"},
            webhooks=[{"name": "hook", "url": stranger, "token_file": "hook"}],
            receivers=[
                {"name": "ding", "kind": "dingtalk", "url": stranger, "token_file": "ding-token",
                 "secret_file": "ding-secret"},
                {"name": "am", "kind": "alertmanager", "urls": [stranger], "token_file": "am-token"},
            ],
            peer={"url": stranger, "token_file": "peer"},
        )  # fmt: skip
        self._agent("a", issue(tokens, "a"), [stranger, "http://127.0.0.1:9", self.url])
        self._agent("b", secrets.token_urlsafe(32), [self.url])  # a token that nobody issued

    def _agent(self, node: str, token: str, collectors: list[str]) -> None:
        self.secrets[f"token of {node}"] = token
        self.secrets[f"key of {node}"] = secrets.token_hex(32)
        write_secret(self.folder / f"{node}-token", token)
        write_secret(self.folder / f"{node}-keys", f'127.0.0.3: "{self.secrets[f"key of {node}"]}"')
        self._write(
            f"{node}.yaml", node=node, collectors=collectors, token_file=f"{node}-token",
            keys_file=f"{node}-keys", data_dir=f"agent-{node}", plan_refresh_s=1,
        )  # fmt: skip

    def _write(self, name: str, **settings: object) -> None:
        (self.folder / name).write_text(yaml.safe_dump(settings))

    @contextmanager
    def running(self) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
        """All three programs; what they print goes to <name>.log."""
        found: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for name, command in (("collector", "collector"), ("a", "agent"), ("b", "agent")):
                argv = [
                    sys.executable,
                    "-m",
                    "console.main",
                    command,
                    "--config",
                    f"{self.folder}/{name}.yaml",
                ]
                with (self.folder / f"{name}.log").open("wb") as log:
                    found[name] = subprocess.Popen(argv, stdout=log, stderr=log, umask=0o022)
            yield found
        finally:
            for child in found.values():
                child.send_signal(signal.SIGTERM)
            for child in found.values():
                child.wait(PATIENCE_S)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()


def answers(world: World) -> Iterator[str]:
    """What the interface says to everybody who can ask."""
    paths = ("/v1/links", "/v1/agents", "/v1/alerts", "/v1/status", "/v1/plan", "/metrics", "/docs")
    shown = [*world.secrets.values(), "wrong"]
    with httpx.Client(base_url=world.url, timeout=PATIENCE_S) as client:
        for token in shown:
            headers = {"Authorization": f"Bearer {token}"}
            for path in (*paths, "/openapi.json", "/healthz", f"/{token}x"):
                reply = client.get(path, headers=headers)
                yield reply.text.replace(f"/{token}x", "") + str(reply.headers)
            yield client.post("/v1/batches", content=b"garbage", headers=headers).text


def open_to_others(folder: Path) -> list[str]:
    """Files and folders below that others may reach, and what is in the folder itself."""
    return [str(path) for path in folder.rglob("*") if stat.S_IMODE(path.lstat().st_mode) & 0o007]


def everything_happened(world: World) -> Callable[[], bool]:
    def check() -> bool:
        reply = httpx.get(
            f"{world.url}/v1/status",
            headers={"Authorization": f"Bearer {world.secrets['reader']}"},
            timeout=PATIENCE_S,
        )
        status = reply.json()
        troubled = all(status["sinks"][name]["trouble"] for name in ("influxdb", "peer"))
        archived = status["counters"].get("rows_written_total:archive", 0) > 0
        refused = status["counters"]["batches_refused_total:token"] > 0
        return troubled and archived and refused

    return check


def test_secrets_stay_where_they_are(tmp_path: Path) -> None:
    with refusing() as stranger:
        world = World(tmp_path, stranger)
        with world.running() as children:
            until(lambda: "collector_started" in world.log("collector"), PATIENCE_S)
            until(everything_happened(world), PATIENCE_S)
            told = list(answers(world))
            for child in children.values():
                assert child.poll() is None
                told.append(Path(f"/proc/{child.pid}/cmdline").read_text())
            status = subprocess.run(
                [sys.executable, "-m", "console.main", "status", "--collector", world.url, "--json"],
                env={**os.environ, "LINKGAUGE_READ_TOKEN": world.secrets["reader"]},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert json.loads(status.stdout)["troubles"]
            told.append(status.stdout + status.stderr)
    told += [world.log(name) for name in ("collector", "a", "b")]
    whole = "\n".join(told)
    for what, secret in world.secrets.items():
        assert secret not in whole, f"the secret {what!r} was told"
    for name in ("collector", "agent-a", "agent-b"):
        assert any(tmp_path.joinpath(name).rglob("*.sqlite")), "nothing was kept, so nothing was looked at"
        assert open_to_others(tmp_path / name) == []
    assert any((tmp_path / "collector" / "archive").rglob("*.parquet"))


@pytest.mark.parametrize("name", ["collector.yaml", "a.yaml"])
def test_check_config_tells_no_secret(tmp_path: Path, name: str) -> None:
    world = World(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "a-keys").write_text(f"127.0.0.3: {world.secrets['key of a']}zz")
    (tmp_path / "tokens.yaml").write_text(f"agents: {{a: [{world.secrets['token of a']}]}}")
    argv = [sys.executable, "-m", "console.main", "check-config", str(tmp_path / name)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    for what, secret in world.secrets.items():
        assert secret not in done.stdout + done.stderr, f"the secret {what!r} was told"
