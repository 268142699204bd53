"""The databases (2.x: buckets) of an InfluxDB: which there are, how long they keep, making and changing them.

1.x by InfluxQL, 2.x by influxdb-client, 3 by its own addresses. A database has one retention, that of its
default policy, and no other policy is ever named: so every generation understands the same queries.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import httpx
import urllib3
import urllib3.exceptions
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.domain.dbrp_create import DBRPCreate
from influxdb_client.rest import ApiException
from influxdb_client.service.dbr_ps_service import DBRPsService

from collector.sinks.influx_address import TIMEOUT_S, InfluxAddress, InfluxHttp, Version, unreachable
from collector.sinks.influx_reply import LinesRefused, TooLarge, check_reply
from linkgauge.client_tls import ClientTls
from linkgauge.errors import SinkError, SinkHeld

POLICY = "autogen"
DAY_S = 86_400
T = TypeVar("T")
_Rules: Any = BucketRetentionRules  # the library has no annotations
_PART = re.compile(r"(\d+)([hms])")
_UNIT_S = {"h": 3600, "m": 60, "s": 1}


class Databases(Protocol):
    """Methods raise SinkBusy when nobody answers and SinkHeld with the server's words when it will not."""

    def has(self, name: str) -> bool:
        """Whether it is there, as far as we may see: 2.x hides what a token may not read, without a word."""

    def days(self, name: str) -> float | None:
        """How long it keeps, days; 0: for good; None: this version does not tell."""

    def create(self, name: str, days: int) -> None: ...

    def alter(self, name: str, days: int) -> None:
        """Keep so long from now on."""

    def mapped(self, name: str) -> bool:
        """Whether InfluxQL finds the database by this name."""

    def close(self) -> None: ...


def databases_of(address: InfluxAddress, version: Version) -> Databases:
    """The databases of the server at `address`."""
    if version >= (3, 0):
        return Databases3(InfluxHttp(address, version), version)
    if version >= (2, 0):
        return Databases2(address)
    return Databases1(InfluxHttp(address, version))


def shard_days(days: int) -> int:
    """Length of a shard for a retention: one that is dropped as a whole, and not too many to be open."""
    return 1 if days <= 60 else 7 if days <= 365 else 30


class Databases1:
    """1.x. DROP, ALTER and CREATE need an administrator; SHOW tells what the user may see."""

    def __init__(self, http: InfluxHttp) -> None:
        self._http = http

    def has(self, name: str) -> bool:
        return [name] in [row[:1] for row in self._query("SHOW DATABASES")]

    def days(self, name: str) -> float | None:
        rows = self._query(f'SHOW RETENTION POLICIES ON "{name}"')
        default = [row for row in rows if len(row) > 4 and row[4] is True]
        return seconds_of(str(default[0][1])) / DAY_S if default else None

    def create(self, name: str, days: int) -> None:
        shard = f"SHARD DURATION {shard_days(days)}d"
        self._query(f'CREATE DATABASE "{name}" WITH DURATION {days}d REPLICATION 1 {shard} NAME "{POLICY}"')

    def alter(self, name: str, days: int) -> None:
        rows = self._query(f'SHOW RETENTION POLICIES ON "{name}"')
        policy = next((str(row[0]) for row in rows if len(row) > 4 and row[4] is True), POLICY)
        shard = f"SHARD DURATION {shard_days(days)}d"
        self._query(f'ALTER RETENTION POLICY "{policy}" ON "{name}" DURATION {days}d {shard} DEFAULT')

    def mapped(self, name: str) -> bool:
        return True

    def series(self, name: str) -> int | None:
        """Real number of series; None where the server does not tell."""
        try:
            rows = self._query("SHOW SERIES CARDINALITY", name)
        except SinkHeld:
            return None
        return int(rows[0][0]) if rows and rows[0] else None

    def close(self) -> None:
        self._http.close()

    def _query(self, text: str, database: str = "") -> list[list[Any]]:
        """Rows of the first series of a statement's answer."""
        reply = self._http.ask("POST", "/query", params={"db": database}, form={"q": text})
        _check(self._http.address.url, reply.status_code, reply.text)
        (result, *_) = _json(self._http.address.url, reply)["results"] or [{}]
        if "error" in result:
            raise SinkHeld(f"InfluxDB at {self._http.address.url} answered {text!r}: {result['error']}")
        return [row for series in result.get("series", [])[:1] for row in series.get("values", [])]


