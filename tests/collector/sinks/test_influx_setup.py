"""Making and checking the databases: each generation as a fake, 1.6 as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from collector.settings import InfluxSettings
from collector.sinks.influx_address import InfluxAddress
from collector.sinks.influx_check import Finding, check
from collector.sinks.influx_databases import seconds_of
from collector.sinks.influx_setup import set_up
from collector.stores import databases
from linkgauge.clock import NS_PER_S, Instant, SystemClock
from linkgauge.errors import SinkBusy, SinkHeld
from tests.collector.sinks.later_influx import later
from tests.collector.world import StillClock
from tests.influxd import PASSWORD, USER, Influxd, influxd, influxd_with_password

__all__ = ["influxd", "influxd_with_password"]
SPARE = {"linkgauge": 10, "linkgauge_5m": 10, "linkgauge_1h": 10}


def _addresses(url: str, name: str = "linkgauge") -> list[InfluxAddress]:
    made = InfluxSettings(url=url, org="ours", database=name)
    return [
        InfluxAddress(url, address.database, org="ours", token=SecretStr("t"), keep_days=address.keep_days)
        for address, _, _ in databases(made)
    ]


def _found(addresses: Sequence[InfluxAddress], expected: dict[str, int] | None = None) -> list[str]:
    told: list[Finding] = list(check(addresses, expected or SPARE, 1000, SystemClock()))
    return [f"hint: {each.sentence}" if each.hint else each.sentence for each in told]


@pytest.mark.parametrize("version", ["2.7.12", "2.3.0", "3.10.1"])
def test_later_servers_get_what_is_missing_once(version: str) -> None:
    with later(version) as world:
        world.buckets = {"linkgauge_5m": 0, "linkgauge_1h": 1095}
        world.mapped = [] if version == "2.3.0" else [*world.buckets, "linkgauge"]
        _, first = set_up(_addresses(world.url))
        _, again = set_up(_addresses(world.url))
    assert world.buckets == {"linkgauge": 30, "linkgauge_5m": 180, "linkgauge_1h": 1095}
    assert [(each.done, each.before_days) for each in first] == [
        ("made", None), ("altered", 0), ("kept", 1095),
    ]  # fmt: skip
    assert first[1].sentence.startswith("retention altered from for good to 180 d")
    assert [each.mapped for each in first] == [version == "2.3.0"] * 3
    assert [each.done for each in again] == ["kept"] * 3
    assert not any(each.mapped for each in again)


def test_a_server_as_it_should_be_has_no_fault() -> None:
    with later("2.7.12") as world:
        world.mapped = list(SPARE)
        set_up(_addresses(world.url))
        world.answers += [(400, '{"code":"invalid","message":"writing requires points"}')] * 3
        assert _found(_addresses(world.url)) == []
        assert {query["bucket"][0]: text for _, query, _, text in world.writes} == dict.fromkeys(SPARE, "")


def test_each_fault_is_a_sentence() -> None:
    refused = (403, '{"code":"forbidden","message":"insufficient permissions for write"}')
    with later("2.3.0") as world:
        world.buckets = {"linkgauge": 7, "linkgauge_5m": 180}
        world.mapped = ["linkgauge_5m"]
        world.answers += [(204, ""), refused, (404, '{"code":"not found","message":"bucket"}')]
        found = _found(_addresses(world.url), {"linkgauge": 801})
    url = world.url
    assert found == [
        "database linkgauge keeps 7 d, the settings say 30 d; run `linkgauge store setup`",
        "InfluxQL does not find bucket linkgauge by its name (no DBRP mapping), so boards stay empty; "
        "run `linkgauge store setup`",
        f"database linkgauge_5m cannot be written: InfluxDB at {url} answered 403: insufficient permissions "
        "for write; give it the right user and password, or token",
        "there is no database linkgauge_1h; run `linkgauge store setup`",
        "database linkgauge: 801 series, the bound is 1000; raise max-series-per-database there and "
        "influxdb.max_series here, or thin the mesh (expected of the inventory)",
    ]


def test_a_bucket_that_may_be_written_but_not_seen_is_no_fault() -> None:
    with later("2.7.12") as world:
        world.buckets, world.hidden = dict(SPARE), set(SPARE)
        found = _found(_addresses(world.url)[:1])
    assert found == ["hint: database linkgauge may be written, but not looked at: retention is not checked"]


def test_3_is_told_of_its_limit_and_not_written_to_where_it_lacks_the_database() -> None:
    with later("3.10.1") as world:
        found = _found(_addresses(world.url)[:1])
    assert "--query-file-limit" in found[0]
    assert found[0].startswith("hint: ")
    assert found[1:] == ["there is no database linkgauge; run `linkgauge store setup`"]
    assert world.writes == []


def test_a_wrong_token_nobody_there_and_an_old_server() -> None:
    with later("2.7.12") as world:
        world.closed = {"/api/v2/buckets", "/api/v2/write"}
        (sentence,) = set(_found(_addresses(world.url)))
        assert sentence.endswith("unauthorized access; give it the right user and password, or token")
        with pytest.raises(SinkHeld, match="unauthorized access"):
            set_up(_addresses(world.url))
    with pytest.raises(SinkBusy):
        set_up(_addresses(world.url))
    assert "cannot be reached" in _found(_addresses(world.url))[0]
    with later("1.5.4") as old:
        assert "1.6 is the oldest" in _found(_addresses(old.url))[0]


def test_a_clock_that_is_apart_is_told() -> None:
    with later("2.7.12") as world:
        world.hidden = world.closed = set()
        clock = StillClock(SystemClock().now().wall_ns + 3600 * NS_PER_S)
        found = list(check(_addresses(world.url), SPARE, 1000, clock))
    assert "s behind ours; let both follow the same time source" in found[0].sentence


def test_an_answer_that_takes_long_is_no_clock_that_is_apart() -> None:
    begun_ns = SystemClock().now().wall_ns

    class Held:
        """We stand still for a minute between our looks at the clock, in which the server answers."""

        asked = -1

        def now(self) -> Instant:
            self.asked += 1
            return Instant(0, begun_ns + (60 * self.asked - 30) * NS_PER_S)

    with later("2.7.12") as world:
        found = list(check(_addresses(world.url), SPARE, 1000, Held()))
    assert all("ours" not in each.sentence for each in found)


def test_roll_ups_can_be_left_out_and_each_database_has_its_tables() -> None:
    settings = InfluxSettings(url="http://h:1", bucket="b", ca_file=Path("/ca"), keep_5m_days=9)
    made = databases(settings)
    assert [(address.database, address.keep_days, name) for address, name, _ in made] == [
        ("b", 30, "influxdb"), ("b_5m", 9, "influxdb-5m"), ("b_1h", 1095, "influxdb-1h"),
    ]  # fmt: skip
    assert made[0][0].ca_file == Path("/ca")
    assert "window" in made[0][2]
    assert "flow" not in made[0][2]
    assert [tables for *_, tables in made[1:]] == [
        {"window_5m"},
        {"window_1h", "throughput", "score", "node_score"},
    ]
    assert len(databases(settings.model_copy(update={"rollups": False}))) == 1


def test_durations_of_1() -> None:
    assert [seconds_of(text) for text in ("720h0m0s", "0s", "1h30m5s")] == [2_592_000, 0, 5405]


# a real 1.x


@pytest.mark.influx
def test_1_x_gets_databases_and_a_changed_retention(influxd: Influxd) -> None:
    addresses = _addresses(influxd.url, "setup")
    names = [address.database for address in addresses]
    expected = dict.fromkeys(names, 1)
    assert _found(addresses, expected) == [
        f"there is no database {name}; run `linkgauge store setup`" for name in names
    ]
    version, changes = set_up(addresses)
    assert (1, 6) <= version < (2, 0)
    assert [each.done for each in changes] == ["made"] * 3
    assert _found(addresses, expected) == []
    influxd.query('ALTER RETENTION POLICY "autogen" ON "setup_5m" DURATION 7d SHARD DURATION 1d')
    assert "setup_5m keeps 7 d, the settings say 180 d" in _found(addresses, expected)[0]
    assert [each.done for each in set_up(addresses)[1]] == ["kept", "altered", "kept"]
    rows = influxd.values('SHOW RETENTION POLICIES ON "setup_5m"', "setup_5m")
    assert [row[:3] + row[4:] for row in rows] == [["autogen", "4320h0m0s", "168h0m0s", True]]
    assert influxd.values("SHOW MEASUREMENTS", "setup") == []


@pytest.mark.influx
def test_1_x_counts_its_series(influxd: Influxd) -> None:
    influxd.query('CREATE DATABASE "many"')
    lines = "\n".join(f"m,k={at} f=1" for at in range(900))
    (address,) = _addresses(influxd.url, "many")[:1]
    _post(influxd, "many", lines)
    found = [sentence for sentence in _found([address], {"many": 1}) if "series" in sentence]
    assert len(found) == 1
    assert found[0].startswith("database many: 900 series, the bound is 1000")
    assert found[0].endswith("(counted by the server)")


def _post(server: Influxd, database: str, lines: str) -> None:
    httpx.post(f"{server.url}/write", params={"db": database}, content=lines).raise_for_status()


@pytest.mark.influx
def test_1_6_tells_of_a_wrong_password_and_of_a_user_who_may_only_read(
    influxd_with_password: Influxd,
) -> None:
    server = influxd_with_password
    server.query('CREATE DATABASE "looked" WITH DURATION 30d NAME "autogen"')
    server.query("CREATE USER eye WITH PASSWORD 'ink'")
    server.query('GRANT READ ON "looked" TO eye')
    server.query("CREATE USER pen WITH PASSWORD 'ink'")
    server.query('GRANT WRITE ON "looked" TO pen')
    wrong = InfluxAddress(server.url, "looked", USER, SecretStr("no"))
    assert "authorization failed; give it the right user and password" in _found([wrong], {"looked": 1})[0]
    right = InfluxAddress(server.url, "looked", USER, SecretStr(PASSWORD))
    assert _found([right], {"looked": 1}) == []
    writer = InfluxAddress(server.url, "looked", "pen", SecretStr("ink"))
    found = _found([writer], {"looked": 1})
    assert [each.partition(": ")[0] for each in found] == ["hint"]
    assert "retention is not checked" in found[0]
    reader = InfluxAddress(server.url, "looked", "eye", SecretStr("ink"))
    (sentence,) = (each for each in _found([reader], {"looked": 1}) if "write" in each)
    assert 'not authorized to write to database "looked"' in sentence
