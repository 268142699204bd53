"""The collector as a process would run it: restart, kill, port in use, handed-over sockets."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path

import httpx
import pytest

from collector.http.tokens import issue
from collector.live.recent import Past
from collector.plans.plan_book import PlanBook
from collector.service import as_listened, build, listen, sockets_from_environment
from collector.settings import Settings
from collector.sinks.archive_reader import ArchiveReader
from linkgauge.clock import window_start
from linkgauge.errors import ConfigError
from tests.collector.running import LINKS, Running, judge, now_ns, report, settings_in
from tests.collector.world import INVENTORY, WINDOW_NS, body, flows, throughput, until
from tests.influxd import Influxd, influxd

__all__ = ["influxd"]


def test_a_restart_forgets_nothing_of_the_last_period(tmp_path: Path) -> None:
    inventory = INVENTORY.replace("period_s: 60", "period_s: 600")  # so long the restart may take
    with Running(tmp_path, inventory=inventory) as first:
        start_ns = window_start(now_ns(), WINDOW_NS) - WINDOW_NS
        first.post(report(1, start_ns - WINDOW_NS))
        tested_ns = start_ns - 360 * WINDOW_NS  # long before the period, but a test counts for two cycles
        first.post(body("j1", 9, throughput(LINKS[0], 2e6, tested_ns), created_ns=tested_ns, boot="boot1"))
        first.post(body("j1", 10, flows(LINKS[0], start_ns - 20 * WINDOW_NS), created_ns=start_ns))
        until(lambda: first.collector.journal.backlog("archive")[0] == 0)
    more = "influxdb: {url: 'http://127.0.0.1:1'}\n"
    with Running(tmp_path, more.replace("influxdb", "name: x\ninfluxdb"), inventory=inventory) as second:
        assert sum(frame.rows for past in second.pasts for frame in past.windows) == 3
        lost = [sorted(frame.count("lost_forward")) for past in second.pasts for frame in past.flows]
        assert lost == [[0, 100]]
        assert second.collector.live.throughput(start_ns).real("received_bps").tolist() == [2e6]
        assert second.post(report(1, start_ns - WINDOW_NS)).json() == {"duplicate": True}
        second.post(report(2, start_ns))
        news: list[Past] = []

        def judged() -> int:
            """Rows that a judge was given, and those that wait for one."""
            news.append(second.collector.live.news())
            return sum(frame.rows for past in [*second.pasts, *news] for frame in past.windows)

        until(lambda: judged() == 6)
        until(lambda: second.client.get("/v1/status").json()["sinks"]["influxdb"]["trouble"] is not None)
        assert second.client.get("/healthz").status_code == 200
        until(lambda: second.collector.journal.backlog("archive")[0] == 0)
        assert second.collector.journal.backlog("influxdb")[0] > 0


@pytest.mark.influx
def test_archive_and_influxdb_get_the_same(tmp_path: Path, influxd: Influxd) -> None:
    with Running(tmp_path, f"influxdb: {{url: '{influxd.url}', database: service}}\n") as running:
        for number in range(1, 6):
            start_ns = window_start(now_ns(), WINDOW_NS) - (number + 1) * WINDOW_NS
            assert running.post(report(number, start_ns)).status_code == 200
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
        settings = settings_in(tmp_path).model_copy(update={"listen": address})
        with pytest.raises(ConfigError) as caught:
            listen(settings)
    assert str(caught.value) == (
        f"{address} is in use by another program; stop it or set `listen` in {tmp_path / 'collector.yaml'}"
    )


def test_a_bad_certificate_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "pem").write_text("nothing")
    settings = settings_in(tmp_path, "tls: {certificate: pem, key: pem}\n")
    issue(settings.tokens, "j1")
    with pytest.raises(ConfigError, match="certificate or key of tls"):
        build(settings, PlanBook(settings.inventory), judge)


def test_sockets_are_taken_from_the_environment_of_this_process_only(tmp_path: Path) -> None:
    assert sockets_from_environment({}) == []
    assert sockets_from_environment({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []


@pytest.mark.parametrize(
    ("address", "said", "reads_are_open"),
    [("127.0.0.1", "", True), ("0.0.0.0", "", False), ("0.0.0.0", "read_access: open\n", True)],
)
def test_handed_over_sockets_beyond_loopback_close_the_reads(
    tmp_path: Path, address: str, said: str, reads_are_open: bool
) -> None:
    settings = settings_in(tmp_path, said)
    with socket.create_server((address, 0)) as made:
        told = as_listened(settings, [made])
    assert told.reads_are_open == reads_are_open
    assert told.file == settings.file


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
import functools, sys
from pathlib import Path
from collector.plans.plan_book import PlanBook
from collector.service import Collector, build, listen, serve
from collector.settings import Settings
from tests.collector.running import judge
settings = Settings.load(Path(sys.argv[1]))
Collector.stop = functools.partialmethod(Collector.stop, 60)  # however slow the disk is
collector = build(settings, PlanBook(settings.inventory), judge)
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


def _send(url: str, token: str, numbers: Sequence[int], told: Callable[[], None] = lambda: None) -> list[int]:
    """Post batches until one is not acknowledged; returns those that were. told: called after each."""
    acknowledged = []
    headers = {"Authorization": f"Bearer {token}"}
    start_ns = window_start(now_ns(), WINDOW_NS) - 3 * WINDOW_NS
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        for number in numbers:
            try:
                reply = client.post("/v1/batches", content=report(number, start_ns))
            except httpx.HTTPError:
                break
            if reply.status_code == 200:
                acknowledged.append(number)
                told()
    return acknowledged


def test_kill_in_mid_run_loses_and_doubles_nothing(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    token = issue(settings.tokens, "j1")
    acknowledged: set[int] = set()
    for _ in range(2):
        with _process(settings) as (child, url):
            timer = threading.Timer(0.5, child.send_signal, (signal.SIGKILL,))
            first = chain([timer.start], repeat(lambda: None))  # it runs from the first that is acknowledged
            todo = [number for number in range(1, 3000) if number not in acknowledged]
            news = _send(url, token, todo, lambda first=first: next(first)())  # type: ignore[misc] # a default
            timer.join()
            assert news
            acknowledged.update(news)
    with _process(settings) as (child, url):
        _send(url, token, sorted(acknowledged)[-3:])  # an agent that missed the answer sends again
        child.send_signal(signal.SIGTERM)
        assert child.wait(120) == 0
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
    settings = settings_in(tmp_path)
    issue(settings.tokens, "j1")
    with _process(settings) as (child, url):
        until(lambda: httpx.get(f"{url}/healthz", timeout=60).status_code == 200)
        child.send_signal(signal.SIGINT)
        assert child.wait(120) == 0
