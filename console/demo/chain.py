"""The demo's chain of real processes: lab, InfluxDB, collector, agents, pager; and the fault half-way."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from rich.console import Console
from rich.live import Live

from console.demo import files
from console.demo.influxd import start_influxd
from console.demo.processes import Child, check, end, linkgauge, start
from console.demo.view import page_line, screen
from console.demo.webhook import Pager
from console.interrupt import uninterrupted
from console.single import is_held
from lab.loopback import LoopbackWorld
from lab.places import demo_topology, loopback_topology
from lab.topology import Topology
from lab.world import NamespaceWorld, World
from linkgauge.errors import LinkgaugeError
from linkgauge.model import Link

FAULT_RATIO = 0.2
_READY_WITHIN_S = 30.0
_DRAINED_WITHIN_S = 30.0
_COLLECTOR_PORT = 8440
FAULT_AT, MEND_AT = 0.2, 0.55
"""Shares of the run after which the fault comes and goes; an alert is over only after six clear windows."""
_ENDLESS_S = 100.0
"""What these are shares of in a run that Ctrl-C ends."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What may differ from the demo's own. topology: None: the demo's. shaped: see NamespaceWorld. adjust:
    changes the inventory before it is written."""

    topology: Topology | None = None
    shaped: bool = False
    influxdb: bool = True
    adjust: Callable[[dict[str, Any]], None] = lambda _: None


class Chain:
    """A context manager: whatever was started is ended and taken down at its exit, also after a failure."""

    def __init__(self, folder: Path, loopback: bool, setting: Setting | None = None) -> None:
        self.folder = folder.resolve()
        self.run_folder = self.folder / "run"
        self.loopback = loopback
        self._setting = setting or Setting()
        own = loopback_topology() if loopback else demo_topology()
        self.topology: Topology = self._setting.topology or own
        self.fault_link = files.fault_link(self.topology)
        self.pager = Pager()
        self.influxdb: str | None = None
        self.api = ""
        self.injected_ns: int | None = None
        self.cleared_ns: int | None = None
        self.ended_ns = 0
        self.faults: list[str] = []
        """Sentences about what went wrong while running."""
        self._world: NamespaceWorld | LoopbackWorld | None = None
        self._influxd: Child | None = None
        self._collector: Child | None = None
        self._agents: list[Child] = []
        self._http = httpx.Client(timeout=5, trust_env=False)

    def __enter__(self) -> Self:
        for lock in self.run_folder.rglob("lock*"):
            if is_held(lock.parent, "agent" if lock.name == "lock.agent" else "collector"):
                raise LinkgaugeError(
                    f"{lock.parent}: a program of an earlier run still works there; end it, or use --folder"
                )
        shutil.rmtree(self.run_folder, ignore_errors=True)
        self.run_folder.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with uninterrupted():
            end(self._agents, 5)
            end([child for child in (self._collector, self._influxd) if child is not None], 5)
            if self._world is not None:
                self._world.close()
            self.pager.stop()
            self._http.close()

    @property
    def links(self) -> list[Link]:
        return [Link(*link) for link in self.topology.links()]

    @property
    def archive(self) -> Path:
        return self.run_folder / "collector" / "archive"

    @property
    def inventory(self) -> Path:
        return self.run_folder / "inventory.yaml"

    @property
    def outboxes(self) -> dict[str, Path]:
        """Agent -> its outbox file."""
        return {
            node.name: self.run_folder / node.name / "data" / "outbox.sqlite" for node in self.topology.nodes
        }

    def truth_us(self) -> dict[str, int]:
        """Link -> true one-way delay."""
        world = self._world
        if world is None:
            return {}
        return {str(link): world.true_delay_us(link.src, link.dst, link.network) for link in self.links}

    def start(self, console: Console) -> None:
        """Build the lab and start every process."""
        began_s = time.monotonic()
        self.pager.start()
        world = self._enter_world()
        console.print(f"lab: {len(self.topology.nodes)} nodes, {len(self.links)} links, {self._kind(world)}")
        started = start_influxd(self.run_folder / "influxdb") if self._setting.influxdb else None
        if started is not None:
            self._influxd, self.influxdb = started
            console.print(f"InfluxDB: {self.influxdb}")
        ports = files.LOOPBACK_PORTS if self.loopback else files.NAMESPACE_PORTS
        inventory = files.inventory(self.topology, ports)
        self._setting.adjust(inventory)
        files.write_yaml(self.inventory, inventory)
        configs = self._write_agents(world, ports)
        self._start_collector(world)
        console.print(f"collector: {self.api} (API at {self.api}/docs)")
        for node, config in configs.items():
            argv = world.command(node, linkgauge("agent", "--config", str(config)))
            self._agents.append(start(f"agent {node}", argv, self.run_folder / node / "agent.log"))
        console.print(f"{len(self._agents)} agents started after {time.monotonic() - began_s:.1f} s")

    def measure(self, seconds: float | None, console: Console) -> None:
        """Show what is measured until the time is over; the fault comes at FAULT_AT and goes at MEND_AT."""
        began_s = time.monotonic()
        shown = 0
        with Live(console=console, auto_refresh=False, transient=False) as live:
            while seconds is None or time.monotonic() - began_s < seconds:
                elapsed_s = time.monotonic() - began_s
                self._drive_fault(elapsed_s / (seconds or _ENDLESS_S))
                self.check()
                pages = self.pager.pages
                if console.is_terminal:
                    title = self._title(elapsed_s, seconds)
                    live.update(screen(title, self.live_links(), self.truth_us(), pages), refresh=True)
                else:
                    for page in pages[shown:]:
                        console.print(f"{elapsed_s:5.0f} s  {page_line(page)}")
                    shown = len(pages)
                time.sleep(0.5)

    def check(self) -> None:
        """Raise LinkgaugeError when a program has ended on its own."""
        check([*self._agents, *(c for c in (self._collector, self._influxd) if c is not None)])

    @property
    def world(self) -> NamespaceWorld | LoopbackWorld:
        """The lab, once it is built."""
        assert self._world is not None
        return self._world

    def finish(self, console: Console) -> None:
        """End in order: agents hand over what they have, the collector's sinks take it, then all may go."""
        if self._world is not None and self.injected_ns is not None and self.cleared_ns is None:
            self._clear_fault()
        self.ended_ns = time.time_ns()
        console.print("ending the agents and waiting until the stores have everything")
        self.faults += end(self._agents)
        self._agents = []
        if self._collector is not None:
            self._wait_drained()
            self.faults += end([self._collector])
            self._collector = None

    def _enter_world(self) -> World:
        state = self.folder / "lab"
        if self.loopback:
            fronted = (self.fault_link.dst, self.fault_link.network)
            loopback = LoopbackWorld(self.topology, state, fronted, files.LOOPBACK_PORTS.stamp)
            self._world = loopback
            return loopback.__enter__()
        namespaces = NamespaceWorld(self.topology, state, self._setting.shaped)
        self._world = namespaces
        return namespaces.__enter__()

    def _kind(self, world: World) -> str:
        if self.loopback:
            return "on loopback addresses"
        return f"network namespaces, delayed by {world.describe()['wires'].get('kind', 'wires')}"

    def _write_agents(self, world: World, ports: files.Ports) -> dict[str, Path]:
        self._center = world.listen_in_center(0)
        host, port = self._center.getsockname()[:2]
        url = f"http://{host}:{port}"
        return {
            node.name: files.write_agent(self.run_folder, node.name, world, url, ports)
            for node in self.topology.nodes
        }

    def _start_collector(self, world: World) -> None:
        local = _listen_on_host()
        self.api = f"http://127.0.0.1:{local.getsockname()[1]}"
        config = files.write_collector(self.run_folder, self.inventory, self.pager.url, self.influxdb)
        argv = linkgauge("collector", "--config", str(config))
        log = self.run_folder / "collector.log"
        self._collector = start("collector", argv, log, [local, self._center])
        local.close()
        self._center.close()
        deadline_s = time.monotonic() + _READY_WITHIN_S
        while not self._healthy():
            check([self._collector])
            if time.monotonic() > deadline_s:
                raise LinkgaugeError(f"the collector is not ready after {_READY_WITHIN_S:.0f} s; see {log}")
            time.sleep(0.05)

    def _healthy(self) -> bool:
        try:
            return self._http.get(f"{self.api}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def _drive_fault(self, passed: float) -> None:
        """passed: share of the run."""
        if self.injected_ns is None and passed >= FAULT_AT:
            assert self._world is not None
            link = self.fault_link
            self._world.inject_loss(link.src, link.dst, link.network, FAULT_RATIO)
            self.injected_ns = time.time_ns()
        if self.injected_ns is not None and self.cleared_ns is None and passed >= MEND_AT:
            self._clear_fault()

    def _clear_fault(self) -> None:
        assert self._world is not None
        self._world.clear_faults()
        self.cleared_ns = time.time_ns()

    def _title(self, elapsed_s: float, seconds: float | None) -> str:
        left = "Ctrl-C ends it" if seconds is None else f"of {seconds:.0f} s"
        fault = "no fault yet"
        if self.injected_ns is not None:
            state = "removed" if self.cleared_ns is not None else "AT WORK"
            fault = f"fault {state}: {FAULT_RATIO:.0%} of packets lost on {self.fault_link} forward"
        return f"{elapsed_s:4.0f} s {left}   {fault}   API {self.api}"

    def live_links(self) -> list[dict[str, Any]]:
        try:
            links: list[dict[str, Any]] = self._http.get(f"{self.api}/v1/links").json()
        except httpx.HTTPError:
            return []
        return links

    def _wait_drained(self) -> None:
        deadline_s = time.monotonic() + _DRAINED_WITHIN_S
        while self._backlog() and time.monotonic() < deadline_s:
            time.sleep(0.2)

    def _backlog(self) -> int:
        """Batches that some sink has not taken yet."""
        try:
            sinks = self._http.get(f"{self.api}/v1/status").json()["sinks"]
        except httpx.HTTPError:
            return 0
        return sum(int(sink["backlog_batches"]) for sink in sinks.values())


def _listen_on_host() -> socket.socket:
    """The API's port on this host: the usual one when it is free, else any."""
    try:
        return socket.create_server(("127.0.0.1", _COLLECTOR_PORT))
    except OSError:
        return socket.create_server(("127.0.0.1", 0))
