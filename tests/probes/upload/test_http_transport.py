"""Which collector is asked, in which order, and what counts as taken."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3
from urllib3.exceptions import DecodeError, ProtocolError

from linkgauge.answer import Answer, Outcome
from linkgauge.clock import NS_PER_S, SystemClock
from linkgauge.packing import pack
from probes.upload.collector_client import CollectorClient
from probes.upload.http_transport import HELD_S, HttpTransport
from probes.upload.outbox import Row
from probes.upload.token import Token
from tests.probes.fake_clock import T0_NS, FakeClock
from tests.probes.fake_pool import Asked, FakePool, response

S = NS_PER_S
BODY = pack(b"a batch")
ROW = Row(1, "b1", 1, T0_NS, BODY, 1)
NO = ProtocolError("refused")
TAKES, BUSY = (200, b'{"duplicate": false}'), (503, b'{"reason": "busy", "error": "too much"}')
NOBODY_S = (401, b'{"reason": "token", "error": "nobody\'s"}')
Step = Exception | tuple[int, bytes] | urllib3.HTTPResponse


class Collectors:
    """Answers by host, from a script that then goes on with 200; notes who was asked for how long."""

    def __init__(self, **script: list[Step]) -> None:
        self.script, self.asked = script, list[str]()
        self.tokens: list[str] = []

    def __call__(self, asked: Asked) -> urllib3.BaseHTTPResponse:
        host = asked.url.host or ""
        self.asked.append(host)
        self.tokens.append(asked.headers["Authorization"])
        assert asked.url.path == "/v1/batches"
        assert asked.headers["Content-Type"] == "application/vnd.linkgauge.batch"
        assert asked.headers["Content-Encoding"] == "zstd"
        assert asked.body == BODY
        step = self.script.get(host, []).pop(0) if self.script.get(host) else TAKES
        if isinstance(step, Exception):
            raise step
        return response(*step) if isinstance(step, tuple) else step


def over(collectors: Collectors, *hosts: str, token: Token | None = None) -> tuple[HttpTransport, FakeClock]:
    clock, urls = FakeClock(), [f"http://{host}" for host in hosts or ("a",)]
    client = CollectorClient(urls, token or "hidden", pool=FakePool(collectors))
    return HttpTransport(client, clock, jitter=lambda: 1.0), clock


def outcomes(transport: HttpTransport, times: int) -> list[Outcome]:
    return [transport.send(ROW, 10).outcome for _ in range(times)]


@pytest.mark.parametrize(
    "fault",
    [
        *((status, b"") for status in (200, 204, 301, 404, 429, 500, 503, 507)),
        *((200, body) for body in (b"ok", b"<html>Welcome</html>", b'{"status": "ok"}')),
        (400, b"Bad"), (413, b"<html>nginx"), NO, DecodeError("broken"),
    ],
)  # fmt: skip
def test_what_takes_nothing_is_again(fault: Step) -> None:
    transport, _ = over(Collectors(a=[fault]))
    assert outcomes(transport, 2) == [Outcome.AGAIN, Outcome.TAKEN]


def test_over_to_the_next_at_once_and_back_when_the_first_answers(caplog: pytest.LogCaptureFixture) -> None:
    collectors = Collectors(a=[NO] * 3)
    transport, clock = over(collectors, "a", "b")
    assert outcomes(transport, 3) == [Outcome.TAKEN] * 3
    assert collectors.asked == ["a", "b", "a", "b", "b"]  # open after two failures
    assert transport.send(ROW, 10).address == 1
    clock.advance(S // 2)
    assert outcomes(transport, 2) == [Outcome.TAKEN] * 2
    assert collectors.asked[6:] == ["a", "b", "b"]  # one try, and open again for longer
    clock.advance(S)
    assert transport.send(ROW, 10) == Answer(Outcome.TAKEN)
    assert [record.message for record in caplog.records] == [
        "http://b: batches go to this collector from now on (http://a: unreachable (refused))",
        "http://a: batches go to this collector from now on",
    ]


def test_all_away_tells_the_wait_and_asks_nobody_meanwhile() -> None:
    collectors = Collectors(a=[NO] * 9, b=[NO] * 9)
    transport, _ = over(collectors, "a", "b")
    assert [transport.send(ROW, 10).retry_after_s for _ in range(3)] == [0.0, 0.5, 0.5]
    assert collectors.asked == ["a", "b"] * 2


def test_retry_after_binds_its_address_only() -> None:
    busy = response(*BUSY, {"Retry-After": "40"})
    collectors = Collectors(a=[busy])
    transport, clock = over(collectors, "a", "b")
    outcomes(transport, 2)
    clock.advance(49 * S)
    outcomes(transport, 1)
    clock.advance(S)
    outcomes(transport, 1)
    assert collectors.asked == ["a", "b", "b", "b", "a"]
    transport, _ = over(Collectors(a=[response(*BUSY, {"Retry-After": "40"})]))
    answer = transport.send(ROW, 10)
    assert (answer.sentence, answer.retry_after_s) == ("http://a: status 503: too much", 50.0)


def test_one_collector_that_knows_the_token_is_enough() -> None:
    transport, _ = over(Collectors(a=[NOBODY_S]), "a", "b")
    assert outcomes(transport, 1) == [Outcome.TAKEN]


def test_a_refused_token_is_told_before_an_absence_and_the_wait_is_the_shorter() -> None:
    collectors = Collectors(a=[NO] * 4, b=[NOBODY_S] * 4)
    transport, clock = over(collectors, "a", "b")
    answer = transport.send(ROW, 10)
    assert (answer.outcome, answer.retry_after_s) == (Outcome.HELD, 0.0)
    assert answer.sentence == "http://b: status 401: nobody's"
    clock.advance(int(HELD_S * S))
    outcomes(transport, 1)
    assert collectors.asked == ["a", "b", "a"]


def test_a_token_that_was_changed_is_tried_before_it_counts_as_refused(tmp_path: Path) -> None:
    tokens = iter(["old", "new"])
    collectors = Collectors(a=[NOBODY_S])
    transport, _ = over(collectors, token=Token(lambda: next(tokens)))
    assert outcomes(transport, 1) == [Outcome.TAKEN]
    assert collectors.tokens == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        ((409, b'{"reason": "future", "error": "ahead"}'), Outcome.DEFERRED),
        ((400, b'{"reason": "malformed", "error": "cut"}'), Outcome.REFUSED),
    ],
)
def test_an_answer_about_the_batch_is_final(step: Step, outcome: Outcome) -> None:
    collectors = Collectors(a=[step])
    transport, _ = over(collectors, "a", "b")
    assert outcomes(transport, 2) == [outcome, Outcome.TAKEN]
    assert collectors.asked == ["a", "a"]


@pytest.fixture
def strange() -> Iterator[Callable[[bytes, bool], str]]:
    """Servers that take a connection, say something or nothing, and close it or let it stand half-open."""
    sockets: list[socket.socket] = []

    def serve(says: bytes, closes: bool) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def run() -> None:
            while True:
                try:
                    taken, _ = listening.accept()
                except OSError:
                    return
                sockets.append(taken)
                taken.sendall(says)
                if closes:
                    taken.shutdown(socket.SHUT_WR)

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield serve
    for each in sockets:
        each.close()


@pytest.mark.parametrize(
    ("says", "closes"),
    [
        (b"", True),
        (b"", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 22\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 22\r\n\r\n", False),
        (b'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"duplicate": false}', True),
        (b"SSH-2.0-OpenSSH_9.2\r\n", False),
        (b"\x15\x03\x01\x00\x02\x02\x50", True),
    ],
)
def test_half_an_answer_is_none(strange: Callable[[bytes, bool], str], says: bytes, closes: bool) -> None:
    client = CollectorClient([strange(says, closes)], "t")
    transport = HttpTransport(client, SystemClock())
    answer = transport.send(ROW, 0.3)
    assert answer.outcome is Outcome.AGAIN
    assert "unreachable" in answer.sentence
    transport.close()


def test_a_silent_collector_does_not_take_the_time_of_the_next(
    strange: Callable[[bytes, bool], str], caplog: pytest.LogCaptureFixture
) -> None:
    taking = b'HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{"duplicate": false}'
    client = CollectorClient([strange(b"", False), strange(taking, True)], "t")
    transport = HttpTransport(client, SystemClock())
    transport._route.failed(0, SystemClock().now().mono_ns, 0.0)  # it failed before: it gets one short try
    began_ns = SystemClock().now().mono_ns
    answer = transport.send(ROW, 10)
    assert (answer.outcome, answer.address) == (Outcome.TAKEN, 1)
    assert SystemClock().now().mono_ns - began_ns < 8 * S
    transport.close()
