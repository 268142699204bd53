"""The collector as a process would run it: HTTP, restart, kill, port in use, handed-over sockets."""

from __future__ import annotations

import gzip
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from collector.plan_book import PlanBook
from collector.service import build, listen, make_server, sockets_from_environment
from collector.settings import Settings
from collector.sinks.archive_reader import ArchiveReader
from collector.tokens import issue
from linkgauge.clock import NS_PER_S, SystemClock, window_start
from linkgauge.errors import ConfigError
from linkgauge.frame import Frame
from linkgauge.model import LinkSpec
from linkgauge.schema import STATE
from linkgauge.wire import CONTENT_TYPE, decode_plan
from tests.collector.world import WINDOW_NS, body, health, until, windows, write_inventory
from tests.influxd import Influxd, influxd

__all__ = ["influxd"]
LINKS = ["j1>j2@backbone", "j1>g1@backbone", "j1>g1@private"]


def _now_ns() -> int:
    return SystemClock().now().wall_ns


def _judge(_period: Frame, _tests: Frame, specs: Sequence[LinkSpec], start_ns: int) -> Frame:
    count = len(specs)
    columns = {"link": [str(spec.link) for spec in specs], "start_ns": [start_ns] * count}
    return Frame.of(STATE, {**columns, "length_ns": [WINDOW_NS] * count, "verdict": [1] * count})


def _settings(folder: Path, more: str = "") -> Settings:
    write_inventory(folder)
    path = folder / "collector.yaml"
    path.write_text(
        "inventory: inventory.yaml\ndata_dir: data\ntokens: tokens.yaml\nlisten: 127.0.0.1:0\n"
        "archive: {flush_s: 0.2}\nmax_body_bytes: 200000\n" + more
    )
    return Settings.load(path)


