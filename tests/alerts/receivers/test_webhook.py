"""The webhook against a real server: taken, later, never; and no secret in what it says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from alerts.receivers.post import Post
from alerts.receivers.webhook import Webhook
from collector.secret import read_secret
from linkgauge.errors import ConfigError, SinkBusy, SinkRejected
from tests.alerts.server import receiving
from tests.ports import own_port

BODY = b'{"id":"a"}'


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_taken(status: int) -> None:
    with receiving(status) as received:
        hook = Webhook("ops", received.url, lambda: SecretStr("s3cret"))
        hook.deliver([BODY])
        hook.close()
    assert received.bodies == [{"id": "a"}]
    assert received.authorization == ["Bearer s3cret"]


def test_without_a_token_nothing_is_sent_for_one() -> None:
    with receiving() as received:
        hook = Webhook("ops", received.url)
        hook.deliver([BODY])
        hook.close()
    assert received.authorization == [None]


@pytest.mark.parametrize("status", [408, 429, 500, 503, 302])
def test_later(status: int) -> None:
    with receiving(status) as received:
        hook = Webhook("ops", received.url + "?token=s3cret", lambda: SecretStr("s3cret"))
        with pytest.raises(SinkBusy, match=f"webhook ops: answered with status {status}") as caught:
            hook.deliver([BODY])
        hook.close()
    assert caught.value.retry_after_s is None
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(("header", "wait_s"), [("7", 7.0), ("99999", 300.0), ("soon", None), ("-1", None)])
def test_retry_after(header: str, wait_s: float | None) -> None:
    with receiving(429, headers={"Retry-After": header}) as received:
        hook = Webhook("ops", received.url)
        with pytest.raises(SinkBusy) as caught:
            hook.deliver([BODY])
        hook.close()
    assert caught.value.retry_after_s == wait_s


@pytest.mark.parametrize("status", [400, 410, 422])
def test_never(status: int) -> None:
    with receiving(status) as received:
        hook = Webhook("ops", received.url + "?token=s3cret")
        with pytest.raises(SinkRejected, match=f"webhook ops: refused with status {status}") as caught:
            hook.deliver([BODY])
        hook.close()
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403, 404, 407])
def test_a_wrong_address_or_token_is_waited_for(status: int) -> None:
    with receiving(status) as received:
        hook = Webhook("ops", received.url + "?token=s3cret")
        with pytest.raises(SinkBusy, match=f"refused with status {status}; mend its url or secret") as caught:
            hook.deliver([BODY])
        hook.close()
    assert "s3cret" not in str(caught.value)


def test_a_digest_is_one_body_with_all_notices() -> None:
    with receiving() as received:
        hook = Webhook("ops", received.url)
        hook.deliver([BODY, BODY])
        hook.close()
    assert received.bodies == [{"version": 2, "status": "digest", "notices": [{"id": "a"}, {"id": "a"}]}]


def test_a_new_token_in_its_file_is_followed_and_a_bad_file_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(mode=0o600)
    file.write_text("one")
    with receiving() as received:
        hook = Webhook("ops", received.url, lambda: read_secret("webhook_ops_token", file))
        hook.deliver([BODY])
        file.write_text("two")
        hook.deliver([BODY])
        file.chmod(0o644)
        with pytest.raises(SinkBusy, match="chmod 600"):
            hook.deliver([BODY])
        hook.close()
    assert received.authorization == ["Bearer one", "Bearer two"]


def test_why_there_is_no_answer_is_told_without_the_address() -> None:
    with receiving() as received:
        told = []
        for url in (received.url.replace("http://", "https://"), "http://nowhere.invalid/?key=s3cret"):
            hook = Webhook("ops", url)
            with pytest.raises(SinkBusy) as caught:
                hook.deliver([BODY])
            hook.close()
            told.append(str(caught.value))
    assert told[0].startswith("webhook ops: no TLS with it (")
    assert told[0].endswith("; is it http:// there?")
    assert "is it running, and its url right?" in told[1]
    assert "ConnectError" not in told[1]
    assert "s3cret" not in told[1]


def test_nobody_there() -> None:
    hook = Webhook("ops", f"http://127.0.0.1:{own_port()}/?token=s3cret")
    with pytest.raises(
        SinkBusy, match=r"webhook ops: no answer \(\[Errno 111\] Connection refused"
    ) as caught:
        hook.deliver([BODY])
    hook.close()
    assert "s3cret" not in str(caught.value)


def test_too_slow() -> None:
    release = threading.Event()

    def slow() -> int:
        release.wait(60)
        return 200

    with receiving(slow) as received:
        hook = Webhook("ops", received.url, timeout_s=0.2)
        with pytest.raises(SinkBusy, match="ReadTimeout"):
            hook.deliver([BODY])
        release.set()
        hook.close()


@pytest.mark.parametrize("url", ["", "ftp://x/y", "http://", "no url", "http://[::1"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match="webhook ops: url must be an http:// or https:// address"):
        Webhook("ops", url)


def test_an_answer_that_drips_is_not_waited_for() -> None:
    """Each octet comes in time, and all of them would take an hour."""
    seconds = [0.0]

    class Dripping(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(3_600):
                seconds[0] += 1.0
                yield b"x"

    post = Post("webhook ops", timeout_s=5.0, seconds=lambda: seconds[0])
    post._client = httpx.Client(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=Dripping()))
    )
    status, answer = post.send(httpx.URL("http://ops.example/"), BODY)
    post.close()
    assert (status, answer) == (200, b"x" * 6)
