"""A chat service on loopback: checks what the three robots' services check, and answers as they do.

Every answer is a 200 with a code inside. It holds to twenty messages a minute of its own clock where told so.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN, SECRET = "t0ken-of-the-robot", "SECsign-with-this"
HOUR_S = 3600


class Chat:
    """What came and was taken. secret: what requests must be signed with. answers: canned codes, first in."""

    def __init__(self, secret: str | None) -> None:
        self.secret, self.token = secret, TOKEN
        self.taken: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.url = ""

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the service says to this request."""
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query, strict_parsing=False).items()}
        if self.answers:
            return self.answers.pop(0)
        if parts.path == "/robot/send":
            return self._dingtalk(query, body)
        if parts.path == "/cgi-bin/webhook/send":
            return self._wecom(query, body)
        return self._feishu(parts.path, body)

    def _dingtalk(self, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        if query.get("access_token") != self.token:
            return {"errcode": 300005, "errmsg": "token is not exist"}
        if self.secret is not None:
            told_ms = query.get("timestamp", "")
            expected = _hmac(self.secret, f"{told_ms}\n{self.secret}")
            if abs(int(told_ms or 0) / 1000 - time.time()) > HOUR_S or query.get("sign") != expected:
                return {"errcode": 310000, "errmsg": f"sign not match, more: [{self.secret}]"}
        if body.get("msgtype") != "markdown" or not body["markdown"].get("title"):
            return {"errcode": 40035, "errmsg": "invalid parameter"}
        self.taken.append(body)
        return {"errcode": 0, "errmsg": "ok"}

    def _wecom(self, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        if query.get("key") != self.token:
            return {"errcode": 93000, "errmsg": "invalid webhook url"}
        if len(body["markdown"]["content"].encode()) > 4096:
            return {"errcode": 40058, "errmsg": "markdown.content exceed max length 4096"}
        self.taken.append(body)
        return {"errcode": 0, "errmsg": "ok"}

    def _feishu(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path != f"/open-apis/bot/v2/hook/{self.token}":
            return {"code": 19001, "msg": "param invalid: incoming webhook access token invalid"}
        if self.secret is not None:
            told_s = body.get("timestamp", "0")
            expected = _hmac(f"{told_s}\n{self.secret}", "")
            if abs(int(told_s) - time.time()) > HOUR_S or body.get("sign") != expected:
                words = "sign match fail or timestamp is not within one hour from current time"
                return {"code": 19021, "msg": words}
        if body.get("msg_type") != "post" or len(json.dumps(body, ensure_ascii=False).encode()) > 20_000:
            return {"code": 9499, "msg": "Bad Request"}
        self.taken.append(body)
        return {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}


@contextmanager
def chatting(secret: str | None = None) -> Iterator[Chat]:
    """The service on 127.0.0.1 at a free port."""
    chat = Chat(secret)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told = json.dumps(chat.answer(self.path, body)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    chat.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield chat
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _hmac(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()
