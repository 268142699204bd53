"""HTTP towards the collectors: their addresses in order of preference, the agent's token, TLS.

The token travels in the Authorization header only; it is in no log line, error text or representation.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from linkgauge.errors import ConfigError

TIMEOUT_S = 10.0
_LONGEST_WORDS = 300


class CollectorClient:
    """Requests to one collector at a time. Not safe to share between threads: each user has its own.

    urls: at least one, http or https. ca_file: certificates to trust instead of the system's.
    transport: what carries the requests, for tests. Raises ConfigError for a token or file that cannot serve.
    """

    def __init__(
        self,
        urls: Sequence[str],
        token: str,
        ca_file: Path | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if not urls:
            raise ConfigError("no collector is named; give the agent at least one address")
        if not token.isascii() or not token.isprintable() or not token.strip():
            raise ConfigError("the agent's token has characters that no token has; copy it again")
        self._urls = [_checked(url) for url in urls]
        self._at = 0
        # proxies of the environment are for browsers: a measurement network is reached directly
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {token}"},
            verify=_trust(ca_file),
            timeout=TIMEOUT_S,
            transport=transport,
            trust_env=False,
        )

    @property
    def url(self) -> str:
        """The collector that is asked next."""
        return self._urls[self._at]

    def next(self) -> bool:
        """Turn to the next address; False when that is the first again, so all have been tried."""
        self._at = (self._at + 1) % len(self._urls)
        return self._at != 0

    def first(self) -> None:
        """Turn to the preferred address."""
        self._at = 0

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float = TIMEOUT_S
    ) -> httpx.Response:
        """POST; raises httpx.RequestError when there is no answer."""
        return self._http.post(self.url + path, content=body, headers=headers, timeout=timeout_s)

    def get(self, path: str, headers: Mapping[str, str]) -> httpx.Response:
        """GET; raises httpx.RequestError when there is no answer."""
        return self._http.get(self.url + path, headers=headers)

    def close(self) -> None:
        self._http.close()


def words_of(response: httpx.Response) -> str:
    """What the server said about an error, in one printable line of bounded length."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    said = body.get("error", body.get("detail")) if isinstance(body, dict) else None
    text = said if isinstance(said, str) else response.text
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _LONGEST_WORDS]).split())
    return line[:_LONGEST_WORDS] or f"status {response.status_code} without a word"


def retry_after_s(response: httpx.Response, at_most_s: float) -> float:
    """Seconds of the Retry-After header (RFC 9110 section 10.2.3), 0 when absent or a date."""
    text = response.headers.get("retry-after", "").strip()
    return min(float(text), at_most_s) if text.isascii() and text.isdecimal() else 0.0


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as err:
        raise ConfigError(f"collector address {url!r} is no URL ({err}); correct it") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigError(f"collector address {url!r} must be of the form http(s)://host:port")
    return url.rstrip("/")


def _trust(ca_file: Path | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as err:
        raise ConfigError(
            f"{ca_file}: the certificates to trust cannot be read ({err}); give a readable PEM file"
        ) from None
