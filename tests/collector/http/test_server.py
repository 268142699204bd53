"""Connections: how many, how long they may keep us waiting, how large a head; TLS and its renewal."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from collector.http.server_tls import ServerTls
from collector.settings import Tls
from linkgauge.certificate import Certificate
from linkgauge.clock import NS_PER_S
from linkgauge.errors import ConfigError
from tests.collector.running import Running, now_ns, report
from tests.collector.world import until
from tests.probes.authority import Authority, Issued

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def answer(sock: socket.socket) -> bytes:
    """One whole answer; what there was of it when the connection ended before."""
    sock.settimeout(60)
    got = b""
    try:
        while not (
            head := re.match(rb"(?s).*?\r\ncontent-length: (\d+)\r\n.*?\r\n\r\n", got, re.IGNORECASE)
        ) or (len(got) < head.end() + int(head[1])):
            if not (part := sock.recv(4096)):
                break
            got += part
    except ConnectionError:
        return got
    return got


def test_connections_are_bounded_politely_and_then_shortly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.http.door.HEAD_S", 600.0)
    with Running(tmp_path, "limits: {connections: 16}\n") as running, ExitStack() as opened:
        address = running.socket.getsockname()
        metrics = running.collector.metrics

        def connect() -> socket.socket:
            return opened.enter_context(socket.create_connection(address, 60))

        held = [connect() for _ in range(16)]
        until(lambda: metrics.values()["connections"] == 16)
        polite = connect()
        until(lambda: metrics.values()["connections"] == 17)
        polite.sendall(GET)
        reply = answer(polite)
        assert reply.startswith(b"HTTP/1.1 503")
        assert b"retry-after: " in reply
        for _ in range(40):
            connect()
        until(lambda: metrics.values()["connections_refused_total:ended"] > 0)
        assert metrics.values()["connections"] <= 20
        held[0].sendall(GET)
        assert answer(held[0]).startswith(b"HTTP/1.1 200")


def test_who_sends_no_head_and_who_asks_no_more_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.http.door.KEEP_S", 0.2)
    monkeypatch.setattr("collector.http.door.LINGER_S", 0.2)
    with Running(tmp_path) as running, ExitStack() as opened:

        def connect() -> socket.socket:
            return opened.enter_context(socket.create_connection(running.socket.getsockname(), 60))

        idle, endless = connect(), connect()
        idle.sendall(GET)
        assert answer(idle).startswith(b"HTTP/1.1 200")
        endless.sendall(b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert answer(endless).startswith(b"HTTP/1.1 401")
        with pytest.raises(OSError):  # reset or broken pipe, after what the kernels hold  # noqa: PT012
            while True:
                endless.sendall(b"100\r\n" + bytes(256) + b"\r\n")
        monkeypatch.setattr("collector.http.door.HEAD_S", 0.2)
        silent, slow = connect(), connect()
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHo")
        assert [answer(one) for one in (silent, slow, idle)] == [b"", b"", b""]


def test_a_head_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with Running(tmp_path) as running, socket.create_connection(running.socket.getsockname(), 60) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20_000)
        assert answer(sock).startswith(b"HTTP/1.1 400")


class Secured:
    """A running collector with TLS; `install` puts a pair in place of the present one."""

    def __init__(self, folder: Path, running: Running, authority: Authority) -> None:
        self.folder, self.running, self.authority = folder, running, authority

    def install(self, pair: Issued) -> None:
        for source, name in ((pair.certificate, "cert.pem"), (pair.key, "key.pem")):
            shutil.copy(source, self.folder / "new")
            os.replace(self.folder / "new", self.folder / name)

    @contextmanager
    def connected(
        self, pair: Issued | None = None, most: ssl.TLSVersion | None = None
    ) -> Iterator[ssl.SSLSocket]:
        context = ssl.create_default_context(cafile=str(self.authority.file))
        context.check_hostname = False
        if pair:
            context.load_cert_chain(pair.certificate, pair.key)
        if most:
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = most
        with (
            socket.create_connection(self.running.socket.getsockname(), 60) as plain,
            context.wrap_socket(plain) as sock,
        ):
            yield sock

    def subject(self) -> str:
        with self.connected() as sock:
            der = sock.getpeercert(binary_form=True)
            assert der is not None
            return Certificate.parse(der).subject


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def secured(folder: Path, authority: Authority, more: str = "") -> Iterator[Secured]:
    pair = authority.issue("first", "/CN=first")
    shutil.copy(pair.certificate, folder / "cert.pem")
    shutil.copy(pair.key, folder / "key.pem")
    with Running(folder, f"tls: {{certificate: cert.pem, key: key.pem{more}}}\n") as running:
        yield Secured(folder, running, authority)


def test_a_renewed_certificate_is_used_and_open_connections_stay(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.http.server.LOOK_S", 0.1)
    with secured(tmp_path, authority) as server, server.connected() as former:
        former.sendall(GET)
        assert answer(former).startswith(b"HTTP/1.1 200")
        assert server.subject() == "CN=first"
        server.install(authority.issue("second", "/CN=second", until_days=40))
        until(lambda: server.subject() == "CN=second")
        former.sendall(GET)
        assert answer(former).startswith(b"HTTP/1.1 200")
        tls = server.running.collector.tls
        assert tls is not None
        assert 39 < tls.days_left(now_ns()) < 41
        (tmp_path / "new").write_text("no key")
        os.replace(tmp_path / "new", tmp_path / "key.pem")
        until(lambda: tls.fault is not None)
        assert "key.pem" in (tls.fault or "")
        assert tls.failures == 1
        assert server.subject() == "CN=second"
        server.install(authority.issue("third", "/CN=third"))
        until(lambda: server.subject() == "CN=third")
        assert tls.fault is None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_versions_and_what_is_no_tls_are_refused_and_counted(
    tmp_path: Path, authority: Authority
) -> None:
    with secured(tmp_path, authority) as server:
        with pytest.raises((ssl.SSLError, OSError)), server.connected(most=ssl.TLSVersion.TLSv1_1):
            pass
        assert server.running.collector.tls is not None
        assert server.running.collector.tls.context.minimum_version == ssl.TLSVersion.TLSv1_2
        with socket.create_connection(server.running.socket.getsockname(), 60) as plain:
            plain.sendall(GET)
            assert not answer(plain).startswith(b"HTTP/1.1 2")
        refused = server.running.collector.metrics.values
        until(lambda: refused()["connections_refused_total:handshake"] >= 1)
        with server.connected(most=ssl.TLSVersion.TLSv1_2) as sock:
            assert sock.version() == "TLSv1.2"


def test_with_client_ca_only_clients_with_its_certificate_are_served(
    tmp_path: Path, authority: Authority
) -> None:
    shutil.copy(authority.file, tmp_path / "clients.pem")
    ours = authority.issue("client", "/CN=j1")
    with secured(tmp_path, authority, ", client_ca: clients.pem") as server:
        with server.connected(ours) as sock:
            body = report(1)
            head = f"POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.running.token}\r\n"
            sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert answer(sock).startswith(b"HTTP/1.1 200")
        with pytest.raises((ssl.SSLError, OSError)), server.connected() as sock:  # noqa: PT012
            sock.sendall(GET)  # with TLS 1.3 the refusal comes after the client's part of the handshake
            if not answer(sock):
                raise OSError("ended")


def test_both_files_of_a_pair_are_waited_for(tmp_path: Path, authority: Authority) -> None:
    pairs = [authority.issue(name, f"/CN={name}", until_days=days) for name, days in (("a", 10), ("b", 20))]
    names = Tls(certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem")
    shutil.copy(pairs[0].certificate, names.certificate)
    shutil.copy(pairs[0].key, names.key)
    tls = ServerTls(names, tmp_path / "collector.yaml")
    shutil.copy(pairs[1].certificate, names.certificate)
    tls.look()  # the key has not come yet
    shutil.copy(pairs[1].key, names.key)
    tls.look()
    assert tls.days_left(now_ns()) < 11
    tls.look()
    assert 19 < tls.days_left(now_ns()) < 21
    assert tls.failures == 0
    assert tls.days_left(now_ns() + 30 * 86_400 * NS_PER_S) < 0


def test_a_key_with_a_pass_phrase_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"
    )
    with pytest.raises(ConfigError, match="certificate or key of tls cannot be used"):
        ServerTls(
            Tls(certificate=tmp_path / "none.pem", key=tmp_path / "key.pem"), tmp_path / "collector.yaml"
        )
