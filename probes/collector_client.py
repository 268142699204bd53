"""HTTP towards the collectors: their addresses in order of preference, the agent's token, TLS.

The token travels in the Authorization header only; it is in no log line, error text or representation.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import urllib3
from pydantic import SecretStr
from urllib3.exceptions import HTTPError, LocationParseError

from linkgauge.errors import ConfigError

TIMEOUT_S = 10.0
_LONGEST_WORDS = 300


class Transport(Protocol):
    """Carries requests: urllib3's pool of connections."""

    def request(self, method: str, url: str, /, **how: Any) -> urllib3.BaseHTTPResponse: ...
    def clear(self) -> None: ...


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
        transport: Transport | None = None,
    ) -> None:
        if not urls:
            raise ConfigError("no collector is named; give the agent at least one address")
        if not token.isascii() or not token.isprintable() or not token.strip():
            raise ConfigError("the agent's token has characters that no token has; copy it again")
        self._urls = [_checked(url) for url in urls]
        self._at = 0
        self._token = SecretStr(token)
        # proxies of the environment are for browsers: a measurement network is reached directly, and this
        # pool does not look for them
        self._http = transport or urllib3.PoolManager(ssl_context=_trust(self._urls, ca_file))

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
    ) -> urllib3.BaseHTTPResponse:
        """POST; raises urllib3's HTTPError when there is no answer."""
        return self._request("POST", path, headers, timeout_s, body)

    def get(self, path: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """GET; raises urllib3's HTTPError when there is no answer."""
        return self._request("GET", path, headers, TIMEOUT_S)

    def close(self) -> None:
        self._http.clear()

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], timeout_s: float, body: bytes | None = None
    ) -> urllib3.BaseHTTPResponse:
        ours = {"Authorization": f"Bearer {self._token.get_secret_value()}", "Accept-Encoding": "gzip"}
        return self._http.request(
            method,
            self.url + path,
            headers=ours | dict(headers),
            body=body,
            timeout=timeout_s,
            retries=False,  # nor does it follow redirects: the token is for the collector that was named
        )


def why(err: HTTPError) -> str:
    """Why there was no answer: what the system said where it said something."""
    cause = err.__cause__ or err.__context__
    return str(cause if isinstance(cause, OSError) else err) or type(err).__name__


def words_of(response: urllib3.BaseHTTPResponse) -> str:
    """What the server said about an error, in one printable line of bounded length."""
    try:
        body = json.loads(response.data)
    except (ValueError, RecursionError):
        body = None
    said = body.get("error", body.get("detail")) if isinstance(body, dict) else None
    text = said if isinstance(said, str) else response.data.decode(errors="replace")
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _LONGEST_WORDS]).split())
    return line[:_LONGEST_WORDS] or f"status {response.status} without a word"


def retry_after_s(response: urllib3.BaseHTTPResponse, at_most_s: float) -> float:
    """Seconds of the Retry-After header (RFC 9110 section 10.2.3), 0 when absent or a date."""
    text = response.headers.get("retry-after", "").strip()
    return min(float(text), at_most_s) if text.isascii() and text.isdecimal() else 0.0


def _checked(url: str) -> str:
    try:
        parsed = urllib3.util.parse_url(url)
    except LocationParseError as err:
        raise ConfigError(f"collector address {url!r} is no URL ({err}); correct it") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigError(f"collector address {url!r} must be of the form http(s)://host:port")
    return url.rstrip("/")


def _trust(urls: Sequence[str], ca_file: Path | None) -> ssl.SSLContext | None:
    """The system's authorities take a MB: they are read where an address needs them."""
    if ca_file is None and not any(url.lower().startswith("https:") for url in urls):
        return None
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as err:
        raise ConfigError(
            f"{ca_file}: the certificates to trust cannot be read ({err}); give a readable PEM file"
        ) from None
