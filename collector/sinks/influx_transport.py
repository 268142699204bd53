"""How lines reach an InfluxDB: ``/write`` where that is all there is, influxdb-client from 1.8 on.

`connect` asks the server for its version and gives back the transport that fits it.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import httpx
import urllib3.exceptions
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from pydantic import SecretStr

from collector.sinks.influx_reply import check_reply
from linkgauge.errors import SinkBusy, SinkHeld

TIMEOUT_S = 30.0
RETENTION = 'DURATION 30d REPLICATION 1 SHARD DURATION 1d NAME "autogen"'
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class InfluxAddress:
    """Where to write, as whom. `org`, `bucket` and `token` matter from 2.x on; secrets never print."""

    url: str
    database: str = "linkgauge"
    user: str | None = None
    password: SecretStr | None = None
    org: str | None = None
    bucket: str | None = None
    token: SecretStr | None = None

    @property
    def basic(self) -> httpx.BasicAuth | None:
        if self.user is None:
            return None
        return httpx.BasicAuth(self.user, self.password.get_secret_value() if self.password else "")


class Transport(Protocol):
    """Sends lines; raises SinkBusy, SinkHeld, TooLarge or LinesRefused."""

    def write(self, lines: bytes) -> None: ...

    def close(self) -> None: ...


def connect(address: InfluxAddress) -> Transport:
    """Find out the version, make the database where that is our job, and give the transport that fits.

    Raises SinkBusy when nobody answers, SinkHeld when the answer is no InfluxDB's or forbids it.
    """
    version = server_version(address)
    if version >= (1, 8):
        if version < (2, 0):
            create_database(address)
        return ClientTransport(address, version)
    create_database(address)
    return WriteTransport(address)


def server_version(address: InfluxAddress) -> tuple[int, int]:
    """(major, minor) by GET /ping; 3.x may want its token even for that."""
    token = address.token.get_secret_value() if address.token else None
    headers = {"Authorization": f"Token {token}"} if token else {}
    reply = _ask(address, "GET", "/ping", headers=headers)
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


def create_database(address: InfluxAddress) -> None:
    """Make the database, a month's retention; nothing changes when it is there. Raises SinkHeld, SinkBusy."""
    query = f'CREATE DATABASE "{address.database}" WITH {RETENTION}'
    reply = _ask(address, "POST", "/query", data={"q": query}, auth=address.basic)
    if reply.status_code in (401, 403):
        names = _ask(address, "POST", "/query", data={"q": "SHOW DATABASES"}, auth=address.basic)
        if names.status_code == 200 and f'"{address.database}"' in names.text:
            return  # a user who may write but not administer is as it should be
    check_reply(address.url, reply.status_code, reply.text)
    error = reply.json()["results"][0].get("error", "") if reply.status_code == 200 else ""
    if error and "conflicts with an existing policy" not in error:
        raise SinkHeld(f"InfluxDB at {address.url} cannot create database {address.database}: {error}")


def _ask(
    address: InfluxAddress,
    method: str,
    path: str,
    data: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    auth: httpx.BasicAuth | None = None,
) -> httpx.Response:
    try:
        with httpx.Client(timeout=TIMEOUT_S, trust_env=False, auth=auth) as client:
            return client.request(method, address.url + path, data=data, headers=headers)
    except httpx.HTTPError as err:
        raise _unreachable(address, err) from None


def _unreachable(address: InfluxAddress, err: Exception) -> SinkBusy:
    return SinkBusy(f"InfluxDB at {address.url} cannot be reached ({type(err).__name__}: {str(err)[:200]})")


class WriteTransport:
    """POST /write, gzip level 1, HTTP Basic: what 1.6 and 1.7 know."""

    def __init__(self, address: InfluxAddress) -> None:
        self._address = address
        self._client = httpx.Client(timeout=TIMEOUT_S, trust_env=False, auth=address.basic)

    def write(self, lines: bytes) -> None:
        try:
            reply = self._client.post(
                f"{self._address.url}/write",
                params={"db": self._address.database, "precision": "ns"},
                content=gzip.compress(lines, 1),
                headers={"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"},
            )
        except httpx.HTTPError as err:
            raise _unreachable(self._address, err) from None
        check_reply(self._address.url, reply.status_code, reply.text, reply.headers.get("Retry-After"))

    def close(self) -> None:
        self._client.close()


class ClientTransport:
    """influxdb-client's WriteApi, synchronous: its batching mode loses what it holds at the process's end."""

    def __init__(self, address: InfluxAddress, version: tuple[int, int]) -> None:
        self._address = address
        if version < (2, 0):
            self._bucket = f"{address.database}/autogen"
            secret = address.password.get_secret_value() if address.password else ""
            token = f"{address.user or ''}:{secret}"
        else:
            self._bucket = address.bucket or address.database
            token = address.token.get_secret_value() if address.token else ""
        self._client = InfluxDBClient(
            url=address.url,
            token=token,
            org=address.org or "-",
            enable_gzip=True,
            timeout=int(TIMEOUT_S * 1000),
        )
        self._api = self._client.write_api(write_options=SYNCHRONOUS)

    def write(self, lines: bytes) -> None:
        try:
            self._api.write(bucket=self._bucket, org=self._address.org or "-", record=lines)
        except ApiException as err:
            headers: Mapping[str, str] = err.headers or {}
            body = err.body.decode("utf-8", "replace") if isinstance(err.body, bytes) else str(err.body or "")
            check_reply(self._address.url, int(err.status or 500), body, headers.get("Retry-After"))
        except urllib3.exceptions.HTTPError as err:
            raise _unreachable(self._address, err) from None

    def close(self) -> None:
        self._api.close()  # type: ignore[no-untyped-call]  # the library has no annotations here
        self._client.close()  # type: ignore[no-untyped-call]  # as above
