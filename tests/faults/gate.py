"""A door before a real InfluxDB: it lets requests through, or treats them as a test tells it."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import urllib3


@dataclass(frozen=True)
class Asked:
    """A request. lines: of a write, unpacked."""

    path: str
    lines: list[str]


@dataclass(frozen=True)
class Answer:
    """What the door says instead of the server. cut: octets after which it hangs up, None = says all."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


HANG_UP = Answer(0, cut=0)
"""No answer: the connection ends."""
Treatment = Callable[[Asked], Answer | None]
"""None: let it through."""


class Gate:
    """Use as a context manager; `treat` may be changed at any time. writes: requests to /write that came."""

    def __init__(self, server: str) -> None:
        self.treat: Treatment = lambda asked: None
        self.writes = 0
        self._pool, self._server = urllib3.PoolManager(), server.rstrip("/")
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._pool.clear()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        is_write = urlsplit(path).path == "/write"
        self.writes += is_write
        plain = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
        told = self.treat(Asked(path, plain.decode().splitlines() if is_write else []))
        if told is not None:
            return told
        kept = {name: headers[name] for name in headers if name.lower() not in ("host", "connection")}
        reply = self._pool.request(method, self._server + path, body=body, headers=kept, retries=False)
        hidden = ("transfer-encoding", "content-length", "content-encoding", "connection")
        passed = {name: value for name, value in reply.headers.items() if name.lower() not in hidden}
        return Answer(reply.status, reply.data, passed)

    def _handler(gate) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                answer = gate.answer(self.command, self.path, dict(self.headers), body)
                if answer.cut == 0:
                    self._hang_up()
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body[: answer.cut])
                if answer.cut is not None:
                    self._hang_up()

            def _hang_up(self) -> None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def do_GET(self) -> None:
                self._serve()

            def do_POST(self) -> None:
                self._serve()

            def log_message(self, format: str, *args: object) -> None:
                """Silent: a test says what matters."""

        return Handler