class Running:
    """A collector that answers on a free port, and the token of j1."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.settings = _settings(folder, more)
        self.token = issue(self.settings.tokens, "j1")
        self.collector = build(self.settings, PlanBook(self.settings.inventory), _judge)
        self.socket = listen(self.settings)
        self.server = make_server(self.collector)
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],))
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.socket.getsockname()[1]}", timeout=20)

    def __enter__(self) -> Running:
        self.collector.start()
        self.thread.start()
        until(lambda: self.server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.server.should_exit = True
        self.thread.join(20)
        self.collector.stop()
        self.socket.close()

    def post(self, data: bytes, token: str | None = None, **headers: str) -> httpx.Response:
        given = {"Authorization": f"Bearer {token or self.token}", "Content-Type": CONTENT_TYPE, **headers}
        return self.client.post("/v1/batches", content=data, headers=given)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running(tmp_path) as made:
        yield made


def _body(number: int, start_ns: int | None = None, boot: str = "boot1") -> bytes:
    start = start_ns or window_start(_now_ns(), WINDOW_NS) - WINDOW_NS
    return body("j1", number, windows(LINKS, start), health("j1", start), created_ns=_now_ns(), boot=boot)


def test_a_batch_goes_all_the_way(running: Running) -> None:
    data = _body(1)
    assert running.post(gzip.compress(data), **{"Content-Encoding": "gzip"}).json() == {"duplicate": False}
    assert running.post(data).json() == {"duplicate": True}
    link = running.client.get(f"/v1/links/{quote(LINKS[0], safe='')}").json()
    assert (link["link"], link["rtt_p50_us"]) == (LINKS[0], 300.0)
    links = running.client.get("/v1/links", params={"site": "guiyang", "network": "private"}).json()
    assert [found["link"] for found in links] == ["j1>g1@private", "g1>j1@private"]
    agents = {agent["agent"]: agent for agent in running.client.get("/v1/agents").json()}
    assert agents["j1"]["boot"] == "boot1"
    reader = ArchiveReader(running.settings.archive_path)
    until(lambda: len(reader.keys("window")) == 3)
    until(lambda: len(reader.keys("state")) == 8)
    reader.close()
    assert running.client.get("/v1/links", params={"verdict": "missed"}).json() == []
    assert len(running.client.get("/v1/links", params={"verdict": "met"}).json()) == 8


def test_status_metrics_health_alerts_and_docs(running: Running) -> None:
    running.post(_body(1))
    running.post(b"garbage")
    status = running.client.get("/v1/status").json()
    assert status["counters"]["batches_refused_total:malformed"] == 1
    assert status["sinks"]["archive"]["trouble"] is None
    text = running.client.get("/metrics").text
    assert 'linkgauge_collector_batches_refused_total{reason="malformed"} 1.0' in text
    assert 'linkgauge_collector_batches_refused_total{reason="future"} 0.0' in text
    assert 'linkgauge_collector_sink_backlog{sink="archive"}' in text
    assert (running.client.get("/healthz").status_code, running.client.get("/healthz").text) == (200, "ok")
    assert running.client.get("/v1/alerts").json() == []
    assert running.client.get("/docs").status_code == 200
    assert "/v1/batches" in running.client.get("/openapi.json").json()["paths"]


def test_refusals_over_http(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    other = issue(running.settings.tokens, "g1")
    now_ns = _now_ns()
    cases = [
        (running.post(_body(1), token="wrong"), 401, "token"),
        (running.client.post("/v1/batches", content=_body(1)), 401, "token"),
        (running.post(_body(1), token=other), 403, "wrong_agent"),
        (
            running.post(body("j1", 1, windows(["g1>j1@backbone"], now_ns), created_ns=now_ns)),
            403,
            "wrong_agent",
        ),
        (running.post(_body(1)[:-1]), 400, "malformed"),
        (running.post(_body(1, now_ns + 120 * NS_PER_S)), 400, "future"),
        (running.post(bytes(200_001)), 413, "too_large"),
        (running.post(gzip.compress(bytes(10**7)), **{"Content-Encoding": "gzip"}), 413, "too_large"),
        (running.post(_body(1), **{"Content-Encoding": "br"}), 415, "encoding"),
    ]
    for reply, status, reason in cases:
        assert (reply.status_code, reply.json()["reason"]) == (status, reason)
        assert reply.json()["error"]
    assert cases[0][0].headers["WWW-Authenticate"] == "Bearer"
    assert running.client.get("/v1/links/nonsense").json()["reason"] == "unknown_link"
    assert running.client.get("/nowhere").json() == {"reason": "http", "error": "Not Found"}
    assert running.token not in caplog.text
    assert other not in caplog.text


def test_too_much_at_once_is_asked_to_come_again(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.api.BUSIEST", 0)
    reply = running.post(_body(1))
    assert (reply.status_code, reply.json()["reason"]) == (503, "busy")
    assert int(reply.headers["Retry-After"]) > 0
    monkeypatch.undo()
    assert running.post(_body(1)).status_code == 200


def test_a_body_without_a_length_is_bounded_too(running: Running) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(30):
            yield bytes(10_000)

    headers = {"Authorization": f"Bearer {running.token}"}
    assert running.client.post("/v1/batches", content=parts(), headers=headers).status_code == 413


def test_the_plan_has_a_tag_and_follows_the_inventory(running: Running) -> None:
    headers = {"Authorization": f"Bearer {running.token}"}
    first = running.client.get("/v1/plan", headers=headers)
    assert decode_plan(first.content).agent == "j1"
    assert "max-age" in first.headers["Cache-Control"]
    same = running.client.get("/v1/plan", headers={**headers, "If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    text = running.settings.inventory.read_text().replace("10.0.0.2", "10.0.0.22")
    running.settings.inventory.write_text(text)
    changed = running.client.get("/v1/plan", headers={**headers, "If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert running.client.get("/v1/plan").status_code == 401
    stranger = issue(running.settings.tokens, "x1")
    reply = running.client.get("/v1/plan", headers={"Authorization": f"Bearer {stranger}"})
    assert (reply.status_code, reply.json()["reason"]) == (404, "unknown_agent")


def test_a_full_journal_answers_507_and_recovers(running: Running) -> None:
    assert running.post(_body(1)).status_code == 200
    journal = running.collector.journal
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count={pages}")
    reply = None
    for number in range(2, 60):
        reply = running.post(_body(number))
        if reply.status_code != 200:
            break
    assert reply is not None
    assert (reply.status_code, reply.json()["reason"]) == (507, "store")
    assert "make room" in reply.json()["error"]
    assert "Retry-After" in reply.headers
    health = running.client.get("/healthz")
    assert health.status_code == 503
    assert "journal.sqlite" in health.text
    journal._db.execute("PRAGMA max_page_count=1000000")
    assert running.post(_body(99)).status_code == 200
    assert running.client.get("/healthz").status_code == 200


def test_a_restart_forgets_nothing_of_the_last_period(tmp_path: Path) -> None:
    with Running(tmp_path) as first:
        start_ns = window_start(_now_ns(), WINDOW_NS) - WINDOW_NS
        first.post(_body(1, start_ns - WINDOW_NS))
        until(lambda: first.collector.journal.backlog("archive")[0] == 0)
    more = "influxdb: {url: 'http://127.0.0.1:1'}\n"
    with Running(tmp_path, more.replace("influxdb", "name: x\ninfluxdb")) as second:
        assert second.collector.live.period(start_ns).rows == 3
        assert second.post(_body(1, start_ns - WINDOW_NS)).json() == {"duplicate": True}
        second.post(_body(2, start_ns))
        assert second.collector.live.period(start_ns).rows == 6
        until(lambda: second.client.get("/v1/status").json()["sinks"]["influxdb"]["trouble"] is not None)
        assert second.client.get("/healthz").status_code == 200
        until(lambda: second.collector.journal.backlog("archive")[0] == 0)
        assert second.collector.journal.backlog("influxdb")[0] > 0


@pytest.mark.influx
def test_archive_and_influxdb_get_the_same(tmp_path: Path, influxd: Influxd) -> None:
    with Running(tmp_path, f"influxdb: {{url: '{influxd.url}', database: service}}\n") as running:
        for number in range(1, 6):
            start_ns = window_start(_now_ns(), WINDOW_NS) - (number + 1) * WINDOW_NS
            assert running.post(_body(number, start_ns)).status_code == 200
        until(lambda: running.collector.journal.backlog("influxdb")[0] == 0)
        until(lambda: running.collector.journal.backlog("archive")[0] == 0)
        reader = ArchiveReader(running.settings.archive_path)
        keys = {(key[3], key[6]) for key in reader.keys("window")}
        reader.close()
    points = influxd.values('SELECT "sent", "link" FROM link_loss', "service")
    assert {(link, start_ns) for start_ns, _, link in points} == keys
    assert len(points) == len(keys) == 15
    assert influxd.values("SELECT * FROM collector_health", "service") != []


def test_a_port_in_use_is_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = _settings(tmp_path).model_copy(update={"listen": address})
        with pytest.raises(ConfigError) as caught:
            listen(settings)
    assert str(caught.value) == (
        f"{address} is in use by another program; stop it or set `listen` in {tmp_path / 'collector.yaml'}"
    )


def test_a_bad_certificate_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "pem").write_text("nothing")
    settings = _settings(tmp_path, "tls: {certificate: pem, key: pem}\n")
    issue(settings.tokens, "j1")
    collector = build(settings, PlanBook(settings.inventory), _judge)
    with pytest.raises(ConfigError, match="certificate or key of tls"):
        make_server(collector)
    collector.stop(0)


def test_sockets_are_taken_from_the_environment_of_this_process_only(tmp_path: Path) -> None:
    assert sockets_from_environment({}) == []
    assert sockets_from_environment({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []


_HANDED = """
import os, sys
from collector.service import sockets_from_environment
from linkgauge.errors import ConfigError
os.environ["LISTEN_PID"] = str(os.getpid())
try:
    print([made.getsockname()[1] for made in sockets_from_environment()], "LISTEN_FDS" in os.environ)
