"""The InfluxDB sink against a real 1.6: everything is there once, and as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from collector.sinks.influx import SPLITS, InfluxSink
from collector.sinks.influx_address import InfluxAddress, ping, version_of
from collector.sinks.influx_transport import WriteTransport, connect
from collector.sinks.line_protocol import LineMaker
from collector.sinks.link_tags import Tags
from collector.sinks.sink import Delivery, RowsRejected
from linkgauge.clock import NS_PER_S, SystemClock, window_start
from linkgauge.errors import SinkHeld
from linkgauge.frame import Frame
from linkgauge.schema import TABLES, WINDOW
from linkgauge.table import Kind, Table
from linkgauge.wire import Batch, decode, encode
from tests.collector.world import WINDOW_NS, health, windows
from tests.influxd import PASSWORD, USER, Influxd, influxd, influxd_with_password

__all__ = ["influxd", "influxd_with_password"]
RECENT_NS = window_start(SystemClock().now().wall_ns - 3600 * NS_PER_S, WINDOW_NS)


def delivery_of(*frames: Frame, seq: int = 1) -> Delivery:
    return Delivery(seq, "j1", "boot", seq, {frame.table.name: frame for frame in frames})


def tags_of(link: str) -> dict[str, str]:
    return {"link": link, "src": link.partition(">")[0], "network": link.partition("@")[2]}


@contextmanager
def _sink(address: InfluxAddress, tags: Tags = tags_of) -> Iterator[InfluxSink]:
    with closing(InfluxSink(lambda: connect(address), LineMaker(tags))) as sink:
        yield sink


def _write(address: InfluxAddress, line: str) -> None:
    with closing(connect(address)) as transport:
        transport.write(line.encode())


def links_of(count: int) -> list[str]:
    return [f"j1>h{at}@n" for at in range(count)]


@pytest.mark.influx
def test_points_arrive_once_however_often_they_are_written(influxd: Influxd) -> None:
    address = InfluxAddress(influxd.url, "once")
    assert version_of(address, ping(address)) < (2, 0)
    delivery = delivery_of(windows(links_of(100), RECENT_NS), health("j1", RECENT_NS))
    with _sink(address) as sink:
        sink.write([delivery])
        sink.write([delivery])
        assert isinstance(sink._transport, WriteTransport)
    assert influxd.values('SELECT count("rtt_p50_us") FROM link_delay', "once")[0][1] == 100
    assert influxd.values('SELECT count("sent") FROM link_loss', "once")[0][1] == 100
    row = influxd.values('SELECT "rtt_p50_us", "link", "probe", "class" FROM link_delay LIMIT 1', "once")[0]
    assert row == [RECENT_NS, 300.0, "j1>h0@n", "stamp", "0"]
    assert influxd.values('SELECT "fit", "agent" FROM agent_health', "once") == [[RECENT_NS, 1, "j1"]]
    policy = influxd.values('SHOW RETENTION POLICIES ON "once"', "once")[0]
    assert policy[:2] == ["autogen", "720h0m0s"]


@pytest.mark.influx
def test_bad_lines_among_thousands_cost_themselves_and_few_requests(influxd: Influxd) -> None:
    good = [f"real,k={at} f={at}.5 {RECENT_NS}" for at in range(3000)]
    old = [f"real,k=old{at} f=1.0 {1000 + at}" for at in range(4)]
    bad = ["not readable x", "real,k=' f= 3", f'real,k=b f="text" {RECENT_NS}', *old]
    mixed = [line for at, line in enumerate(good) for line in (*bad[at // 400 :][: at % 400 == 7], line)]
    with _sink(InfluxAddress(influxd.url, "mixed")) as sink:
        sink.write_lines(good[:1])
        with pytest.raises(RowsRejected) as caught:
            sink.write_lines(mixed)
        assert sorted(line for line, _ in caught.value.refused) == sorted(bad)
        with pytest.raises(RowsRejected) as every:
            sink.write_lines([f"bad line {at}" for at in range(5000)])
        assert every.value.rows == 5000
        assert sink._splits == SPLITS - 1
    assert influxd.values("SELECT count(f) FROM real", "mixed")[0][1] == 3000


@pytest.mark.influx
def test_odd_tags_and_numbers_read_back(influxd: Influxd) -> None:
    with _sink(InfluxAddress(influxd.url, "odd"), lambda _: {"link": 'a b,c="d"\\'}) as sink:
        sink.write([delivery_of(windows(["x"], RECENT_NS, rtt_p50_us=1e16))])
    rows = influxd.values('SELECT "rtt_p50_us", "link" FROM link_delay', "odd")
    assert rows[0][1] == 1e16
    assert rows[0][2] == 'a b,c="d"_'


@pytest.mark.influx
def test_points_older_than_the_retention_are_named_and_the_others_stored(influxd: Influxd) -> None:
    old = windows(links_of(3), RECENT_NS - 60 * 86_400 * NS_PER_S)
    with _sink(InfluxAddress(influxd.url, "old")) as sink, pytest.raises(RowsRejected) as caught:
        sink.write([delivery_of(windows(links_of(50), RECENT_NS)), delivery_of(old, seq=2)])
    assert caught.value.rows == 6
    assert all("retention" in words for _, words in caught.value.refused)
    assert influxd.values('SELECT count("sent") FROM link_loss', "old")[0][1] == 50


@pytest.mark.influx
def test_a_conflict_of_types_costs_one_line(influxd: Influxd) -> None:
    address = InfluxAddress(influxd.url, "conflict")
    _write(address, f"link_delay,link=j1>h4@n,src=j1,network=n,probe=stamp,class=0 rtt_p50_us=1i {RECENT_NS}")
    frame = windows(links_of(9), RECENT_NS)
    with _sink(address) as sink, pytest.raises(RowsRejected) as caught:
        sink.write([delivery_of(frame)])
    assert influxd.values('SELECT count("sent") FROM link_loss', "conflict")[0][1] == 9
    assert all("conflict" in words for _, words in caught.value.refused)


@pytest.mark.influx
def test_a_database_that_went_away_is_made_again(influxd: Influxd) -> None:
    with _sink(InfluxAddress(influxd.url, "gone")) as sink:
        sink.write([delivery_of(health("j1", RECENT_NS))])
        influxd.query('DROP DATABASE "gone"')
        with pytest.raises(SinkHeld, match="create the database"):
            sink.write([delivery_of(health("j1", RECENT_NS))])
        sink.write([delivery_of(health("j1", RECENT_NS))])
    assert len(influxd.values("SELECT fit FROM agent_health", "gone")) == 1


@pytest.mark.influx
def test_a_wrong_password_holds_and_is_not_told(influxd_with_password: Influxd) -> None:
    url = influxd_with_password.url
    wrong = InfluxAddress(url, "secret", USER, SecretStr("wrong-one"))
    with _sink(wrong) as sink, pytest.raises(SinkHeld, match="right user and password") as caught:
        sink.write([delivery_of(health("j1", RECENT_NS))])
    assert "wrong-one" not in str(caught.value) + repr(wrong)
    right = InfluxAddress(url, "secret", USER, SecretStr(PASSWORD))
    with _sink(right) as sink:
        sink.write([delivery_of(health("j1", RECENT_NS))])
    assert len(influxd_with_password.values("SELECT fit FROM agent_health", "secret")) == 1


@pytest.mark.influx
def test_a_user_who_may_only_write_is_enough(influxd_with_password: Influxd) -> None:
    server = influxd_with_password
    server.query('CREATE DATABASE "writeonly"')
    server.query("CREATE USER pen WITH PASSWORD 'ink'")
    server.query('GRANT ALL ON "writeonly" TO pen')
    address = InfluxAddress(server.url, "writeonly", "pen", SecretStr("ink"))
    with _sink(address) as sink:
        sink.write([delivery_of(health("j1", RECENT_NS))])
    assert len(server.values("SELECT fit FROM agent_health", "writeonly")) == 1


HARD = 'a "quoted" \\ back, 1=2 \N{SNOWMAN} * 10.0.0.1'
_KEYS = {"link": "j1>h0@n", "probe": "stamp", "class": "46", "kind": "below-ip", "agent": "j1", "flow": "17"}


@pytest.mark.influx
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_field_of_every_table_reads_back(influxd: Influxd, table: Table) -> None:
    values: dict[str, Any] = {key: [_KEYS.get(key, "x")] for key in table.keys} | {"start_ns": [RECENT_NS]}
    for at, field in enumerate(table.fields):
        known = {Kind.COUNT: 2**62 + at, Kind.REAL: (at + 1) / 3, Kind.TEXT: HARD + str(at)}
        if field.kind in known:
            values[field.name] = [known[field.kind]]
    values["length_ns"] = [WINDOW_NS]
    batch = decode(encode(Batch("j1", "boot", 1, RECENT_NS, {table.name: Frame.of(table, values)})))
    with _sink(InfluxAddress(influxd.url, f"all_{table.name}")) as sink:
        sink.write([Delivery(1, "j1", "boot", 1, batch.frames)])
    for measurement in table.measurements:
        fields = [field.name for field in table.fields if field.measurement == measurement]
        tags = [key for key in table.keys if key in _KEYS]
        names = ", ".join(f'"{name}"' for name in (*tags, *fields))
        (row,) = influxd.values(f'SELECT {names} FROM "{measurement}"', f"all_{table.name}")
        assert row == [RECENT_NS, *(_KEYS[tag] for tag in tags), *(values[name][0] for name in fields)]
    if not table.measurements:
        assert influxd.values(f"SHOW MEASUREMENTS ON all_{table.name}", "") == []


@pytest.mark.influx
def test_a_corrected_window_overwrites_the_former(influxd: Influxd) -> None:
    with _sink(InfluxAddress(influxd.url, "corrected")) as sink:
        for revision, sent in ((0, 7), (1, 9)):
            frame = windows(links_of(3), RECENT_NS, sent=sent, rtt_p50_us=100.0 + revision)
            columns = {**frame.columns, "revision": np.full(3, revision)}
            sink.write([delivery_of(Frame(WINDOW, columns, 3), seq=revision + 1)])
    assert influxd.values('SELECT "sent", "revision" FROM link_loss', "corrected") == [[RECENT_NS, 9, 1]] * 3
    assert influxd.values('SELECT "rtt_p50_us" FROM link_delay', "corrected") == [[RECENT_NS, 101.0]] * 3
