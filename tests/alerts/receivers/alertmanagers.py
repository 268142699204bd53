"""A real Alertmanager on loopback: Debian's prometheus-alertmanager with a configuration of the test."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.ports import own_port

PROGRAM = shutil.which("prometheus-alertmanager")


class AlertmanagerProcess:
    """One Alertmanager at a port of its own; its state in `folder` outlives a restart."""

    def __init__(self, folder: Path, hook: str, **config: Any) -> None:
        folder.mkdir(exist_ok=True)
        self._folder, self._process = folder, None  # type: tuple[Path, subprocess.Popen[bytes] | None]
        self.port = own_port()
        told = {
            "global": {"resolve_timeout": "2s"},
            "route": {
                "receiver": "hook", "group_by": ["rule"], "group_wait": "100ms", "group_interval": "300ms",
                "repeat_interval": "1h",
            },
            "receivers": [{"name": "hook", "webhook_configs": [{"url": hook, "send_resolved": True}]}],
            **config,
        }  # fmt: skip
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(told))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Ready when this returns."""
        assert PROGRAM is not None
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    PROGRAM,
                    f"--config.file={self._folder}/alertmanager.yml",
                    f"--storage.path={self._folder}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--cluster.listen-address=",
                ],
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                if httpx.get(self.url + "/-/ready", trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline, (self._folder / "log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM, so that it writes its notification log; nothing when it does not run."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def alerts(self) -> dict[str, Any]:
        """What it knows now, by the label `about`."""
        told = httpx.get(self.url + "/api/v2/alerts", trust_env=False, timeout=60).json()
        return {each["labels"]["about"]: each for each in told}

    def noted(self) -> int:
        """Messages that a receiver took, and that it will know of after a restart."""
        text = httpx.get(self.url + "/metrics", trust_env=False, timeout=60).text
        found = re.search(
            r'^alertmanager_notification_latency_seconds_count\{.*"webhook".*\} (\d+)', text, re.M
        )
        return int(found[1]) if found else 0

    def post(self, path: str, body: Any) -> Any:
        reply = httpx.post(self.url + path, json=body, trust_env=False, timeout=60)
        reply.raise_for_status()
        return reply.json()


@contextmanager
def alertmanager(folder: Path, hook: str, **config: Any) -> Iterator[AlertmanagerProcess]:
    """One that runs."""
    made = AlertmanagerProcess(folder, hook, **config)
    made.start()
    try:
        yield made
    finally:
        made.stop()
