"""A connection's socket: an answer in two parts is not held back until the first is acknowledged."""

from __future__ import annotations

import socket

import pytest

from collector.http.door import Door
from tests.collector.running import Running, running
from tests.collector.world import until

__all__ = ["running"]


def test_answers_go_at_once(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    complete = Door.on_response_complete

    def look(door: Door) -> None:
        sock = door.transport.get_extra_info("socket")
        seen.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        complete(door)

    monkeypatch.setattr(Door, "on_response_complete", look)
    assert running.client.get("/healthz").status_code == 200
    until(lambda: bool(seen))  # the client may have its answer a moment before
    assert seen == [1]
