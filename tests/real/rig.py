"""A real collector and real agents as processes on loopback, which a test may kill and start again."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from console.agent import sending
from console.demo import files
from console.demo.kept import Kept, count_kept
from console.demo.processes import Child, end, linkgauge, start
from lab.loopback import LoopbackWorld
from lab.places import loopback_topology
from linkgauge.clock import SystemClock
from linkgauge.model import Link
from linkgauge.sqlite_file import look_into
from probes.settings import load
from probes.upload.outbox_file import Totals, totals
from tests.ports import own_port

PORTS = files.Ports(18_720, 18_721, 15_301)
NODES = ("jinan-1", "qingdao-1", "guiyang-1")
PATIENCE_S = 120.0
"""A wait ends as soon as what it is for has come; this is for a machine that has much else to do."""


class Rig:
    """Three of the lab's nodes with windows of one second. Use as a context manager."""

    def __init__(
        self, folder: Path, influxdb: str | None = None, webhook: str = "http://127.0.0.1:9/"
    ) -> None:
        self.folder, self.influxdb, self.webhook = folder, influxdb, webhook
        self.topology = loopback_topology()
        self.api = f"http://127.0.0.1:{own_port()}"
        self.agents: dict[str, Child] = {}
        self.collector: Child | None = None
        self._world = LoopbackWorld(self.topology, folder / "lab", ("guiyang-1", "backbone"), PORTS.stamp)
        self._database = f"rig{secrets.token_hex(4)}"
        self._starts = 0

    def __enter__(self) -> Self:
        self._world.__enter__()
        inventory = files.inventory(self.topology, PORTS)
        inventory["window_s"] = 1
        inventory["nodes"] = [node for node in inventory["nodes"] if node["name"] in NODES]
        self.inventory = files.write_yaml(self.folder / "inventory.yaml", inventory)
        for node in NODES:
            files.write_agent(self.folder, node, self._world, self.api, PORTS)
        config = files.write_collector(
            self.folder, self.inventory, self.webhook, self.influxdb, self._database
        )
        config.write_text(config.read_text() + f"listen: '{self.api.removeprefix('http://')}'\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end([*self.agents.values(), *([self.collector] if self.collector else [])], 60)
        self._world.close()

    def start_collector(self) -> None:
        config = str(self.folder / "collector.yaml")
        self.collector = start(
            "collector", linkgauge("collector", "--config", config), self._log("collector")
        )
        self.wait(lambda: self._status("/healthz") == 200, "the collector's health")

    def start_agent(self, node: str) -> None:
        config = str(self.folder / node / "agent.yaml")
        self.agents[node] = start(node, linkgauge("agent", "--config", config), self._log(node))

    def start_all(self) -> None:
        self.start_collector()
        for node in NODES:
            self.start_agent(node)

    def lose(self, link: Link, ratio: float) -> None:
        """Lose packets of a link to guiyang-1 on the backbone."""
        self._world.inject_loss(link.src, link.dst, link.network, ratio)

    def mend(self) -> None:
        self._world.clear_faults()

    @staticmethod
    def kill(child: Child) -> None:
        """kill -9."""
        os.kill(child.process.pid, signal.SIGKILL)
        child.process.wait()

    def finish(self) -> Kept:
        """End everything in order and count what the stores hold."""
        self.end_all()
        outboxes = {node: self.outbox(node) for node in NODES}
        return count_kept(outboxes, self.archive, self.influxdb, self._database)

    def end_all(self) -> None:
        """End the agents, see to it that the stores have all that they found, end the collector."""
        nodes = list(self.agents)
        faults = end(list(self.agents.values()), PATIENCE_S)
        self.agents = {}
        for node in nodes:
            self._hand_over(node)
        began_s = time.monotonic()
        self.wait(lambda: not self.behind(time.monotonic() - began_s), "the sinks to take everything")
        assert self.collector is not None
        faults += end([self.collector], PATIENCE_S)
        self.collector = None
        assert not faults

    @property
    def archive(self) -> Path:
        return self.folder / "collector" / "archive"

    def outbox(self, node: str) -> Path:
        return self.folder / node / "data" / "outbox.sqlite"

    def ledgers(self) -> dict[str, Totals]:
        """What became of every agent's batches so far, by its outbox."""
        return {node: look_into(self.outbox(node), "the outbox", totals) for node in NODES}

    def wait_for_batches(self, nodes: Sequence[str] = NODES) -> None:
        """Until these agents have put some more into their outboxes."""
        before = self.ledgers()
        self.wait(
            lambda: all(self.ledgers()[node].produced > before[node].produced + 3 for node in nodes),
            f"{', '.join(nodes)} to measure",
        )

    def wait_until_taken(self) -> None:
        """Until the collector has taken something more of every agent."""
        before = self.ledgers()
        self.wait(
            lambda: all(
                told.acknowledged > before[node].acknowledged for node, told in self.ledgers().items()
            ),
            "batches of all agents to be taken",
        )

    def _hand_over(self, node: str) -> None:
        """What an agent left in its outbox because its collector was slow: as its next run would."""
        outbox, uploader = sending(load(self.folder / node / "agent.yaml"), SystemClock())
        if outbox.counts().waiting:
            uploader.start()
        assert uploader.stop(PATIENCE_S), f"{node} cannot hand over what waits"
        outbox.close()

    def get(self, path: str) -> Any:
        return httpx.get(self.api + path, timeout=PATIENCE_S, trust_env=False).json()

    def behind(self, since_s: float) -> list[str]:
        """Sinks that lack a batch older than `since_s`; a collector goes on to report of itself."""
        sinks = self.get("/v1/status")["sinks"]
        return [name for name, sink in sinks.items() if sink["backlog_batches"] and sink["lag_s"] >= since_s]

    def accepted(self) -> int:
        """Links with a packet of a window younger than a minute, as the collector shows them."""
        return len(
            [link for link in self.get("/v1/links") if link["age_s"] is not None and link["age_s"] < 60]
        )

    def wait(self, ready: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not ready():
            assert time.monotonic() < deadline_s, f"waited {PATIENCE_S} s for {what}; logs in {self.folder}"
            time.sleep(0.1)

    def log(self, name: str) -> str:
        """Everything that all runs of a program wrote."""
        return "".join(path.read_text() for path in sorted(self.folder.glob(f"{name}.*.log")))

    def _log(self, name: str) -> Path:
        self._starts += 1
        return self.folder / f"{name}.{self._starts}.log"

    def _status(self, path: str) -> int:
        try:
            return httpx.get(self.api + path, timeout=5, trust_env=False).status_code
        except httpx.TransportError:
            return 0
