"""A small server that answers as InfluxDB 1.7, 1.8, 2.x and 3 do, in the words of the real ones."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

ORG = {"id": "0123456789abcdef", "name": "ours"}


@dataclass
class World:
    """What the server is and has. answers: what the next writes are answered, then 204.

    buckets: days kept, by name; mapped: names that InfluxQL finds; closed: paths that are
    forbidden; refuses: how a line begins that is refused, and with which
    words; hidden: buckets that the token may write, but not see.
    """

    version: str
    answers: list[tuple[int, str]] = field(default_factory=list)
    writes: list[tuple[str, dict[str, list[str]], str, str]] = field(default_factory=list)
    buckets: dict[str, int] = field(default_factory=dict)
    mapped: list[str] = field(default_factory=list)
    refuses: tuple[str, str] = ("", "")
    closed: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    url: str = ""

    @property
    def three(self) -> bool:
        return self.version.startswith("3")


class _Handler(BaseHTTPRequestHandler):
    world: World

    def do_GET(self) -> None:
        self._route(b"")

    def do_POST(self) -> None:
        self._route(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    do_PUT = do_PATCH = do_POST

    def _route(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        if parts.path in self.world.closed:
            self._answer(401, {"code": "unauthorized", "message": "unauthorized access"})
        elif parts.path == "/ping":
            self._ping()
        elif parts.path in ("/write", "/api/v2/write", "/api/v3/write_lp"):
            self._write(parts.path, query, body)
        elif parts.path == "/query":
            self._answer(200, {"results": [{"statement_id": 0}]})
        elif parts.path.startswith("/api/v2/"):
            self._answer(*self._v2(parts.path, query, json.loads(body or b"{}")))
        else:
            self._answer(*self._v3(parts.path, json.loads(body or b"{}")))

    def _ping(self) -> None:
        if self.world.three:
            self._answer(200, {"version": self.world.version, "revision": "x", "process_id": "y"})
        else:
            self._answer(204, None)

    def _write(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.world.writes.append((path, query, self.headers["Authorization"] or "", body.decode()))
        name = query.get("bucket", [""])[0]
        start, words = self.world.refuses
        if words and any(line.startswith(start) for line in body.decode().split("\n")):
            self._answer(400, {"error": words})
        elif self.world.answers:
            self._send(*self.world.answers.pop(0))
        elif name and name not in (*self.world.buckets, *self.world.hidden):
            self._answer(404, {"code": "not found", "message": f'bucket "{name}" not found'})
        else:
            self._send(204, "")

    def _v2(self, path: str, query: dict[str, list[str]], told: dict[str, Any]) -> tuple[int, Any]:
        world = self.world
        if path == "/api/v2/orgs":
            return 200, {"orgs": [ORG]}
        if path == "/api/v2/dbrps" and self.command == "POST":
            world.mapped.append(told["database"])
            return 201, {"id": "1", **told}
        if path == "/api/v2/dbrps":
            names = [name for name in world.mapped if name in query.get("db", world.mapped)]
            return 200, {"content": [_mapping(name) for name in names]}
        if self.command == "GET":
            (name,) = query["name"]
            if name not in world.buckets:
                return 404, {"code": "not found", "message": f'bucket "{name}" not found'}
            return 200, {"buckets": [_bucket(name, world.buckets[name])] if name not in world.hidden else []}
        name, seconds = told["name"], told["retentionRules"][0]["everySeconds"]
        world.buckets[name] = seconds // 86_400
        return (201 if self.command == "POST" else 200), _bucket(name, world.buckets[name])

    def _v3(self, path: str, told: dict[str, Any]) -> tuple[int, Any]:
        world = self.world
        if path == "/api/v3/query_sql":
            name = parse_qs(urlsplit(self.path).query)["q"][0].split("'")[1]
            return 200, [{"retention_period_ns": world.buckets[name] * 86_400 * 10**9 or None}]
        if self.command == "GET":
            return 200, [{"iox::database": name} for name in world.buckets]
        if self.command == "POST" and told["db"] in world.buckets:
            return 409, {"error": "attempted to create a resource that already exists"}
        world.buckets[told["db"]] = int(told["retention_period"].removesuffix("d"))
        return 200, None

    def _answer(self, status: int, told: Any) -> None:
        self._send(status, "" if told is None else json.dumps(told))

    def _send(self, status: int, text: str) -> None:
        self.send_response(status)
        if not self.world.three:
            self.send_header("X-Influxdb-Version", self.world.version)
        else:
            self.send_header("cluster-uuid", "u")
        if status == 503:
            self.send_header("Retry-After", "4")
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def _bucket(name: str, days: int) -> dict[str, Any]:
    rules = [{"type": "expire", "everySeconds": days * 86_400}] if days else []
    return {"id": _id(name), "orgID": ORG["id"], "name": name,
            "retentionRules": rules}  # fmt: skip


def _mapping(name: str) -> dict[str, Any]:
    return {"id": _id(name), "database": name, "retention_policy": "autogen", "default": True,
            "virtual": True, "orgID": ORG["id"], "bucketID": _id(name)}  # fmt: skip


def _id(name: str) -> str:
    return name.encode().hex()[:16].ljust(16, "0")


@contextmanager
def later(
    version: str, answers: Sequence[tuple[int, str]] = (), tls: ssl.SSLContext | None = None
) -> Iterator[World]:
    """A server of that version, until the block ends; over TLS where a context is given."""
    world = World(version, list(answers))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"world": world}))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    world.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield world
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