except ConfigError as err:
    print(err)
"""


@pytest.mark.parametrize("listening", [True, False])
def test_a_handed_over_socket(listening: bool) -> None:
    made = socket.create_server(("127.0.0.1", 0)) if listening else socket.socket()
    with made:
        command = f'exec "$0" -c "$1" 3<&{made.fileno()}'
        reply = subprocess.run(
            ["/bin/bash", "-c", command, sys.executable, _HANDED],
            pass_fds=[made.fileno()],
            env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "linkgauge"},
            capture_output=True,
            text=True,
            check=True,
        )
        if listening:
            assert reply.stdout == f"[{made.getsockname()[1]}] False\n"
        else:
            assert "file descriptor 3 (linkgauge) is no listening stream socket" in reply.stdout


_CHILD = """
import sys
from pathlib import Path
from collector.plan_book import PlanBook
from collector.service import build, listen, serve
from collector.settings import Settings
from tests.collector.test_service import _judge
settings = Settings.load(Path(sys.argv[1]))
collector = build(settings, PlanBook(settings.inventory), _judge)
made = listen(settings)
print(made.getsockname()[1], flush=True)
serve(collector, [made])
print("stopped", flush=True)
"""


@contextmanager
def _process(settings: Settings) -> Iterator[tuple[subprocess.Popen[str], str]]:
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(settings.file)], stdout=subprocess.PIPE, text=True, cwd=os.getcwd()
    )
    assert child.stdout is not None
    try:
        yield child, f"http://127.0.0.1:{int(child.stdout.readline())}"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def _send(url: str, token: str, numbers: Sequence[int]) -> list[int]:
    """Post batches until one is not acknowledged; returns those that were."""
    acknowledged = []
    headers = {"Authorization": f"Bearer {token}"}
    start_ns = window_start(_now_ns(), WINDOW_NS) - 3 * WINDOW_NS
    with httpx.Client(base_url=url, headers=headers, timeout=20) as client:
        for number in numbers:
            try:
                reply = client.post("/v1/batches", content=_body(number, start_ns))
            except httpx.HTTPError:
                break
            if reply.status_code == 200:
                acknowledged.append(number)
    return acknowledged


def test_kill_in_mid_run_loses_and_doubles_nothing(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    token = issue(settings.tokens, "j1")
    acknowledged: set[int] = set()
    for _ in range(2):
        with _process(settings) as (child, url):
            timer = threading.Timer(1.0, child.send_signal, (signal.SIGKILL,))
            timer.start()
            todo = [number for number in range(1, 3000) if number not in acknowledged]
            acknowledged.update(_send(url, token, todo))
            timer.join()
    assert acknowledged
    with _process(settings) as (child, url):
        _send(url, token, sorted(acknowledged)[-3:])  # an agent that missed the answer sends again
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0
        assert child.stdout is not None
        assert child.stdout.read() == "stopped\n"
    reader = ArchiveReader(settings.archive_path)
    keys = [key for key in reader.keys("window") if key[0] == "j1"]
    reader.close()
    assert len(keys) == len(set(keys))
    found = {key[2] for key in keys}
    assert acknowledged <= found
    assert found <= set(range(1, max(acknowledged) + 2))


def test_an_interrupt_ends_the_process_in_order(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    issue(settings.tokens, "j1")
    with _process(settings) as (child, url):
        until(lambda: httpx.get(f"{url}/healthz").status_code == 200)
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 0
