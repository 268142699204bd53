"""The transports that there are, each held to transport_conformance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from collector.sinks.archive_reader import ArchiveReader
from linkgauge.clock import SystemClock
from linkgauge.errors import StoreError
from probes.upload.collector_client import CollectorClient
from probes.upload.http_transport import HttpTransport
from probes.upload.token import Token
from tests.collector.running import Running
from tests.collector.world import until
from tests.probes.memory_stream import MemoryStream
from tests.probes.transport_conformance import AGENT, TransportConformance, row


class CollectorSide:
    """The real collector's application on a port of its own, and the HTTP transport of j1 to it."""

    def __init__(self, running: Running, folder: Path) -> None:
        self._running, self._file, self._token = running, folder / "token", running.token
        self._file.write_text(self._token)
        self._url = f"http://127.0.0.1:{running.socket.getsockname()[1]}"
        self.token = Token(self._file.read_text, self._file)
        self.client = CollectorClient([self._url], self.token)
        self.transport = HttpTransport(self.client, SystemClock(), jitter=lambda: 0.0)

    def journalled(self) -> list[tuple[str, str, int]]:
        journal = self._running.collector.journal
        until(lambda: journal.backlog("archive")[0] == 0)
        with closing(ArchiveReader(self._running.settings.archive_path)) as archive:
            return sorted((agent, boot, number) for agent, boot, number, *_ in archive.keys("health"))

    def away(self, gone: bool) -> None:
        self.client.urls = ("http://127.0.0.1:1",) if gone else (self._url,)

    def strange(self, token: bool) -> None:
        self._file.write_text("nobody-s" if token else self._token)
        if not token:  # an address that refused a token is left alone for half a minute
            self.transport = HttpTransport(self.client, SystemClock(), jitter=lambda: 0.0)

    def full(self, disk: bool) -> None:
        def fail(*_: object, **__: object) -> bool:
            raise StoreError("journal.sqlite: the disk is full; make room")

        if disk:
            self._running.collector.journal.append = fail  # type: ignore[method-assign]  # else no fault


@pytest.fixture
def collector_side(tmp_path: Path) -> Iterator[CollectorSide]:
    with Running(tmp_path) as running:
        side = CollectorSide(running, tmp_path)
        yield side
        side.transport.close()


class TestHttp(TransportConformance):
    @pytest.fixture
    def side(self, collector_side: CollectorSide) -> CollectorSide:
        return collector_side

    def test_the_token_is_in_no_sentence(self, side: CollectorSide) -> None:
        side.strange(True)
        assert "nobody-s" not in self.send(side, row(1)).sentence


class TestMemory(TransportConformance):
    @pytest.fixture
    def side(self) -> MemoryStream:
        return MemoryStream(AGENT)
