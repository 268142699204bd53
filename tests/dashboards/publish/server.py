"""A local HTTP server that answers as Grafana 9.4 does: see state.py for what it keeps and refuses."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.dashboards.publish.state import Reply, State

TOKEN = "glsa_secret-of-the-test"


class FakeGrafana(ThreadingHTTPServer):
    """Serves a State. asked: method and path of every request. refusals: answers given first, in turn."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = State()
        self.asked: list[tuple[str, str]] = []
        self.refusals: list[tuple[int, str]] = []
        self.refuse_always: tuple[int, str] | None = None
        self.stands_still = threading.Event()
        self.stands_still.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def writes(self) -> list[tuple[str, str]]:
        """What was asked that changes something."""
        return [each for each in self.asked if each[0] != "GET"]


class _Handler(BaseHTTPRequestHandler):
    server: FakeGrafana

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.asked.append((self.command, self.path))
        self.server.stands_still.wait(30)
        refusal = self.server.refuse_always or (self.server.refusals.pop(0) if self.server.refusals else None)
        if refusal:
            self._answer(refusal[0], refusal[1].encode())
            return
        status, answer = self._state_says(body)
        self._answer(status, b"" if answer is None and status != 200 else json.dumps(answer).encode())

    def _state_says(self, body: Any) -> Reply:
        if self.path != "/api/health" and self.headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, {"message": "Invalid API key"}
        if self.command in ("POST", "PUT") and self.headers["Content-Type"] != "application/json":
            return 400, {"message": "bad request data"}
        return self.server.state.answer(self.command, self.path, body)

    do_GET = do_POST = do_PUT = do_DELETE = _serve

    def _answer(self, status: int, text: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
        except ConnectionError:
            return  # who asked had enough of waiting

    def log_message(self, format: str, *args: object) -> None:  # the test's output stays quiet
        return


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[FakeGrafana]:
    """A server that answers until the end, with TLS where it is given."""
    with FakeGrafana() as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.stands_still.set()
            server.shutdown()
            thread.join()
