"""InfluxDB 1.8 and later through influxdb-client, against a small server that answers like them."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from collector.journal import Journal
from collector.metrics import Metrics
from collector.sinks.dead_letters import DeadLetters
from collector.sinks.influx import InfluxSink
from collector.sinks.influx_transport import (
    ClientTransport,
    InfluxAddress,
    connect,
)
from collector.sinks.pump import Pump
from collector.sinks.sink import RowsRejected
from linkgauge.errors import SinkBusy, SinkHeld
from tests.collector.sinks.test_influx import RECENT_NS, delivery_of, links_of, tags_of
from tests.collector.world import StillClock, body, health, until, windows


class Later(BaseHTTPRequestHandler):
    """Answers /ping, /query, /write and /api/v2/write; what came is kept in `got`."""

    version: ClassVar[str] = "2.7.1"
    answers: ClassVar[list[tuple[int, str]]] = []
    got: ClassVar[list[tuple[dict[str, list[str]], str, str]]] = []

    def do_GET(self) -> None:
        self._answer(204, "")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = urlsplit(self.path)
        if parts.path == "/query":
            self._answer(200, '{"results":[{"statement_id":0}]}')
            return
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        assert parts.path in ("/api/v2/write", "/write")
        self.got.append((parse_qs(parts.query), self.headers["Authorization"], body.decode()))
        self._answer(*(self.answers.pop(0) if self.answers else (204, "")))

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("X-Influxdb-Version", self.version)
        if status == 503:
            self.send_header("Retry-After", "4")
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def _later(version: str, answers: Sequence[tuple[int, str]] = ()) -> Iterator[tuple[str, type[Later]]]:
    handler = type("Handler", (Later,), {"version": version, "answers": list(answers), "got": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("version", "bucket", "authorization"),
    [
        ("1.8.10", "linkgauge/autogen", "Token me:hush"),
        ("v2.7.1", "linkgauge", "Token a-token"),
    ],
)
def test_later_servers_get_lines_through_the_client(version: str, bucket: str, authorization: str) -> None:
    with _later(version) as (url, handler):
        address = InfluxAddress(
            url, user="me", password=SecretStr("hush"), token=SecretStr("a-token"), org="ours"
        )
        sink = InfluxSink(lambda: connect(address), tags_of)
        sink.write([delivery_of(windows(links_of(2), RECENT_NS))])
        assert isinstance(sink._transport, ClientTransport)
        sink.close()
    ((query, sent_as, body),) = handler.got
    assert query == {"org": ["ours"], "bucket": [bucket], "precision": ["ns"]}
    assert sent_as == authorization
    assert len(body.split("\n")) == 4
    assert body.startswith("link_loss,link=j1>h0@n,src=j1,network=n,probe=stamp,class=0 sent=100i")


@pytest.mark.parametrize(
    ("status", "kind"), [(401, SinkHeld), (404, SinkHeld), (429, SinkBusy), (503, SinkBusy), (500, SinkBusy)]
)
def test_the_clients_errors_are_ours(status: int, kind: type[Exception]) -> None:
    with _later("2.7.1", [(status, json.dumps({"code": "x", "message": "the words"}))]) as (url, handler):
        sink = InfluxSink(lambda: connect(InfluxAddress(url, token=SecretStr("t"))), tags_of)
        with pytest.raises(kind, match="the words") as caught:
            sink.write([delivery_of(health("j1", RECENT_NS))])
        if status == 503:
            assert getattr(caught.value, "retry_after_s", None) == 4
        sink.write([delivery_of(health("j1", RECENT_NS))])
        sink.close()
    assert len(handler.got) == 2


@pytest.mark.parametrize("version", ["1.7.9", "1.8.10", "2.7.1"])
def test_a_server_whose_disk_is_full_gets_everything_once_there_is_room(version: str, tmp_path: Path) -> None:
    words = "engine: write /var/lib/influxdb/wal/_00001.wal: no space left on device"
    full = (500, json.dumps({"code": "internal error", "message": words, "error": words}))
    journal, dead = Journal(tmp_path / "journal.sqlite", 10**9, 10**9), tmp_path / "dead.jsonl"
    journal.register(["influxdb"])
    with _later(version, [full, full]) as (url, handler):
        sink = InfluxSink(lambda: connect(InfluxAddress(url, token=SecretStr("t"))), tags_of)
        pump = Pump(sink, journal, DeadLetters(dead), StillClock(), Metrics())
        for number in (1, 2):
            journal.append("j1", "b", number, 1, 1, body("j1", number, health("j1", RECENT_NS + number)))
            assert pump.step() > 0
            assert words in (pump.trouble or "")
            assert journal.backlog("influxdb")[0] == number
        until(lambda: pump.step() > 0 and pump.trouble is None)
        sink.close()
    stored = "\n".join(lines for _, _, lines in handler.got[2:]).split("\n")
    assert [line.rpartition(" ")[2] for line in stored] == [str(RECENT_NS + 1), str(RECENT_NS + 2)]
    assert (journal.cursor("influxdb"), dead.exists()) == (2, False)
    journal.close()


def test_a_bad_line_is_found_by_halving_also_through_the_client() -> None:
    refused = json.dumps({"code": "invalid", "message": "unable to parse"})
    with _later("2.7.1", [(400, refused), (400, refused), (400, refused)]) as (url, _):
        sink = InfluxSink(lambda: connect(InfluxAddress(url, token=SecretStr("t"))), tags_of)
        with pytest.raises(RowsRejected) as caught:
            sink.write([delivery_of(windows(links_of(2), RECENT_NS))])
        sink.close()
    assert caught.value.rows == 1


def test_a_server_that_vanishes_is_busy() -> None:
    with _later("2.7.1") as (url, _):
        transport = connect(InfluxAddress(url, token=SecretStr("t")))
    with pytest.raises(SinkBusy, match="cannot be reached"):
        transport.write(b"m f=1 1")
    transport.close()


def test_something_that_is_no_influxdb_holds() -> None:
    with _later("nginx") as (url, _), pytest.raises(SinkHeld, match=r"correct influxdb\.url"):
        connect(InfluxAddress(url))