class Databases2:
    """2.x: buckets of an organisation. A bucket is its own database since 2.4, before that by a mapping."""

    def __init__(self, address: InfluxAddress) -> None:
        if not address.org:
            raise SinkHeld("InfluxDB 2 needs an organisation; set influxdb.org")
        self._address, self._org = address, address.org
        context = ClientTls(address.ca_file).context() if address.url.startswith("https:") else None
        self._client: Any = InfluxDBClient(
            url=address.url, token=address.secret, org=self._org, timeout=int(TIMEOUT_S * 1000),
            ssl_context=context, retries=urllib3.Retry(0, redirect=0),
        )  # fmt: skip
        mappings: Any = DBRPsService
        self._buckets: Any = self._client.buckets_api()
        self._mappings: Any = mappings(self._client.api_client)

    def has(self, name: str) -> bool:
        return self._asked(lambda: self._bucket(name)) is not None

    def days(self, name: str) -> float | None:
        rules = self._find(name).retention_rules
        return rules[0].every_seconds / DAY_S if rules else 0

    def create(self, name: str, days: int) -> None:
        rule = _expire(days)
        self._asked(
            lambda: self._buckets.create_bucket(bucket_name=name, org=self._org, retention_rules=rule)
        )

    def alter(self, name: str, days: int) -> None:
        bucket = self._find(name)
        bucket.retention_rules = [_expire(days)]
        self._asked(lambda: self._buckets.update_bucket(bucket))

    def mapped(self, name: str) -> bool:
        found = self._asked(lambda: self._mappings.get_dbr_ps(org=self._org, db=name))
        return any(each.default for each in found.content or [])

    def map(self, name: str) -> None:
        """Let InfluxQL find the bucket by its name, as servers up to 2.3 do not by themselves."""
        bucket = self._find(name)
        create: Any = DBRPCreate
        made = create(
            org_id=bucket.org_id, bucket_id=bucket.id, database=name, retention_policy=POLICY, default=True
        )
        self._asked(lambda: self._mappings.post_dbrp(dbrp_create=made))

    def close(self) -> None:
        self._client.close()

    def _bucket(self, name: str) -> Any:
        try:
            found = self._buckets.find_buckets(name=name, org=self._org).buckets
        except ApiException as err:
            if err.status == 404 and f'bucket "{name}" not found' in _body(err).replace("\\", ""):
                return None
            raise
        return found[0] if found else None

    def _find(self, name: str) -> Any:
        bucket = self._asked(lambda: self._bucket(name))
        if bucket is None:
            raise SinkHeld(f"InfluxDB at {self._address.url} has no bucket {name} in {self._org}; create it")
        return bucket

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except ApiException as err:
            raise self._told(err) from None
        except (InfluxDBError, ValueError) as err:  # the client gave up by itself
            raise SinkHeld(f"InfluxDB at {self._address.url}: {err}") from None
        except urllib3.exceptions.HTTPError as err:
            raise unreachable(self._address.url, err) from None

    def _told(self, err: ApiException) -> SinkError:
        """What the server's answer means."""
        try:
            _check(self._address.url, int(err.status or 500), _body(err))
        except SinkError as told:
            return told
        return SinkHeld(f"InfluxDB at {self._address.url}: {err.reason}")


def _body(err: ApiException) -> str:
    return err.body.decode("utf-8", "replace") if isinstance(err.body, bytes) else str(err.body or "")


def _expire(days: int) -> Any:
    return _Rules(
        type="expire", every_seconds=days * DAY_S, shard_group_duration_seconds=shard_days(days) * DAY_S
    )


class Databases3:
    """3 Core. It makes a database at the first write, then without an end of keeping."""

    _PATH = "/api/v3/configure/database"

    def __init__(self, http: InfluxHttp, version: Version) -> None:
        self._http, self._version = http, version

    def has(self, name: str) -> bool:
        rows = self._ask("GET", params={"format": "json"})
        return any(name in row.values() for row in rows)

    def days(self, name: str) -> float | None:
        if self._version < (3, 2):
            return None
        query = f"SELECT retention_period_ns FROM system.databases WHERE database_name = '{name}'"
        params = {"db": "_internal", "q": query, "format": "json"}
        rows = self._ask("GET", path="/api/v3/query_sql", params=params)
        period_ns = rows[0].get("retention_period_ns") if rows else None
        return (period_ns or 0) / 1e9 / DAY_S

    def create(self, name: str, days: int) -> None:
        self._ask("POST", json={"db": name, "retention_period": f"{days}d"})

    def alter(self, name: str, days: int) -> None:
        self._ask("PUT", json={"db": name, "retention_period": f"{days}d"})

    def mapped(self, name: str) -> bool:
        return True

    def close(self) -> None:
        self._http.close()

    def _ask(
        self, method: str, path: str = _PATH, params: dict[str, str] | None = None, json: object = None
    ) -> list[dict[str, Any]]:
        reply = self._http.ask(method, path, params=params, json=json)
        _check(self._http.address.url, reply.status_code, reply.text)
        made = _json(self._http.address.url, reply) if reply.content else []
        return made if isinstance(made, list) else []


def seconds_of(duration: str) -> int:
    """``720h0m0s`` as seconds; ``0s`` is for good."""
    return sum(int(number) * _UNIT_S[unit] for number, unit in _PART.findall(duration))


def _check(url: str, status: int, text: str) -> None:
    """As check_reply; no lines were sent, so what it has against lines is for somebody to mend."""
    try:
        check_reply(url, status, text)
    except (LinesRefused, TooLarge) as err:
        raise SinkHeld(f"InfluxDB at {url} answered {status}: {err}") from None


def _json(url: str, reply: httpx.Response) -> Any:
    try:
        return reply.json()
    except ValueError:
        raise SinkHeld(f"{url} does not answer like an InfluxDB; correct influxdb.url") from None
