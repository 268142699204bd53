"""Every generation gets its lines by the address that fits it, against a server that answers like them."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from collector.health.metrics import Metrics
from collector.journal.journal import Journal
from collector.sinks.dead_letters import DeadLetters
from collector.sinks.influx import InfluxSink
from collector.sinks.influx_address import InfluxAddress
from collector.sinks.influx_transport import connect
from collector.sinks.line_protocol import LineMaker
from collector.sinks.pump import Pump
from collector.sinks.sink import RowsRejected
from linkgauge.errors import SinkBusy, SinkHeld
from tests.collector.journals import FROM_ONE
from tests.collector.sinks.later_influx import World, later
from tests.collector.sinks.test_influx import RECENT_NS, delivery_of, links_of, tags_of
from tests.collector.world import StillClock, body, health, until, windows


def _address(world: World) -> InfluxAddress:
    return InfluxAddress(
        world.url, user="me", password=SecretStr("hush"), token=SecretStr("a-token"), org="ours"
    )


def _sink(world: World) -> InfluxSink:
    return InfluxSink(lambda: connect(_address(world)), LineMaker(tags_of))


@pytest.mark.parametrize(
    ("version", "path", "query", "authorization"),
    [
        ("1.7.9", "/write", {"db": ["linkgauge"], "precision": ["ns"]}, "Basic bWU6aHVzaA=="),
        ("1.8.10", "/write", {"db": ["linkgauge"], "precision": ["ns"]}, "Basic bWU6aHVzaA=="),
        (
            "v2.7.12",
            "/api/v2/write",
            {"org": ["ours"], "bucket": ["linkgauge"], "precision": ["ns"]},
            "Token a-token",
        ),
        (
            "3.10.1",
            "/api/v3/write_lp",
            {"db": ["linkgauge"], "precision": ["nanosecond"], "accept_partial": ["true"]},
            "Bearer a-token",
        ),
    ],
)
def test_each_generation_gets_lines_its_own_way(
    version: str, path: str, query: dict[str, list[str]], authorization: str
) -> None:
    with later(version) as world, closing(_sink(world)) as sink:
        sink.write([delivery_of(windows(links_of(2), RECENT_NS))])
    ((asked, told, sent_as, text),) = world.writes
    assert (asked, told, sent_as) == (path, query, authorization)
    assert len(text.split("\n")) == 4
    assert text.startswith("link_loss,link=j1>h0@n,src=j1,network=n,probe=stamp,class=0 sent=100i")


@pytest.mark.parametrize("version", ["2.7.12", "3.10.1"])
def test_a_missing_bucket_is_made_with_its_retention(version: str) -> None:
    with later(version) as world, closing(_sink(world)) as sink:
        sink.write([delivery_of(health("j1", RECENT_NS))])
    assert world.buckets == {"linkgauge": 30}


@pytest.mark.parametrize(
    ("version", "path"), [("2.7.12", "/api/v2/buckets"), ("3.10.1", "/api/v3/configure/database")]
)
def test_a_token_that_may_only_write_is_enough(version: str, path: str) -> None:
    with later(version) as world, closing(_sink(world)) as sink:
        world.closed, world.hidden = {path}, {"linkgauge"}
        sink.write([delivery_of(health("j1", RECENT_NS))])
    assert len(world.writes) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(401, SinkHeld), (404, SinkHeld), (429, SinkBusy), (503, SinkBusy), (500, SinkBusy)]
)
def test_what_each_status_means(status: int, kind: type[Exception]) -> None:
    refusal = (status, json.dumps({"code": "x", "message": "the words"}))
    with later("2.7.1", [refusal]) as world, closing(_sink(world)) as sink:
        with pytest.raises(kind, match="the words") as caught:
            sink.write([delivery_of(health("j1", RECENT_NS))])
        if status == 503:
            assert getattr(caught.value, "retry_after_s", None) == 4
        sink.write([delivery_of(health("j1", RECENT_NS))])
    assert len(world.writes) == 2


@pytest.mark.parametrize("version", ["1.7.9", "1.8.10", "2.7.1", "3.10.1"])
def test_a_server_whose_disk_is_full_gets_everything_once_there_is_room(version: str, tmp_path: Path) -> None:
    words = "engine: write /var/lib/influxdb/wal/_00001.wal: no space left on device"
    full = (500, json.dumps({"code": "internal error", "message": words, "error": words}))
    journal, dead = (
        Journal(tmp_path / "journal.sqlite", 10**9, 10**9, FROM_ONE),
        DeadLetters(tmp_path / "dead.sqlite"),
    )
    journal.register(["influxdb"])
    with later(version, [full, full]) as world, closing(_sink(world)) as sink:
        pump = Pump(sink, journal, dead, StillClock(), Metrics())
        for number in (1, 2):
            journal.append("j1", "b", number, 1, 1, body("j1", number, health("j1", RECENT_NS + number)))
            assert pump.step() > 0
            assert words in (pump.trouble or "")
            assert journal.backlog("influxdb")[0] == number
        until(lambda: pump.step() > 0 and pump.trouble is None)
    stored = "\n".join(text for *_, text in world.writes[2:]).split("\n")
    assert [line.rpartition(" ")[2] for line in stored] == [str(RECENT_NS + 1), str(RECENT_NS + 2)]
    assert (journal.cursor("influxdb"), dead.counts().kept) == (2, 0)
    dead.close()
    journal.close()


def test_lines_that_3_names_by_number_cost_one_more_request() -> None:
    invalid = [
        {"original_line": "x", "line_number": number, "error_message": f"bad {number}"} for number in (2, 4)
    ]
    partial = (400, json.dumps({"error": "partial write of line protocol occurred", "data": invalid}))
    with (
        later("3.10.1", [partial]) as world,
        closing(_sink(world)) as sink,
        pytest.raises(RowsRejected) as caught,
    ):
        sink.write([delivery_of(windows(links_of(3), RECENT_NS))])
    first, second = (text.split("\n") for *_, text in world.writes)
    assert caught.value.refused == ((first[1], "bad 2"), (first[3], "bad 4"))
    assert second == [line for at, line in enumerate(first) if at not in (1, 3)]


def test_a_limit_of_3_holds_instead_of_losing_every_line() -> None:
    words = "Update to schema would exceed number of columns per table limit of 500 columns"
    invalid = [{"original_line": "x", "line_number": 1, "error_message": words}]
    answer = (422, json.dumps({"error": "partial write of line protocol occurred", "data": invalid}))
    with (
        later("3.10.1", [answer]) as world,
        closing(_sink(world)) as sink,
        pytest.raises(SinkHeld, match="look at the server"),
    ):
        sink.write([delivery_of(health("j1", RECENT_NS))])


def test_a_bad_line_that_nobody_names_is_found_by_halving() -> None:
    refused = (400, json.dumps({"code": "invalid", "message": "no"}))
    with (
        later("2.7.1", [refused, refused, refused]) as world,
        closing(_sink(world)) as sink,
        pytest.raises(RowsRejected) as caught,
    ):
        sink.write([delivery_of(windows(links_of(2), RECENT_NS))])
    assert caught.value.rows == 1
    assert [len(text.split("\n")) for *_, text in world.writes] == [4, 2, 1, 1, 2]


def test_a_server_that_vanishes_is_busy() -> None:
    with later("2.7.1") as world:
        transport = connect(_address(world))
    with closing(transport), pytest.raises(SinkBusy, match="cannot be reached"):
        transport.write(b"m f=1 1")


def test_something_that_is_no_influxdb_holds() -> None:
    with later("nginx") as world, pytest.raises(SinkHeld, match=r"correct influxdb\.url"):
        connect(_address(world))


def test_2_without_an_organisation_is_told() -> None:
    with later("2.7.1") as world, pytest.raises(SinkHeld, match=r"set influxdb\.org"):
        connect(InfluxAddress(world.url, token=SecretStr("t")))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program")
    folder = tmp_path_factory.mktemp("tls")
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", "key.pem", "-out", "ca.pem", "-days", "2", "-subj", "/CN=influx"]
    san = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*argv, *files, *san], cwd=folder, check=True, capture_output=True)
    return folder / "ca.pem", folder / "key.pem"


@pytest.mark.parametrize("version", ["1.8.10", "2.7.12", "3.10.1"])
def test_over_tls_the_given_authority_is_trusted_and_no_other(
    version: str, certificate: tuple[Path, Path]
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with later(version, tls=context) as world:
        trusting = replace(_address(world), ca_file=certificate[0])
        with closing(connect(trusting)) as transport:
            transport.write(b"m f=1.0 1")
        with pytest.raises(SinkBusy, match="CERTIFICATE_VERIFY_FAILED"):
            connect(_address(world))
    assert [text for *_, text in world.writes] == ["m f=1.0 1"]
    assert ("linkgauge" in world.buckets) == (version != "1.8.10")
