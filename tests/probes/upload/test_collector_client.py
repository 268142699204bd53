"""Addresses in turn, what servers say, and the token that is never told."""

from __future__ import annotations

import contextlib
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

from linkgauge.client_tls import ClientTls
from linkgauge.errors import ConfigError
from probes.upload.collector_client import CollectorClient, Reply, readable_on_the_way, why
from probes.upload.token import Token
from tests.probes.fake_pool import Asked, FakePool, response


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


def get(client: CollectorClient, path: str, most: int = 10**6) -> Reply:
    return client.get(0, path, {}, most)


def test_each_address_is_told_by_its_place_and_the_token_goes_along() -> None:
    seen: list[tuple[str, str]] = []

    def note(asked: Asked) -> urllib3.HTTPResponse:
        seen.append((str(asked.url), asked.headers["Authorization"]))
        return response(200, b"words", {"ETag": "x"})

    client = CollectorClient(["http://a/", "http://b"], "hidden", pool=FakePool(note))
    assert get(client, "/x") == Reply(200, {"etag": "x"}, b"words")
    client.post(1, "/y", b"", {}, 100, 1.0)
    assert seen == [("http://a/x", "Bearer hidden"), ("http://b/y", "Bearer hidden")]
    assert "hidden" not in repr(client) + repr(client.__dict__) + repr(client._token.__dict__)
    client.close()


def test_a_token_that_was_changed_goes_along_at_once(tmp_path: Path) -> None:
    seen: list[str] = []

    def note(asked: Asked) -> urllib3.HTTPResponse:
        seen.append(asked.headers["Authorization"])
        return response(200)

    path = tmp_path / "token"
    path.write_text("one")
    client = CollectorClient(["http://a"], Token(path.read_text, path), pool=FakePool(note))
    get(client, "/x")
    path.write_text("another")
    get(client, "/x")
    assert seen == ["Bearer one", "Bearer another"]


@pytest.mark.parametrize(
    ("url", "readable"),
    [
        ("http://collector:8440", True),
        ("http://192.0.2.1:8440", True),
        ("http://[2001:db8::1]:8440", True),
        ("http://127.0.0.1:8440", False),
        ("http://127.3.0.1", False),
        ("http://[::1]:8440", False),
        ("http://localhost:8440", False),
        ("https://collector:8440", False),
    ],
)
def test_what_others_can_read(url: str, readable: bool) -> None:
    assert readable_on_the_way(url) == readable


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
        if self.path == "/drops":
            self.drop_by_drop()
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

    def drop_by_drop(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "1000")
        self.end_headers()
        with contextlib.suppress(OSError):
            while not self.server.ended.wait(0.05):
                self.wfile.write(b"x")

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
    assert get(client, "/gzip").body == b"words"
    with pytest.raises(HTTPError):
        get(client, "/broken")


def test_redirects_are_not_followed(client: CollectorClient, server: Server) -> None:
    assert get(client, "/moved").status == 302
    assert server.asked == ["/moved"]


def test_proxies_of_the_environment_are_not_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    client = CollectorClient([server.url], "secret")
    assert get(client, "/x").status == 200
    client.close()


def test_silence_is_not_waited_out(client: CollectorClient) -> None:
    with pytest.raises(HTTPError) as caught:
        client.post(0, "/silent", b"", {}, 100, timeout_s=0.1)
    assert why(caught.value) == "timed out"


def test_an_answer_in_drops_or_without_end_is_none(client: CollectorClient) -> None:
    with pytest.raises(HTTPError, match="did not end in time"):
        client.post(0, "/drops", b"", {}, 10**6, timeout_s=3)
    with pytest.raises(HTTPError, match="more than 10 octets"):
        client.post(0, "/drops", b"", {}, 10, timeout_s=60)


def test_a_connection_that_nobody_takes_is_said_in_the_words_of_the_system() -> None:
    client = CollectorClient(["http://127.0.0.1:1"], "secret")
    with pytest.raises(HTTPError) as caught:
        get(client, "/x")
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
    trusting = CollectorClient([f"https://127.0.0.1:{port}"], "t", ClientTls(tmp_path / "ca.pem"))
    assert get(trusting, "/gzip").body == b"words"
    others = {f"https://127.0.0.1:{port}": None, f"https://localhost:{port}": tmp_path / "ca.pem"}
    for url, ca_file in others.items():
        client = CollectorClient([url], "t", ClientTls(ca_file) if ca_file else None)
        with pytest.raises(HTTPError) as caught:
            get(client, "/x")
        assert "CERTIFICATE_VERIFY_FAILED" in why(caught.value)
        client.close()
    trusting.close()
    assert server.asked == ["/gzip"]
