"""POST of JSON to a receiver: what an answer means for everybody who is told over HTTP.

Any 2xx answer means that it came. 408, 429, 3xx and 5xx, no answer and no connection mean later; Retry-After
is kept to. 401, 403, 404 and 407 mean later too: an address or a secret is wrong, what waits is told once it
is mended. Any other 4xx means never. The address may hold a secret, so only the receiver's name is ever told.

timeout_s bounds each wait for the far end, and all the time in which its answer is read: what comes later is
not looked at.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from linkgauge.client_tls import ClientTls
from linkgauge.errors import ConfigError, SinkBusy, SinkRejected

TIMEOUT_S = 5.0
LONGEST_RETRY_AFTER_S = 300.0
LONGEST_ANSWER_BYTES = 65_536
_LATER = (408, 429)
_TO_MEND = (401, 403, 404, 407)

logging.getLogger("httpx").setLevel(
    logging.WARNING
)  # below that it writes whole addresses, with their tokens


class Post:
    """Posts to one receiver; `who` names it in sentences. For one thread at a time."""

    def __init__(
        self,
        who: str,
        timeout_s: float = TIMEOUT_S,
        ca_file: Path | None = None,
        tells_why: bool = False,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """tells_why: a refusal is told in the far end's own words, which hold no secret of ours.

        Raises ConfigError for a ca_file that cannot be used.
        """
        self._who, self._tells_why = who, tells_why
        self._timeout_s, self._seconds = timeout_s, seconds
        verify: ssl.SSLContext | bool = ClientTls(ca_file, None, None).context() if ca_file else True
        headers = {"User-Agent": "linkgauge"}
        self._client = httpx.Client(timeout=timeout_s, headers=headers, follow_redirects=False, verify=verify)

    def send(
        self,
        url: httpx.URL,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Status and body of a 2xx answer; raises SinkBusy (later) or SinkRejected (never)."""
        sent = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
        target = url.copy_merge_params(params) if params else url
        try:
            with self._client.stream("POST", target, content=body, headers=sent) as response:
                status, after = response.status_code, response.headers.get("Retry-After")
                answer = self._beginning(response)
        except httpx.HTTPError as err:
            raise SinkBusy(f"{self._who}: {_unreached(err)}") from None
        if 200 <= status < 300:
            return status, answer
        if status in _TO_MEND:
            raise SinkBusy(f"{self._who}: refused with status {status}; mend its url or secret")
        if 400 <= status < 500 and status not in _LATER:
            raise SinkRejected(f"{self._who}: refused with status {status}{self._words(answer)}", 1)
        raise SinkBusy(f"{self._who}: answered with status {status}", seconds_of(after))

    def close(self) -> None:
        self._client.close()

    def _beginning(self, response: httpx.Response) -> bytes:
        """What it answered, as far as anybody looks and in the time that it has."""
        got, until_s = b"", self._seconds() + self._timeout_s
        for piece in response.iter_bytes():
            got += piece
            if len(got) > LONGEST_ANSWER_BYTES or self._seconds() > until_s:
                break
        return got

    def _words(self, answer: bytes) -> str:
        words = " ".join(answer[:200].decode("utf-8", "replace").split())
        return f" ({words})" if words and self._tells_why else ""


def address(who: str, url: str) -> httpx.URL:
    """Raises ConfigError for what is no http(s) address."""
    try:
        made = httpx.URL(url)
    except httpx.InvalidURL:
        made = httpx.URL("")
    if made.scheme not in ("http", "https") or not made.host:
        raise ConfigError(f"{who}: url must be an http:// or https:// address; correct it")
    return made


def _unreached(err: httpx.HTTPError) -> str:
    """Why there was no answer, and the mend; of the errors whose words hold no address."""
    said = " ".join(str(err).split())
    if not isinstance(err, httpx.ConnectError) or not said:
        return f"no answer ({type(err).__name__}); is it running?"
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return f"its certificate is not trusted ({said}); name its authority's file as ca_file"
    if "SSL" in said:
        return f"no TLS with it ({said}); is it http:// there?"
    return f"no answer ({said}); is it running, and its url right?"


def seconds_of(retry_after: str | None) -> float | None:
    """Retry-After in seconds, held to LONGEST_RETRY_AFTER_S; None for none, or a date."""
    if retry_after is None or not (retry_after.isascii() and retry_after.isdigit()):
        return None
    return min(float(retry_after), LONGEST_RETRY_AFTER_S)
