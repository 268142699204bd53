"""The body of a request: how large, how slow, and when nothing comes of it."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.requests import Request

from collector.http.body import expected_octets
from collector.http.tokens import issue
from linkgauge.clock import NS_PER_S
from tests.collector.running import Running, now_ns, report, running
from tests.collector.world import body, until, windows

__all__ = ["running"]


def test_a_body_without_a_length_is_bounded_too(running: Running) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(30):
            yield bytes(10_000)

    headers = {"Authorization": f"Bearer {running.token}"}
    assert running.client.post("/v1/batches", content=parts(), headers=headers).status_code == 413


def test_a_length_beside_chunks_tells_nothing() -> None:
    told = (b"content-length", b"5")
    plain = Request({"type": "http", "headers": [told]})
    chunked = Request({"type": "http", "headers": [told, (b"transfer-encoding", b"chunked")]})
    assert [expected_octets(each, 1000) for each in (plain, chunked)] == [5, 1000]


def test_a_token_is_checked_before_the_body_and_a_slow_body_ends(tmp_path: Path) -> None:
    with Running(tmp_path, "limits: {body_timeout_s: 0.3, requests_per_s: 0.001, burst: 3}\n") as running:
        head = "POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
        with socket.create_connection(running.socket.getsockname(), 60) as stranger:
            stranger.sendall(f"{head}\r\n".encode())  # and never a body
            assert stranger.recv(4096).startswith(b"HTTP/1.1 401")
        with socket.create_connection(running.socket.getsockname(), 60) as slow:
            slow.sendall(f"{head}Authorization: Bearer {running.token}\r\n\r\nabc".encode())
            reply = b"".join(iter(lambda: slow.recv(4096), b""))
        assert reply.startswith(b"HTTP/1.1 408")
        assert b"3 octets came" in reply
        counters = running.collector.metrics.values
        assert counters()["batches_refused_total:slow"] == 1
        assert [running.post(report(number)).status_code for number in (1, 2)] == [200, 200]
        reply_429 = running.post(report(3))
        assert (reply_429.status_code, reply_429.json()["reason"]) == (429, "rate")
        assert int(reply_429.headers["Retry-After"]) >= 900  # of 1 000 s, less what the others took
        until(lambda: counters()["request_seconds_count:batches"] == 5)  # counted after the answer
        assert counters()["requests_total:batches:408"] == counters()["requests_total:batches:429"] == 1


def test_a_connection_that_ends_within_a_body_is_told_from_a_slow_one(running: Running) -> None:
    head = "POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    with socket.create_connection(running.socket.getsockname(), 60) as gone:
        gone.sendall(f"{head}Authorization: Bearer {running.token}\r\n\r\nabc".encode())
    counters = running.collector.metrics.values
    until(lambda: counters()["batches_refused_total:truncated"] == 1)
    assert counters()["batches_refused_total:slow"] == 0


def test_who_sends_nothing_of_a_body_holds_no_room_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First of an octet and then nothing, then of nothing at all."""
    monkeypatch.setattr("collector.http.body.QUIET_S", 600.0)
    with Running(tmp_path) as running, ExitStack() as opened:
        head = f"POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {running.token}\r\n"

        def begin() -> socket.socket:
            made = opened.enter_context(socket.create_connection(running.socket.getsockname(), 60))
            made.sendall(f"{head}Content-Length: 200000\r\n\r\n".encode())
            return made

        begun = [begin() for _ in range(4)]
        until(lambda: len(select.select(begun, [], [], 0)[0]) == 3)  # one body of this size is its share
        refused = running.collector.metrics.values
        assert refused()["batches_refused_total:rate"] == 3
        answered = select.select(begun, [], [], 0)[0]
        monkeypatch.setattr("collector.http.body.QUIET_S", 0.2)
        next(each for each in begun if each not in answered).sendall(b"x")
        until(lambda: refused()["batches_refused_total:slow"] == 1)
        begin()
        until(lambda: refused()["batches_refused_total:slow"] == 2)
        assert refused()["batches_refused_total:rate"] == 3
        other = issue(running.settings.tokens, "g1")
        mine = body("g1", 1, windows(["g1>j1@backbone"], now_ns() - 20 * NS_PER_S), created_ns=now_ns())
        assert running.post(mine, token=other).status_code == 200
