"""Where an InfluxDB is, who asks it, and of which generation it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from pydantic import SecretStr

from linkgauge.client_tls import ClientTls
from linkgauge.errors import SinkBusy, SinkHeld

TIMEOUT_S = 30.0
Version = tuple[int, int]
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class InfluxAddress:
    """One database (2.x: bucket) of a server. user and password count up to 1.8, org and token from 2.0 on.

    Secrets never print. keep_days: the retention that it gets when it is made. ca_file: authorities to trust
    instead of the system's.
    """

    url: str
    database: str = "linkgauge"
    user: str | None = None
    password: SecretStr | None = None
    org: str | None = None
    token: SecretStr | None = None
    ca_file: Path | None = None
    keep_days: int = 30

    @property
    def secret(self) -> str:
        """Of 2.x and 3: the token."""
        return self.token.get_secret_value() if self.token else ""

    def auth(self, version: Version) -> httpx.BasicAuth | None:
        """HTTP Basic for 1.x."""
        if version >= (2, 0) or self.user is None:
            return None
        return httpx.BasicAuth(self.user, self.password.get_secret_value() if self.password else "")

    def headers(self, version: Version) -> dict[str, str]:
        """The token for 2.x and 3."""
        if version < (2, 0) or not self.secret:
            return {}
        return {"Authorization": f"{'Token' if version < (3, 0) else 'Bearer'} {self.secret}"}


@dataclass(slots=True)
class InfluxHttp:
    """Requests to a server as its version wants them; the connection is kept. Methods raise SinkBusy.

    Raises ConfigError when ca_file cannot be read.
    """

    address: InfluxAddress
    version: Version
    _client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        encrypted = self.address.url.startswith("https:")
        self._client = httpx.Client(
            timeout=TIMEOUT_S,
            trust_env=False,
            # where nothing is encrypted, reading the system's authorities is work for nothing
            verify=ClientTls(self.address.ca_file).context() if encrypted else False,
            auth=self.address.auth(self.version),
            headers=self.address.headers(self.version),
        )

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        try:
            return self._client.request(
                method, self.address.url + path, params=params, data=form, json=json, content=content,
                headers=headers,
            )  # fmt: skip
        except httpx.HTTPError as err:
            raise unreachable(self.address.url, err) from None

    def close(self) -> None:
        self._client.close()


def unreachable(url: str, err: Exception) -> SinkBusy:
    """Nobody answers, or not as far as the end."""
    why = f"{type(err).__name__}: {str(err)[:200]}"
    return SinkBusy(f"InfluxDB at {url} cannot be reached ({why}); see whether it runs, or correct its url")


def ping(address: InfluxAddress) -> httpx.Response:
    """The answer to GET /ping; 3.x may want its token even for that. Raises SinkBusy, ConfigError."""
    http = InfluxHttp(address, (3, 0))
    try:
        return http.ask("GET", "/ping")
    finally:
        http.close()


def version_of(address: InfluxAddress, reply: httpx.Response) -> Version:
    """(major, minor) from the answer to /ping. Raises SinkBusy and SinkHeld."""
    text = reply.headers.get("X-Influxdb-Version", "")
    if not text and reply.headers.get("Content-Type", "").startswith("application/json"):
        data = reply.json()
        text = str(data.get("version", "")) if isinstance(data, dict) else ""
    found = _VERSION.match(text)
    if found:
        return int(found[1]), int(found[2])
    if reply.status_code in (401, 403) and "cluster-uuid" in reply.headers:
        return 3, 0
    if reply.status_code >= 500:
        raise SinkBusy(f"InfluxDB at {address.url} answered {reply.status_code} to /ping")
    raise SinkHeld(f"{address.url} does not answer like an InfluxDB (no version); correct influxdb.url")
