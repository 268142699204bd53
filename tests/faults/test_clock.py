"""Clocks that are an hour off, and batches that nobody can read: others go on, all that can be is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from collector.http.tokens import issue
from collector.plans.plan_book import PlanBook
from collector.service import build, listen, make_server
from collector.sinks.archive_reader import ArchiveReader
from console.agent import sending
from linkgauge.clock import NS_PER_S, Instant, SystemClock
from linkgauge.wire import Batch, encode
from probes.settings import AgentSettings
from probes.upload import put_off
from probes.upload.outbox import Outbox
from probes.upload.upload import Uploader
from tests.collector.running import LINKS, judge, settings_in
from tests.collector.world import WINDOW_NS, until, windows

HOUR_NS = 3_600 * NS_PER_S


class Wrong:
    """The clock of this host, its wall clock off by so much."""

    def __init__(self) -> None:
        self.off_ns = 0

    def now(self) -> Instant:
        true = SystemClock().now()
        return Instant(true.mono_ns, true.wall_ns + self.off_ns)


@dataclass
class Pair:
    """An agent's sending part and a collector, each with a clock that may be set."""

    folder: Path
    agent_clock: Wrong
    collector_clock: Wrong
    outbox: Outbox
    uploader: Uploader
    starts: list[int]

    def report(self) -> None:
        """Put one window of each link, of now by the agent's clock."""
        now_ns = self.agent_clock.now().wall_ns
        start_ns = now_ns - now_ns % WINDOW_NS - WINDOW_NS
        while start_ns in self.starts:
            start_ns -= WINDOW_NS
        frame = windows(LINKS, start_ns)
        self.starts.append(start_ns)
        self.outbox.put(
            "boot1", lambda number: encode(Batch("j1", "boot1", number, now_ns, {"window": frame})), 3, now_ns
        )
        self.uploader.wake()

    def waiting(self) -> int:
        return self.outbox.counts().waiting

    def archived(self) -> list[int]:
        """Starts of the archive's windows of one link, doubles too."""
        reader = ArchiveReader(self.folder / "data" / "archive")
        rows = reader.keys("window")
        reader.close()
        return sorted(row[6] for row in rows if row[3] == LINKS[0])


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    monkeypatch.setattr(put_off, "FIRST_NS", NS_PER_S)  # not a minute: nobody waits for it here
    settings = settings_in(tmp_path)
    agent_clock, collector_clock = Wrong(), Wrong()
    token = issue(settings.tokens, "j1")
    collector = build(settings, PlanBook(settings.inventory), judge, clock=collector_clock)
    socket = listen(settings)
    server: uvicorn.Server = make_server(collector)
    thread = threading.Thread(target=server.run, args=([socket],))
    collector.start()
    thread.start()
    until(lambda: server.started)
    (tmp_path / "token").write_text(token)
    (tmp_path / "token").chmod(0o600)
    agent = AgentSettings(
        node="j1",
        collectors=[f"http://127.0.0.1:{socket.getsockname()[1]}"],
        token_file=tmp_path / "token",
        data_dir=tmp_path / "agent",
    )
    outbox, uploader = sending(agent, agent_clock)
    uploader.start()
    yield Pair(tmp_path, agent_clock, collector_clock, outbox, uploader, [])
    uploader.stop(1)
    outbox.close()
    server.should_exit = True
    thread.join(20)
    collector.stop()
    socket.close()


def test_an_agents_clock_steps_an_hour_forth_and_back(pair: Pair) -> None:
    """What it told of the future waits until that is the present; what is right goes past it."""
    pair.report()
    until(lambda: pair.waiting() == 0)
    pair.agent_clock.off_ns = HOUR_NS
    pair.report()
    pair.report()
    until(lambda: pair.uploader.uploads.deferred == 2)
    pair.agent_clock.off_ns = 0
    for _ in range(3):
        pair.report()
    until(lambda: pair.waiting() == 2)
    pair.agent_clock.off_ns = pair.collector_clock.off_ns = HOUR_NS  # an hour later
    until(lambda: pair.waiting() == 0, 90)
    until(lambda: pair.archived() == sorted(pair.starts))


def test_a_collectors_clock_steps_an_hour_back_and_forth(pair: Pair) -> None:
    pair.report()
    until(lambda: pair.waiting() == 0)
    pair.collector_clock.off_ns = -HOUR_NS
    pair.report()
    until(lambda: pair.uploader.uploads.deferred == 1)
    assert pair.waiting() == 1
    pair.collector_clock.off_ns = 0
    pair.report()
    until(lambda: pair.waiting() == 0, 90)
    until(lambda: pair.archived() == sorted(pair.starts))


def test_an_agents_clock_steps_an_hour_back(pair: Pair) -> None:
    """Old times are taken: an outbox may bring a week."""
    pair.report()
    pair.agent_clock.off_ns = -HOUR_NS
    for _ in range(3):
        pair.report()
    until(lambda: pair.waiting() == 0)
    until(lambda: pair.archived() == sorted(pair.starts))


def test_a_batch_that_nobody_can_read_stops_no_other(pair: Pair) -> None:
    pair.outbox.put("boot1", lambda number: b"\x86poison", 1, pair.agent_clock.now().wall_ns)
    for _ in range(3):
        pair.report()
    until(lambda: pair.waiting() == 0)
    until(lambda: pair.archived() == sorted(pair.starts))
    (letter,) = pair.outbox.dead_letters()
    assert "cannot be read" in letter[1]
    counts = pair.outbox.counts()
    assert (counts.produced, counts.acknowledged, counts.rejected, counts.dropped) == (4, 3, 1, 0)
