"""The uploader against a scripted collector, and over real sockets."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3
from urllib3.exceptions import DecodeError, ProtocolError, TimeoutError

from linkgauge.clock import SystemClock
from linkgauge.packing import unpack
from probes.collector_client import CollectorClient
from probes.outbox import Outbox, State
from probes.upload import HELD_S, Uploader
from tests.probes.fake_clock import T0_NS, FakeClock
from tests.probes.fake_transport import Asked, FakeTransport, response

Reply = Callable[[Asked], urllib3.BaseHTTPResponse]


class Collector:
    """Answers as scripted, then with 200; notes host and body of each request."""

    def __init__(self, *script: int | Exception | urllib3.BaseHTTPResponse) -> None:
        self.script = list(script)
        self.seen: list[tuple[str | None, bytes]] = []

    def __call__(self, asked: Asked) -> urllib3.BaseHTTPResponse:
        self.seen.append((asked.url.host, unpack(asked.body or b"", 1 << 24)))
        assert asked.url.path == "/v1/batches"
        assert asked.headers["Content-Type"] == "application/vnd.linkgauge.batch"
        step = self.script.pop(0) if self.script else 200
        if isinstance(step, Exception):
            raise step
        return response(step, b'{"error": "no good"}') if isinstance(step, int) else step


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path / "outbox.db", 10**6, 10**18, keep_free_bytes=0, clock=FakeClock())
    for _ in range(2):
        put(box)
    yield box
    box.close()


def put(box: Outbox) -> int:
    return box.put("b1", lambda number: b"batch %d" % number, 1, T0_NS)


def uploader(box: Outbox, collector: Reply, *urls: str) -> Uploader:
    client = CollectorClient(urls or ("http://a",), "secret", transport=FakeTransport(collector))
    return Uploader(box, client, FakeClock(), jitter=lambda: 1.0)


def states(box: Outbox) -> list[State]:
    return [state for _, _, _, state in box.ledger()]


def test_oldest_first_until_nothing_waits(box: Outbox) -> None:
    collector = Collector()
    sending = uploader(box, collector)
    assert [sending.attempt() for _ in range(3)] == [0.0, 0.0, None]
    assert collector.seen == [("a", b"batch 1"), ("a", b"batch 2")]
    assert states(box) == [State.ACKNOWLEDGED] * 2


@pytest.mark.parametrize(
    "fault",
    [429, 500, 503, 507, 404, 301, ProtocolError("refused"), TimeoutError("slow"), DecodeError("broken")],
)
def test_a_passing_fault_keeps_the_batch(box: Outbox, fault: int | Exception) -> None:
    sending = uploader(box, Collector(fault))
    assert sending.attempt() == 0.5
    assert states(box) == [State.WAITING] * 2
    assert [sending.attempt() for _ in range(3)] == [0.0, 0.0, None]


def test_backoff_grows_to_its_bound_and_starts_again(box: Outbox) -> None:
    sending = uploader(box, Collector(*[503] * 9, 200, 503))
    assert [sending.attempt() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert [sending.attempt(), sending.attempt()] == [0.0, 0.5]


def test_retry_after_is_honoured(box: Outbox) -> None:
    busy = response(429, headers={"retry-after": "42"})
    assert uploader(box, Collector(busy)).attempt() == 42


def test_the_next_address_is_tried_before_waiting(box: Outbox) -> None:
    collector = Collector(ProtocolError("refused"), 200)
    sending = uploader(box, collector, "http://a", "http://b")
    assert [sending.attempt() for _ in range(4)] == [0.0, 0.0, 0.0, None]
    assert [host for host, _ in collector.seen] == ["a", "b", "b"]


def test_unreachable_and_back_are_each_said_once(box: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "probes.upload")
    sending = uploader(box, Collector(*[ProtocolError("refused")] * 5))
    for _ in range(8):
        sending.attempt()
    assert [record.message for record in caplog.records] == [
        "http://a: collector unreachable (refused), keeps measuring, 2 batches wait",
        "http://a: the collector takes batches again",
    ]


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_token_keeps_everything_and_is_said_once(
    box: Outbox, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    sending = uploader(box, Collector(status, status))
    assert [sending.attempt(), sending.attempt()] == [HELD_S, HELD_S]
    assert states(box) == [State.WAITING] * 2
    (record,) = caplog.records
    assert record.message.startswith(f"http://a: refuses this agent ({status}: no good)")
    assert "linkgauge token" in record.message
    assert "secret" not in caplog.text


@pytest.mark.parametrize("status", [400, 413])
def test_what_is_never_taken_becomes_a_dead_letter(
    box: Outbox, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    sending = uploader(box, Collector(status))
    assert [sending.attempt() for _ in range(3)] == [0.0, 0.0, None]
    assert states(box) == [State.REJECTED, State.ACKNOWLEDGED]
    assert [words for _, words in box.dead_letters()] == ["no good"]
    assert "b1/1" in caplog.text


def test_an_unusable_outbox_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    sending = uploader(Outbox(tmp_path / "file" / "outbox.db", 1, 1), Collector())
    assert [sending.attempt(), sending.attempt()] == [5.0, 5.0]
    assert len(caplog.records) == 1


def test_stop_without_start_and_twice(box: Outbox) -> None:
    sending = uploader(box, Collector())
    assert not sending.stop(0.1)
    assert not sending.stop(0.1)


class Server:
    """A collector on a real socket that answers `status`."""

    def __init__(self) -> None:
        self.status, self.bodies = 200, list[bytes]()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if server.status == 200:
                    server.bodies.append(unpack(body, 1 << 24))
                self.send_response(server.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the test reads `bodies`."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def until(condition: Callable[[], bool], limit_s: float = 10) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


def test_the_thread_sends_what_waits_and_what_comes(box: Outbox, server: Server) -> None:
    sending = Uploader(box, CollectorClient([server.url], "t"), SystemClock())
    sending.start()
    until(lambda: len(server.bodies) == 2)
    put(box)
    sending.wake()
    until(lambda: len(server.bodies) == 3)
    assert sending.stop(5)
    assert server.bodies == [b"batch 1", b"batch 2", b"batch 3"]


def test_stop_flushes_what_waits_in_backoff(box: Outbox, server: Server) -> None:
    server.status = 503
    sending = Uploader(box, CollectorClient([server.url], "t"), SystemClock(), jitter=lambda: 1.0)
    sending.start()
    until(lambda: sending._failures >= 2)
    server.status = 200
    assert sending.stop(5)
    assert server.bodies == [b"batch 1", b"batch 2"]


def test_stop_is_bounded_when_nobody_answers(box: Outbox) -> None:
    sending = Uploader(box, CollectorClient(["http://127.0.0.1:1"], "t"), SystemClock())
    sending.start()
    began = time.monotonic()
    assert not sending.stop(0.3)
    assert time.monotonic() - began < 5
    assert box.counts().waiting == 2
