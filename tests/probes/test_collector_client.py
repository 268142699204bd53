"""Addresses in turn, what servers say, and the token that is never told."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from linkgauge.errors import ConfigError
from probes.collector_client import CollectorClient, retry_after_s, words_of


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

    def note(request: httpx.Request) -> httpx.Response:
        seen.append((str(request.url), request.headers["authorization"]))
        return httpx.Response(200)

    client = CollectorClient(["http://a/", "http://b"], "secret", transport=httpx.MockTransport(note))
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
    assert words_of(httpx.Response(400, content=body)) == words


@pytest.mark.parametrize(
    ("value", "wait_s"), [("7", 7), ("100000", 300), ("-1", 0), ("1e9", 0), ("soon", 0), ("²", 0)]
)
def test_retry_after(value: str, wait_s: float) -> None:
    assert retry_after_s(httpx.Response(503, headers={b"retry-after": value.encode()}), 300) == wait_s
    assert retry_after_s(httpx.Response(503), 300) == 0
