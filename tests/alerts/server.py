"""A real HTTP receiver on loopback that answers as it is told and remembers what it got."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = int | Callable[[], int]
PATIENCE_S = 120.0
"""Far more than anything here takes: a busy machine is no fault."""


class Received:
    """What came, in order. answers: status of each request in turn, or what gives it; then always 200."""

    def __init__(self, answers: Sequence[Answer], headers: dict[str, str]) -> None:
        self.answers, self.headers = list(answers), headers
        self.bodies: list[dict[str, Any]] = []
        self.authorization: list[str | None] = []
        self.url = ""

    def wait(self, requests: int, limit_s: float = PATIENCE_S) -> list[dict[str, Any]]:
        """The bodies, once there are so many; fails after the limit."""
        eventually(lambda: len(self.bodies) >= requests, limit_s)
        return self.bodies


def eventually(holds: Callable[[], bool], limit_s: float = PATIENCE_S) -> None:
    """Poll until it holds; fails after the limit."""
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.01)


@contextmanager
def receiving(*answers: Answer, port: int = 0, headers: dict[str, str] | None = None) -> Iterator[Received]:
    """A receiver on 127.0.0.1; port 0 takes a free one. Where nobody is to be, or later: tests.ports."""
    received = Received(answers, headers or {})

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.authorization.append(self.headers["Authorization"])
            answer = received.answers.pop(0) if received.answers else 200
            status = answer() if callable(answer) else answer
            received.bodies.append(json.loads(body))
            try:
                self.send_response(status)
                for name, value in received.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except ConnectionError:
                return  # the sender had enough of waiting

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    received.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
