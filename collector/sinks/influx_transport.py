"""How lines reach an InfluxDB of any generation: one request of our own, gzip level 1.

1.x: ``/write``. 2.x: ``/api/v2/write``. 3: ``/api/v3/write_lp``, the only one of its addresses that stores
the good lines of a request and names all bad ones. Only precision ns means the same everywhere.
"""

from __future__ import annotations

import contextlib
import zlib
from contextlib import closing
from typing import Protocol

from collector.sinks.influx_address import InfluxAddress, InfluxHttp, Version, ping, version_of
from collector.sinks.influx_databases import databases_of
from collector.sinks.influx_reply import check_reply
from linkgauge.errors import SinkHeld

_GZIP_BITS = 16 + zlib.MAX_WBITS
_HEADERS = {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"}


class Transport(Protocol):
    """Sends lines; raises SinkBusy, SinkHeld, TooLarge or LinesRefused."""

    def write(self, lines: bytes) -> None: ...

    def close(self) -> None: ...


def connect(address: InfluxAddress) -> Transport:
    """Find out the version, make the database when it is missing and we may, and give what fits.

    Raises SinkBusy when nobody answers, SinkHeld when the answer is no InfluxDB's or forbids it.
    """
    version = version_of(address, ping(address))
    databases = databases_of(address, version)
    with closing(databases), contextlib.suppress(SinkHeld):
        # who may write, but neither look nor make, is as it should be; the write tells what is missing
        if not databases.has(address.database):
            databases.create(address.database, address.keep_days)
    return WriteTransport(address, version)


class WriteTransport:
    """One connection to one database."""

    def __init__(self, address: InfluxAddress, version: Version) -> None:
        self.version, self._address = version, address
        self._path, self._params = route(address, version)
        self._http = InfluxHttp(address, version)

    def write(self, lines: bytes) -> None:
        reply = self._http.ask(
            "POST", self._path, params=self._params, content=_packed(lines), headers=_HEADERS
        )
        check_reply(self._address.url, reply.status_code, reply.text, reply.headers.get("Retry-After"))
        if reply.status_code != 204:  # every InfluxDB says so; a proxy's welcome page is no promise
            answered = f"{self._address.url} answered {reply.status_code} to a write, as no InfluxDB does"
            raise SinkHeld(f"{answered}; correct influxdb.url or what stands before it")

    def close(self) -> None:
        self._http.close()


def route(address: InfluxAddress, version: Version) -> tuple[str, dict[str, str]]:
    """Path and parameters of a write."""
    if version >= (3, 0):
        params = {"db": address.database, "precision": "nanosecond", "accept_partial": "true"}
        return "/api/v3/write_lp", params
    if version >= (2, 0):
        org = address.org or "-"
        return "/api/v2/write", {"org": org, "bucket": address.database, "precision": "ns"}
    return "/write", {"db": address.database, "precision": "ns"}


def _packed(lines: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP_BITS)
    return packer.compress(lines) + packer.flush()
