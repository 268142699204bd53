"""Two real collectors in this process that know each other, and agents that send to both; each may be ended.

Windows last a second, so that a standby takes over within seconds.
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import httpx

from collector.assembly import build
from collector.http.tokens import issue
from collector.plans.plan_book import PlanBook
from collector.service import Collector, listen, make_server
from collector.settings import Settings
from collector.sinks.archive_reader import ArchiveReader
from linkgauge.answer import Answer, Outcome
from linkgauge.clock import SystemClock, window_start
from linkgauge.schema import TABLES
from probes.upload.collector_client import CollectorClient
from probes.upload.http_transport import HttpTransport
from probes.upload.outbox import Outbox, Row
from probes.upload.upload import Uploader
from tests.collector.running import judge
from tests.collector.world import INVENTORY, WINDOW_NS, body, flows, health, throughput, until, windows
from tests.ports import own_port

NODES = ("j1", "j2", "g1")
Key = tuple[str, int]
"""link, start in Unix ns."""


class Station:
    """One collector in `folder`, on a port that stays the same. `more`: further lines of its settings."""

    def __init__(self, folder: Path, more: str = "") -> None:
        folder.mkdir()
        (folder / "inventory.yaml").write_text(INVENTORY.replace("window_s: 10", "window_s: 1"))
        self.folder, self._more = folder, more
        self.address = f"127.0.0.1:{own_port()}"
        self._config(self.address)
        self.running: tuple[Collector, threading.Thread] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def collector(self) -> Collector:
        assert self.running is not None
        return self.running[0]

    def _config(self, address: str) -> None:
        (self.folder / "collector.yaml").write_text(
            f"name: {self.folder.name}\ninventory: inventory.yaml\ndata_dir: data\ntokens: tokens.yaml\n"
            f"listen: {address}\n{self._more}"
        )

    def know(self, peer: Station, standby: bool = False) -> None:
        """Make `peer` the peer; its token file must stand."""
        token = self.folder / "peer.token"
        token.write_text(issue(peer.folder / "tokens.yaml", self.folder.name, "peer"))
        token.chmod(0o600)
        self._more += (
            f"peer: {{url: '{peer.url}', token_file: peer.token}}\nstandby: {str(standby).lower()}\n"
        )
        self._config(self.address)

    def start(self) -> None:
        settings = Settings.load(self.folder / "collector.yaml")
        collector = build(settings, PlanBook(settings.inventory), judge)
        socket = listen(settings)
        self.server = make_server(collector)
        thread = threading.Thread(target=self.server.run, args=([socket],))
        collector.start()
        thread.start()
        until(lambda: self.server.started)
        self.running = collector, thread

    def end(self) -> None:
        """Requests under way are cut. The sinks end before this returns: those of a process that is gone hold
        no archive either."""
        if self.running is None:
            return
        collector, thread = self.running
        self.server.force_exit = self.server.should_exit = True
        thread.join(60)
        collector.stop(drain_s=60)
        assert not any(pump.alive for pump in collector.pumps)
        self.running = None

    def on_duty(self) -> bool:
        told: bool = httpx.get(f"{self.url}/v1/status", timeout=60).json()["on_duty"]
        return told

    def archived(self, table: str) -> Counter[Key]:
        """link and start of every row, copies too."""
        with closing(ArchiveReader(Settings.load(self.folder / "collector.yaml").archive_path)) as archive:
            names = ("agent", "boot", "number", *TABLES[table].keys)
            return Counter((row[names.index("link")], row[-1]) for row in archive.keys(table))


class LosesAnswers:
    """The HTTP transport, of which each `nth` answer gets lost: the batch goes to the other collector too."""

    def __init__(self, inner: HttpTransport, nth: int) -> None:
        self._inner, self._nth, self._sent = inner, nth, 0

    def send(self, row: Row, timeout_s: float) -> Answer:
        answer = self._inner.send(row, timeout_s)
        self._sent += 1
        if answer.outcome is not Outcome.TAKEN or self._sent % self._nth:
            return answer
        for _ in range(2):
            self._inner._route.failed(answer.address, SystemClock().now().mono_ns, 0.0)
        return Answer(Outcome.AGAIN, "the answer got lost", 0.0, answer.address)

    def close(self) -> None:
        self._inner.close()


class Agent:
    """Outbox and uploader of a node; `put` makes a batch with a window of each of its links."""

    def __init__(
        self, node: str, folder: Path, token: str, urls: Sequence[str], links: Sequence[str]
    ) -> None:
        self.node, self._links = node, list(links)
        self.outbox = Outbox(folder / f"{node}.sqlite", 1 << 30, 10**18, keep_free_bytes=0)
        http = HttpTransport(CollectorClient(urls, token), SystemClock(), jitter=lambda: 0.0)
        self.uploader = Uploader(self.outbox, LosesAnswers(http, 13), SystemClock(), jitter=lambda: 0.0)
        self.produced: set[Key] = set()
        self._start_ns = window_start(SystemClock().now().wall_ns, WINDOW_NS) - 1000 * WINDOW_NS
        self.uploader.start()

    def put(self) -> None:
        self._start_ns += WINDOW_NS
        start_ns, first = self._start_ns, self._links[0]
        frames = (
            windows(self._links, start_ns),
            flows(first, start_ns),
            throughput(first, 1e9, start_ns),
            health(self.node, start_ns),
        )
        now_ns = SystemClock().now().wall_ns
        self.outbox.put("boot", lambda number: body(self.node, number, *frames, created_ns=now_ns), 1, now_ns)
        self.produced |= {(link, start_ns) for link in self._links}
        self.uploader.wake()

    def end(self) -> None:
        assert self.uploader.stop(60)
        self.outbox.close()


class Pair:
    """Collectors a and b, and three agents: two prefer a, one prefers b."""

    def __init__(self, folder: Path, more_a: str = "", more_b: str = "") -> None:
        self.a, self.b = Station(folder / "a", more_a), Station(folder / "b", more_b)
        tokens = {node: issue(self.a.folder / "tokens.yaml", node) for node in NODES}
        shutil.copy(self.a.folder / "tokens.yaml", self.b.folder / "tokens.yaml")
        (self.b.folder / "tokens.yaml").chmod(0o600)
        self.a.know(self.b)
        self.b.know(self.a, standby=True)
        specs = PlanBook(self.a.folder / "inventory.yaml").specs()
        urls = [self.a.url, self.b.url]
        self.agents = [
            Agent(
                node,
                folder,
                tokens[node],
                urls if node != "g1" else urls[::-1],
                [str(spec.link) for spec in specs if spec.link.src == node],
            )
            for node in NODES
        ]

    def __enter__(self) -> Pair:
        self.a.start()
        self.b.start()
        return self

    def __exit__(self, *_: object) -> None:
        for agent in self.agents:
            agent.uploader.stop(30)
            agent.outbox.close()
        self.a.end()
        self.b.end()

    @property
    def produced(self) -> set[Key]:
        return set().union(*(agent.produced for agent in self.agents))

    @property
    def tested(self) -> set[Key]:
        """Links and starts of flows and throughput tests."""
        return {key for agent in self.agents for key in agent.produced if key[0] == agent._links[0]}

    def put(self, times: int) -> None:
        for _ in range(times):
            for agent in self.agents:
                agent.put()

    def sent(self) -> bool:
        return all(agent.outbox.counts().waiting == 0 for agent in self.agents)
