"""HTTP towards the collectors: their addresses in order of preference, the agent's token, TLS.

The token travels in the Authorization header only; it is in no log line, error text or representation.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, ReadTimeoutError

from linkgauge.client_tls import ClientTls
from linkgauge.clock import SystemClock, seconds
from linkgauge.errors import ConfigError
from probes.upload.token import Token

TIMEOUT_S = 10.0
CONNECT_S = 3.0
"""A collector that does not even take the connection in this time is away."""
_PIECE = 1 << 16


class Pool(Protocol):
    """Carries requests: urllib3's pool of connections."""

    def request(self, method: str, url: str, /, **how: Any) -> urllib3.BaseHTTPResponse: ...
    def clear(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """headers: names in lower case. body: unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class CollectorClient:
    """Requests to the collectors, each told by its place in `urls`. Each thread has its own.

    urls: at least one, http or https. tls: read when an address needs it, the system's authorities when None.
    pool: what carries the requests, for tests. Raises ConfigError for an address, token or file that cannot
    serve.
    """

    def __init__(
        self,
        urls: Sequence[str],
        token: Token | str,
        tls: ClientTls | None = None,
        pool: Pool | None = None,
    ) -> None:
        if not urls:
            raise ConfigError("no collector is named; give the agent at least one address")
        self.urls = tuple(_checked(url) for url in urls)
        self._token = Token(lambda: token) if isinstance(token, str) else token
        # the system's authorities take a MB: they are read where an address needs them
        self._tls = tls or (ClientTls() if any(_secure(url) for url in self.urls) else None)
        self._context = self._tls.context() if self._tls else None
        self._pool = pool or _pool(self._context)
        self._clock = SystemClock()

    def post(
        self, at: int, path: str, body: bytes, headers: Mapping[str, str], most: int, timeout_s: float
    ) -> Reply:
        """POST to `urls[at]`; `most`: octets of the answer that are read. Raises urllib3's HTTPError when
        there is no whole answer within `timeout_s`."""
        return self._request("POST", at, path, headers, most, timeout_s, body)

    def get(self, at: int, path: str, headers: Mapping[str, str], most: int) -> Reply:
        """GET likewise, within TIMEOUT_S."""
        return self._request("GET", at, path, headers, most, TIMEOUT_S)

    def renew_token(self) -> bool:
        """The token was refused: read it again; True when it is another one now."""
        return self._token.renew()

    def close(self) -> None:
        self._pool.clear()

    def _request(
        self,
        method: str,
        at: int,
        path: str,
        headers: Mapping[str, str],
        most: int,
        timeout_s: float,
        body: bytes | None = None,
    ) -> Reply:
        self._follow_files()
        until_ns = self._clock.now().mono_ns + seconds(timeout_s)
        ours = {"Authorization": f"Bearer {self._token.value()}", "Accept-Encoding": "gzip"}
        response = self._pool.request(
            method,
            self.urls[at] + path,
            headers=ours | dict(headers),
            body=body,
            timeout=urllib3.Timeout(connect=min(CONNECT_S, timeout_s), read=timeout_s),
            retries=False,  # nor does it follow redirects: the token is for the collector that was named
            preload_content=False,
        )
        try:
            answer = self._read(response, most, until_ns)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return Reply(
            response.status, {name.lower(): value for name, value in response.headers.items()}, answer
        )

    def _read(self, response: urllib3.BaseHTTPResponse, most: int, until_ns: int) -> bytes:
        """The body piece by piece: one that comes in drops, or without end, is no answer."""
        parts, size = [], 0
        while part := response.read1(_PIECE):
            parts.append(part)
            size += len(part)
            if size > most:
                raise HTTPError(f"the answer has more than {most} octets")
            if self._clock.now().mono_ns > until_ns:
                raise ReadTimeoutError(None, None, "the answer did not end in time")  # type: ignore[arg-type]  # no pool to name
        return b"".join(parts)

    def _follow_files(self) -> None:
        """Certificates that were changed count from now on, for new connections."""
        if self._tls is not None and (context := self._tls.context()) is not self._context:
            self._context = context
            self._pool.clear()
            self._pool = _pool(context)


def why(err: HTTPError) -> str:
    """Why there was no answer: what the system said where it said something."""
    cause = err.__cause__ or err.__context__
    words = str(cause if isinstance(cause, OSError) else err) or type(err).__name__
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return f"{words}; name its authority in ca_file, and it as its certificate does in collectors"
    return words


def readable_on_the_way(url: str) -> bool:
    """Whether others on the network can read what is sent there: plain HTTP to another host."""
    parsed = urllib3.util.parse_url(url)
    if parsed.scheme != "http" or parsed.host is None or parsed.host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(parsed.host.strip("[]")).is_loopback
    except ValueError:
        return True


def _checked(url: str) -> str:
    try:
        parsed = urllib3.util.parse_url(url)
    except LocationParseError as err:
        raise ConfigError(f"collector address {url!r} is no URL ({err}); correct it") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigError(f"collector address {url!r} must be of the form http(s)://host:port")
    return url.rstrip("/")


def _secure(url: str) -> bool:
    return url.lower().startswith("https:")


def _pool(context: ssl.SSLContext | None) -> urllib3.PoolManager:
    # proxies of the environment are for browsers: a measurement network is reached directly, and this pool
    # does not look for them
    return urllib3.PoolManager(ssl_context=context)
