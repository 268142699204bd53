"""The demo's own InfluxDB: Debian's influxd on loopback with a data folder of its own."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import httpx

from console.demo.processes import Child, check, free_port, start

_START_WITHIN_S = 30.0


def configuration(folder: Path, port: int, rpc_port: int, auth: bool = False) -> str:
    """influxdb.conf (TOML) of a 1.x server that writes below `folder` and listens on loopback only.

    auth: it asks for a password.
    """
    return f"""\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  auth-enabled = {str(auth).lower()}
  log-enabled = false
[monitor]
  store-enabled = false
"""


def start_influxd(folder: Path) -> tuple[Child, str] | None:
    """Start it and wait until it answers; returns the child and its address, None when not installed."""
    program = shutil.which("influxd")
    if program is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = folder / "influxdb.conf"
    config.write_text(configuration(folder, port, free_port()))
    child = start("InfluxDB", [program, "-config", str(config)], folder / "influxd.log")
    url = f"http://127.0.0.1:{port}"
    deadline_s = time.monotonic() + _START_WITHIN_S
    while True:
        check([child])
        try:
            if httpx.get(f"{url}/ping", trust_env=False).status_code == 204:
                return child, url
        except httpx.TransportError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
