"""Addresses in turn, what servers say, and the token that is never told."""

from __future__ import annotations

import gzip
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3
from urllib3.exceptions import HTTPError

from linkgauge.errors import ConfigError
from probes.collector_client import CollectorClient, retry_after_s, why, words_of
from tests.probes.fake_transport import Asked, FakeTransport, response


@pytest.mark.parametrize("url", ["", "ftp://host", "http://", "collector", "http://host:port"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(ConfigError, match="collector address"):
        CollectorClient([url], "t")


def test_no_address_and_no_token_are_told_without_the_token() -> None:
    with pytest.raises(ConfigError, match="no collector is named"):
        CollectorClient([], "t")
    with pytest.raises(ConfigError, match="copy it again") as caught:
        CollectorClient(["http://h"], "sec\nret")
    assert "sec" not in str(caught.value)


def test_a_missing_certificate_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ca\.pem: the certificates to trust cannot be read"):
        CollectorClient(["https://h"], "t", tmp_path / "ca.pem")
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"bad\.pem"):
        CollectorClient(["https://h"], "t", tmp_path / "bad.pem")


def test_addresses_come_in_turn_and_the_token_goes_along() -> None:
    seen: list[tuple[str, str]] = []

    def note(asked: Asked) -> urllib3.HTTPResponse:
        seen.append((str(asked.url), asked.headers["Authorization"]))
        return response(200)

    client = CollectorClient(["http://a/", "http://b"], "secret", transport=FakeTransport(note))
    client.get("/x", {})
    assert client.next()
    client.post("/y", b"", {})
    assert not client.next()
    assert client.next()
    client.first()
    assert client.url == "http://a"
    assert seen == [("http://a/x", "Bearer secret"), ("http://b/y", "Bearer secret")]
    assert "secret" not in repr(client) + repr(client.__dict__)
    client.close()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"reason": "future", "error": "too\\nearly"}', "too early"),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"detail": [1]}', '{"detail": [1]}'),
        (b"<html>\x1b[31mbad</html>", "<html> [31mbad</html>"),
        (b"", "status 400 without a word"),
        (b"\xff\xfe", "��"),
        (b"[" * 100_000, "[" * 300),
    ],
)
def test_words_of_a_server_are_one_bounded_line(body: bytes, words: str) -> None:
    assert words_of(response(400, body)) == words


@pytest.mark.parametrize(
    ("value", "wait_s"), [("7", 7), ("100000", 300), ("-1", 0), ("1e9", 0), ("soon", 0), ("²", 0)]
)
def test_retry_after(value: str, wait_s: float) -> None:
    assert retry_after_s(response(503, headers={"retry-after": value}), 300) == wait_s
    assert retry_after_s(response(503), 300) == 0


class Server(ThreadingHTTPServer):
    """Answers by path on a real socket; notes what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.ended = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/silent":
            self.server.ended.wait(10)
            return
        body = {"/gzip": gzip.compress(b"words"), "/broken": b"broken"}.get(self.path, b"")
        self.send_response(302 if self.path == "/moved" else 200)
        self.send_header("content-length", str(len(body)))
        if self.path == "/moved":
            self.send_header("location", f"{self.server.url}/elsewhere")
        if body:
            self.send_header("content-encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test reads `asked`."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(server: Server) -> Iterator[CollectorClient]:
    client = CollectorClient([server.url], "secret")
    yield client
    client.close()


def test_bodies_are_unpacked(client: CollectorClient) -> None:
    assert client.get("/gzip", {}).data == b"words"
    with pytest.raises(HTTPError):
        client.get("/broken", {})


def test_redirects_are_not_followed(client: CollectorClient, server: Server) -> None:
    assert client.get("/moved", {}).status == 302
    assert server.asked == ["/moved"]


def test_proxies_of_the_environment_are_not_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    client = CollectorClient([server.url], "secret")
    assert client.get("/x", {}).status == 200
    client.close()


def test_silence_is_not_waited_out(client: CollectorClient) -> None:
    with pytest.raises(HTTPError) as caught:
        client.post("/silent", b"", {}, timeout_s=0.1)
    assert why(caught.value) == "timed out"


def test_a_connection_that_nobody_takes_is_said_in_the_words_of_the_system() -> None:
    client = CollectorClient(["http://127.0.0.1:1"], "secret")
    with pytest.raises(HTTPError) as caught:
        client.get("/x", {})
    assert why(caught.value) == "[Errno 111] Connection refused"
    client.close()


def test_a_fault_without_words_is_named() -> None:
    assert why(HTTPError()) == "HTTPError"


def test_only_the_authorities_of_the_file_are_trusted(tmp_path: Path, server: Server) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program")
    own = ("-keyout", "key.pem", "-out", "ca.pem", "-days", "2", "-subj", "/CN=c", "-addext")
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *own, "subjectAltName=IP:127.0.0.1"]
    subprocess.run(argv, cwd=tmp_path, capture_output=True, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    port = server.server_address[1]
    trusting = CollectorClient([f"https://127.0.0.1:{port}"], "t", tmp_path / "ca.pem")
    assert trusting.get("/gzip", {}).data == b"words"
    others = {f"https://127.0.0.1:{port}": None, f"https://localhost:{port}": tmp_path / "ca.pem"}
    for url, ca_file in others.items():
        client = CollectorClient([url], "t", ca_file)
        with pytest.raises(HTTPError) as caught:
            client.get("/x", {})
        assert "CERTIFICATE_VERIFY_FAILED" in why(caught.value)
        client.close()
    trusting.close()
    assert server.asked == ["/gzip"]
