"""A webhook receiver: stands for the pager of the engineer on call, and remembers what reached it."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Page:
    """One message as it arrived; at_ns: when, Unix ns."""

    at_ns: int
    body: dict[str, Any]


class Pager:
    """Listens on a free loopback port between `start` and `stop`."""

    def __init__(self) -> None:
        self._pages: list[Page] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name="pager", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    @property
    def pages(self) -> list[Page]:
        """What has arrived so far, in order."""
        with self._lock:
            return list(self._pages)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():  # else shutdown would wait for ever
            self._server.shutdown()
        self._server.server_close()

    def _take(self, body: dict[str, Any]) -> None:
        with self._lock:
            self._pages.append(Page(time.time_ns(), body))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                take(body)
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the demo's screen is not a log."""

        return Handler
