"""A whole pipeline of real processes that a test may hurt: producers, collectors, one InfluxDB.

Everything is on loopback, in one folder. What was produced is counted from the producers' ledgers, what was
kept from the Parquet files and from InfluxDB itself.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

from collector.http.tokens import issue
from console.demo.kept import Kept, count_kept
from console.demo.processes import Child, end, linkgauge, start
from console.token import write_secret
from linkgauge.errors import StoreError
from linkgauge.sqlite_file import look_into
from probes.upload.outbox_file import totals
from tests.influxd import Server
from tests.ports import own_port

NODES = ("n1", "n2", "n3")
FAR_ENDS = 20
"""Nodes that are measured and do not report: each of NODES has so many links, and two."""
PATIENCE_S = 120.0
"""A wait ends as soon as what it is for has come; this is for a machine that has much else to do."""


class Scene:
    """Use as a context manager. collectors: one, or two that are each other's peers, the second on standby.

    Each has data of its own; both write to one InfluxDB.

    more: settings of every collector beyond those that a test needs.
    """

    def __init__(self, folder: Path, collectors: int = 1, more: dict[str, Any] | None = None) -> None:
        self.folder, self._more = folder, more or {}
        self.database = f"scene{secrets.token_hex(4)}"
        (folder / "influxd").mkdir()
        self.influxd = Server(folder / "influxd")
        self.names = [f"c{at + 1}" for at in range(collectors)]
        self.addresses = {name: f"http://127.0.0.1:{own_port()}" for name in self.names}
        self.collectors: dict[str, Child] = {}
        self.producers: dict[str, Child] = {}
        self._starts = 0
        self._write_settings()

    def __enter__(self) -> Self:
        self.influxd.start()
        self.influxd.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end([*self.producers.values(), *self.collectors.values()], 60)
        self.influxd.end()

    def start_all(self) -> None:
        """Start everything and wait until the collectors answer."""
        for name in self.names:
            self.start_collector(name)
        for name in self.names:
            self.wait_for(name)
        for node in NODES:
            self.start_producer(node)

    def start_collector(self, name: str) -> None:
        config = str(self.folder / name / "collector.yaml")
        self.collectors[name] = start(name, linkgauge("collector", "--config", config), self._log(name))

    def start_producer(self, node: str) -> None:
        argv = [sys.executable, "-m", "tests.faults.producer"]
        argv += [str(self.folder / node / "agent.yaml"), str(self.folder / "inventory.yaml")]
        self.producers[node] = start(node, argv, self._log(node))

    def kill(self, name: str) -> None:
        """kill -9 of a collector, a producer, or "influxd"."""
        if name == "influxd":
            self.influxd.kill()
            return
        child = (self.collectors if name in self.collectors else self.producers)[name]
        os.kill(child.process.pid, signal.SIGKILL)
        child.process.wait()

    def start(self, name: str) -> None:
        """Start again what was killed."""
        if name == "influxd":
            self.influxd.start()
        elif name in self.names:
            self.start_collector(name)
        else:
            self.start_producer(name)

    def finish(self, compact: bool = False) -> list[Kept]:
        """End the producers, let the collectors deliver, end them; counts for each collector's archive.

        compact: put the archive's files together before counting.
        """
        self.influxd.wait()
        faults = self.end_producers()
        self.drain()
        faults += end(list(self.collectors.values()), PATIENCE_S)
        self.collectors = {}
        assert not faults
        for name in self.names if compact else ():
            config = str(self.folder / name / "collector.yaml")
            subprocess.run(
                linkgauge("archive", "compact", "--all", "--config", config), check=True, capture_output=True
            )
        return [
            count_kept(self.outboxes(), self.archive(name), self.influxd.url, self.database)
            for name in self.names
        ]

    def outboxes(self) -> dict[str, Path]:
        return {node: self.folder / node / "data" / "outbox.sqlite" for node in NODES}

    def archive(self, name: str) -> Path:
        return self.folder / name / "data" / "archive"

    def status(self, name: str) -> dict[str, Any]:
        told: dict[str, Any] = httpx.get(
            f"{self.addresses[name]}/v1/status", timeout=PATIENCE_S, trust_env=False
        ).json()
        return told

    def accepted(self, name: str) -> int:
        """Batches that this run of the collector has journalled."""
        return int(self.status(name)["counters"]["batches_accepted_total"])

    def end_producers(self) -> list[str]:
        """End them once they have handed over all that they made; a sentence for each that ended badly.

        One that has only just been started would end without, so each is waited for.
        """
        for name in self.names:
            self.wait_for(name)
        before = {node: self._produced(node) for node in self.producers}
        for node, count in before.items():
            self.wait(lambda node=node, count=count: self._produced(node) > count, f"{node} to run")  # type: ignore[misc]  # mypy does not see the defaults
        faults = end(list(self.producers.values()), 2 * PATIENCE_S)
        self.producers = {}
        return faults

    def _produced(self, node: str) -> int:
        """Batches that all runs of a producer have put into its outbox; it may run meanwhile."""
        try:
            return look_into(self.outboxes()[node], "the outbox", totals).produced
        except StoreError:  # it has not made one yet
            return 0

    def drain(self) -> None:
        """Wait until every store has what the collectors accepted before now."""
        self._drain(lambda sink: sink == "peer", "the peers to have everything")
        self._drain(lambda sink: sink != "peer", "the sinks to take everything")

    def _drain(self, of: Callable[[str], bool], what: str) -> None:
        """Wait until sinks have all that came before now; collectors go on to report of themselves."""
        began_s = time.monotonic()

        def behind() -> list[str]:
            elapsed_s = time.monotonic() - began_s
            return [
                f"{sink} of {name}"
                for name in self.names
                for sink, told in self.status(name)["sinks"].items()
                if of(sink) and told["backlog_batches"] and told["lag_s"] >= elapsed_s
            ]

        self.wait(lambda: not behind(), what)

    def wait_for(self, name: str) -> None:
        self.wait(lambda: self._answers(name), f"{name} to answer")

    def wait(self, ready: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not ready():
            assert time.monotonic() < deadline_s, f"waited {PATIENCE_S} s for {what}; logs in {self.folder}"
            time.sleep(0.1)

    def log(self, name: str) -> str:
        """Everything that all runs of a program wrote."""
        return "".join(path.read_text() for path in sorted(self.folder.glob(f"{name}.*.log")))

    def _home(self, name: str) -> Path:
        (self.folder / name).mkdir(exist_ok=True)
        return self.folder / name

    def _answers(self, name: str) -> bool:
        try:
            return httpx.get(f"{self.addresses[name]}/healthz", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _log(self, name: str) -> Path:
        self._starts += 1
        return self.folder / f"{name}.{self._starts:05d}.log"

    def _write_settings(self) -> None:
        everybody = [*NODES, *(f"far{at}" for at in range(FAR_ENDS))]
        addresses = {node: {"net": f"127.0.7.{at + 1}"} for at, node in enumerate(everybody)}
        _write(self.folder / "inventory.yaml", _inventory(addresses))
        tokens = self.folder / "tokens.yaml"
        for name in self.names:
            peers = [other for other in self.names if other != name]
            if peers:
                write_secret(self._home(name) / "peer-token", issue(tokens, name, "peer"))
            _write(
                self._home(name) / "collector.yaml",
                {
                    "inventory": str(self.folder / "inventory.yaml"),
                    "tokens": str(tokens),
                    "data_dir": "data",
                    "name": name,
                    "listen": self.addresses[name].removeprefix("http://"),
                    "archive": {"flush_s": 1},
                    "influxdb": {"url": self.influxd.url, "database": self.database},
                    **(
                        {"peer": {"url": self.addresses[peers[0]], "token_file": "peer-token"}}
                        if peers
                        else {}
                    ),
                    **({"standby": True} if name != self.names[0] else {}),
                    **self._more,
                },
            )
        for node in NODES:
            settings = {
                "collectors": list(self.addresses.values()),
                "token_file": "token",
                "data_dir": "data",
            }
            _write(self.folder / node / "agent.yaml", {"node": node, **settings})
            write_secret(self.folder / node / "token", issue(tokens, node))


def all_kept(found: Sequence[Kept]) -> None:
    """Every window that was produced is in every store once. Raises AssertionError."""
    for kept in found:
        assert kept.windows_produced > 0
        assert (kept.missing, kept.duplicates) == (0, 0), kept
        assert kept.windows_produced == kept.windows_in_archive == kept.points_in_influxdb


def _inventory(addresses: dict[str, dict[str, str]]) -> dict[str, Any]:
    return {
        "version": 1,
        "window_s": 1,
        "period_s": 30,
        "sites": [{"name": "here", "region": "one", "operator": "op"}],
        "networks": [{"name": "net", "kind": "backbone"}],
        "nodes": [{"name": node, "site": "here", "addresses": own} for node, own in addresses.items()],
        "probing": {"throughput": None, "path": None, "icmp": None, "tcp": None},
    }


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
