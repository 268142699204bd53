"""A collector that runs in this process on a free port, for tests of its interface."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from collector.http.tokens import issue
from collector.live.recent import Past
from collector.plans.plan_book import PATIENCE_S, PlanBook
from collector.service import build, listen, make_server
from collector.settings import Settings
from linkgauge.clock import SystemClock, window_start
from linkgauge.frame import Frame
from linkgauge.model import LinkSpec
from linkgauge.schema import STATE
from linkgauge.wire import CONTENT_TYPE
from tests.collector.world import INVENTORY, WINDOW_NS, body, health, until, windows, write_inventory

LINKS = ["j1>j2@backbone", "j1>g1@backbone", "j1>g1@private"]


def now_ns() -> int:
    return SystemClock().now().wall_ns


def judge(_past: Past, specs: Sequence[LinkSpec], start_ns: int) -> Frame:
    count = len(specs)
    columns = {"link": [str(spec.link) for spec in specs], "start_ns": [start_ns] * count}
    return Frame.of(STATE, {**columns, "length_ns": [WINDOW_NS] * count, "verdict": [1] * count})


def settings_in(folder: Path, more: str = "", inventory: str = INVENTORY) -> Settings:
    write_inventory(folder, inventory)
    path = folder / "collector.yaml"
    path.write_text(
        "inventory: inventory.yaml\ndata_dir: data\ntokens: tokens.yaml\nlisten: 127.0.0.1:0\n"
        "archive: {flush_s: 0.2}\nmax_body_bytes: 200000\n" + more
    )
    return Settings.load(path)


class Running:
    """A collector that answers on a free port, and the token of j1."""

    def __init__(
        self, folder: Path, more: str = "", patience_s: float = PATIENCE_S, inventory: str = INVENTORY
    ) -> None:
        self.settings = settings_in(folder, more, inventory)
        self.pasts: list[Past] = []
        """What the judge was given, at start and since."""
        self.token = issue(self.settings.tokens, "j1")
        book = PlanBook(self.settings.inventory, patience_s=patience_s)
        self.collector = build(self.settings, book, self._judge, remember=self.pasts.append)
        self.socket = listen(self.settings)
        self.server = make_server(self.collector)
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],))
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.socket.getsockname()[1]}", timeout=60)

    def _judge(self, past: Past, specs: Sequence[LinkSpec], start_ns: int) -> Frame:
        self.pasts.append(past)
        return judge(past, specs, start_ns)

    def __enter__(self) -> Running:
        self.collector.start()
        self.thread.start()
        until(lambda: self.server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.server.should_exit = True
        self.thread.join(60)
        self.collector.stop(drain_s=60)
        self.socket.close()

    def post(self, data: bytes, token: str | None = None, **headers: str) -> httpx.Response:
        given = {"Authorization": f"Bearer {token or self.token}", "Content-Type": CONTENT_TYPE, **headers}
        return self.client.post("/v1/batches", content=data, headers=given)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running(tmp_path) as made:
        yield made


def report(number: int, start_ns: int | None = None, boot: str = "boot1") -> bytes:
    start = start_ns or window_start(now_ns(), WINDOW_NS) - WINDOW_NS
    return body("j1", number, windows(LINKS, start), health("j1", start), created_ns=now_ns(), boot=boot)
