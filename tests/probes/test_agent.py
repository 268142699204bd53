"""The agent's plan keeping: starts without a collector, takes a new plan, says what it cannot carry out."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import urllib3
from msgspec.structs import replace
from urllib3.exceptions import ProtocolError

from linkgauge.clock import NS_PER_S, SystemClock, read_clock_quality, seconds
from linkgauge.code import Outcome
from linkgauge.frame import Frame
from linkgauge.packing import unpack
from linkgauge.plan import Plan, PlanLink, Turn, encode_plan
from linkgauge.schema import CERTIFICATE, EVENT, PATH
from linkgauge.wire import decode
from probes.agent import Agent, Kit
from probes.echo import EchoRound, Fate
from probes.engine.engine import Engine
from probes.engine.flight import Caught
from probes.execution import Probers, Station
from probes.fitness import HostFitness, SystemHost
from probes.path.probe import Counts
from probes.plan_cache import PlanCache, PlanFetcher
from probes.reporter import Reporter
from probes.throughput.report import Report
from probes.upload.collector_client import CollectorClient
from probes.upload.outbox import Outbox
from tests.probes.fake_pool import Asked, FakePool, response
from tests.probes.plans import plan

HOME, PEER = "127.64.201.1", "127.64.201.2"


class Echoes:
    """Every target answers at once; each round discards something."""

    def __init__(self) -> None:
        self.discarded = 0

    def round(self, links: Sequence[PlanLink], timeout_ns: int) -> EchoRound:
        self.discarded += 1
        done = EchoRound.unsent([link.link for link in links], time.time_ns())
        done.fate[:], done.rtt_ns[:] = Fate.REPLIED, 1e6
        return done

    def close(self) -> None:
        """Nothing is open."""


class Certificates(Echoes):
    def certificates(self) -> Frame:
        return Frame.of(CERTIFICATE, {"link": ["n1>n2@n"], "start_ns": [time.time_ns()], "length_ns": [1]})


class Sweeps:
    """Finds a way at once, and an event in every window."""

    def __init__(self) -> None:
        self.stopped = False

    def counts(self) -> Counts:
        return Counts(1, 2, 3, 4, 5, 6)

    def caught(self, caught: Caught) -> None:
        """Nothing is sent, so nothing is caught."""

    def observe(self, window: Frame) -> Frame:
        at = {"start_ns": [time.time_ns()], "length_ns": [1]}
        return Frame.of(EVENT, {"link": ["n1>n2@n"], "class": ["0"], "kind": ["path"], **at})

    def follow(self, plan: Plan) -> None:
        self.plan = plan

    def round(self) -> Frame:
        at = {"start_ns": [time.time_ns()], "length_ns": [1]}
        return Frame.of(PATH, {"link": ["n1>n2@n"], "class": ["0"], "flow": ["0"], **at})

    def stop(self) -> None:
        self.stopped = True


class Responder:
    def admit(self, peers: Collection[str]) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


class Tests:
    """Remembers what it was asked to do."""

    __test__ = False

    def __init__(self) -> None:
        self.asked: list[str] = []

    def measure(self, local: str, peer: str, port: int, duration_ns: int, limit_bps: int) -> Report:
        self.asked.append(f"send {local} {peer}")
        return Report(Outcome.MEASURED, received_bps=1e6)

    def serve_once(self, local: str, port: int, duration_ns: int) -> Outcome:
        self.asked.append(f"serve {local}")
        return Outcome.MEASURED


class Collector:
    """Serves whatever plan the test sets; None: nobody is there."""

    def __init__(self) -> None:
        self.plan: Plan | None = None

    def __call__(self, asked: Asked) -> urllib3.HTTPResponse:
        if self.plan is None:
            raise ProtocolError("nobody there")
        etag = f'"{hash(encode_plan(self.plan))}"'
        if asked.headers.get("If-None-Match") == etag:
            return response(304)
        return response(200, encode_plan(self.plan), {"etag": etag})


class Bench:
    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        self.folder, self.collector, self.tests = folder, Collector(), Tests()
        self.outbox = Outbox(folder / "outbox.sqlite", 1 << 30, seconds(86_400))
        self.keys: dict[str, bytes] = {}
        self.swept = Sweeps()
        host = HostFitness(SystemHost(), clock)
        self.reporter = Reporter(
            "n1",
            "boot",
            self.outbox,
            clock,
            read_clock_quality,
            host.over,
            lambda: None,
            lambda: self.agent.plan_age_s(),
            lambda start_ns, end_ns: self.agent.under_test(start_ns, end_ns),
        )
        client = CollectorClient(["http://c.example"], "token", pool=FakePool(self.collector))
        probers = Probers(
            {"icmp": lambda _: Echoes()},
            lambda _: Certificates(),
            lambda plan, launcher: self.swept,
            lambda _: Responder(),
        )
        self.agent = Agent(
            Kit(probers, self.tests, lambda: None),
            Station(clock, read_clock_quality, host, {}, self.keys),
            self.reporter,
            PlanCache(folder / "plan.json", "n1", clock),
            PlanFetcher(client, "n1", clock),
            3600,
        )

    def probes(self) -> set[str]:
        """Probes of all windows reported since the last call, and the tables beside them."""
        found: set[str] = set()
        for frames in self.taken():
            found |= set(frames) - {"window"}
            if "window" in frames:
                found |= set(frames["window"].text("probe").tolist())
        return found

    def windows(self) -> list[Frame]:
        """WINDOW rows reported since the last call."""
        return [frames["window"] for frames in self.taken() if "window" in frames]

    def taken(self) -> Iterator[Mapping[str, Frame]]:
        for row in self.outbox.waiting(1 << 20):
            yield decode(unpack(row.body, 1 << 24)).frames
            self.outbox.done([row.seq])


def wait_for(ready: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline_s, "waited too long"
        time.sleep(0.02)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    if made.agent.running:
        made.agent.stop()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOME, 0))
        return int(sock.getsockname()[1])


def quick(turns: list[Turn] | None = None, port: int | None = None) -> Plan:
    """Windows of a second, a link to nobody."""
    made = plan(links=[PlanLink("n1>n2@n", HOME, PEER)], turns=turns or [], cycle_ns=2 * NS_PER_S)
    return replace(
        made,
        window_ns=NS_PER_S,
        stamp_timeout_ns=NS_PER_S // 5,
        stamp_port=port or free_port(),
        locals=[HOME],
        icmp_interval_ns=NS_PER_S // 5,
        icmp_timeout_ns=NS_PER_S // 5,
        tcp_interval_ns=0,
        throughput_duration_ns=NS_PER_S // 2,
    )


def test_it_measures_by_the_plan_and_reports_every_kind(bench: Bench) -> None:
    turns = [Turn("n1>n2@n", "send", HOME, PEER, 0), Turn("n2>n1@n", "serve", HOME, PEER, NS_PER_S)]
    bench.collector.plan = quick(turns)
    bench.agent.start()
    seen: set[str] = set()

    def everything() -> bool:
        seen.update(bench.probes())
        return seen >= {"stamp", "icmp", "health", "throughput"}

    wait_for(everything)
    assert f"send {HOME} {PEER}" in bench.tests.asked
    wait_for(lambda: f"serve {HOME}" in bench.tests.asked)
    assert bench.agent.under_test(time.time_ns() - 10 * NS_PER_S, time.time_ns())
    assert bench.agent.plan_age_s() >= 0


def test_it_ends_in_the_middle_of_a_throughput_test(bench: Bench) -> None:
    began, end = threading.Event(), threading.Event()

    def slow(local: str, peer: str, port: int, duration_ns: int, limit_bps: int) -> Report:
        began.set()
        end.wait(60)
        return Report(Outcome.FAILED)

    bench.tests.measure = slow  # type: ignore[method-assign]  # one test that takes its time
    bench.collector.plan = quick([Turn("n1>n2@n", "send", HOME, PEER, 0)])
    bench.agent.start()
    assert began.wait(60)
    threading.Timer(0.3, end.set).start()
    stopping = threading.Thread(target=bench.agent.stop)
    stopping.start()
    stopping.join(60)
    assert not stopping.is_alive()


def test_without_a_collector_it_uses_the_plan_it_kept(bench: Bench) -> None:
    kept = quick()
    PlanCache(bench.folder / "plan.json", "n1", SystemClock()).store(kept)
    bench.agent.start()
    assert bench.agent.plan == kept
    assert np.isnan(bench.agent.plan_age_s())
    wait_for(lambda: "stamp" in bench.probes())


def test_without_any_plan_it_still_reports_its_health(bench: Bench) -> None:
    bench.agent.start()
    assert bench.agent.plan is None
    bench.reporter.heartbeat(NS_PER_S)
    assert bench.probes() == {"health"}


def test_a_new_plan_takes_over_and_is_kept(bench: Bench) -> None:
    bench.collector.plan = quick()
    bench.agent.start()
    bench.collector.plan = changed = quick()
    assert bench.agent.refresh_plan()
    assert bench.agent.plan == changed
    assert PlanCache(bench.folder / "plan.json", "n1", SystemClock()).load() == changed


def test_a_plan_takes_over_when_it_says_and_a_change_that_is_taken_back_does_not(bench: Bench) -> None:
    began = bench.collector.plan = quick()
    bench.agent.start()
    execution = bench.agent._execution
    later = time.time_ns() + 3 * NS_PER_S
    changed = replace(began, links=[*began.links, PlanLink("n1>n3@n", HOME, "127.64.201.3")])
    bench.collector.plan = replace(changed, takes_over_ns=later)
    assert bench.agent.refresh_plan()
    assert bench.agent.plan == began
    bench.collector.plan = replace(began, takes_over_ns=later)
    bench.agent.refresh_plan()
    bench.collector.plan = coming = replace(changed, takes_over_ns=later + 1)
    bench.agent.refresh_plan()
    wait_for(lambda: bench.agent.plan == coming)
    assert bench.agent._execution is execution
    starts: dict[str, set[int]] = {"n1>n2@n": set(), "n1>n3@n": set()}

    def both() -> bool:
        for windows in bench.windows():
            stamp = windows.take(windows.text("probe") == "stamp")
            for link, start in zip(
                stamp.text("link").tolist(), stamp.count("start_ns").tolist(), strict=True
            ):
                starts[link].add(start)
        return len(starts["n1>n3@n"]) > 1

    wait_for(both)
    assert min(starts["n1>n3@n"]) == -(-later // NS_PER_S) * NS_PER_S
    whole = sorted(starts["n1>n2@n"])
    assert whole == list(range(whole[0], whole[-1] + 1, NS_PER_S))


def test_a_new_node_only_answers_until_its_peers_know_it(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    later = time.time_ns() + 4 * NS_PER_S
    bench.collector.plan = coming = replace(quick(), takes_over_ns=later)
    bench.agent.start()
    assert bench.agent.plan == replace(coming, links=[])
    assert "a new plan takes over in " in caplog.text
    assert bench.agent._execution is not None
    assert bench.agent._execution.alive
    wait_for(lambda: bench.agent.plan == coming)
    started: list[int] = []

    def measures() -> bool:
        for windows in bench.windows():
            started.extend(windows.count("start_ns")[windows.text("probe") == "stamp"].tolist())
        return bool(started)

    wait_for(measures)
    assert min(started) == -(-later // NS_PER_S) * NS_PER_S


def test_a_new_node_that_starts_again_while_it_waits_goes_on_waiting(tmp_path: Path) -> None:
    coming = replace(quick(), takes_over_ns=time.time_ns() + 3600 * NS_PER_S)
    for _ in range(2):
        bench = Bench(tmp_path)
        bench.collector.plan = coming
        bench.agent.start()
        assert bench.agent.plan == replace(coming, links=[])
        bench.agent.stop()
        bench.outbox.close()


def test_who_starts_before_a_take_over_begins_with_the_plan_that_was_kept(bench: Bench) -> None:
    kept = quick()
    PlanCache(bench.folder / "plan.json", "n1", SystemClock()).store(kept)
    changed = replace(kept, links=[*kept.links, PlanLink("n1>n3@n", HOME, "127.64.201.3")])
    bench.collector.plan = coming = replace(changed, takes_over_ns=time.time_ns() + 3 * NS_PER_S)
    bench.agent.start()
    assert bench.agent.plan == kept
    wait_for(lambda: bench.agent.plan == coming)


def test_the_plan_that_was_kept_is_taken_at_once_whenever_it_takes_over(bench: Bench) -> None:
    kept = quick()
    PlanCache(bench.folder / "plan.json", "n1", SystemClock()).store(kept)
    bench.collector.plan = same = replace(kept, takes_over_ns=time.time_ns() + 3600 * NS_PER_S)
    bench.agent.start()
    assert bench.agent.plan == same


def test_no_clock_puts_a_plan_off_for_longer_than_a_bound(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probes.agent.MAX_TAKE_OVER_S", 3)
    began = bench.collector.plan = quick()
    bench.agent.start()
    bench.collector.plan = coming = replace(
        began, links=[*began.links, PlanLink("n1>n3@n", HOME, "127.64.201.3")],
        takes_over_ns=time.time_ns() + 3600 * NS_PER_S,
    )  # fmt: skip
    bench.agent.refresh_plan()
    assert bench.agent.plan == began
    wait_for(lambda: bench.agent.plan == coming)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_probe_loop_that_died_begins_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Engine) -> None:
        raise RuntimeError("a bug")

    bench.collector.plan = quick()
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_turn", broken)
        bench.agent.start()
        execution = bench.agent._execution
        assert execution is not None
        wait_for(lambda: not execution.alive)
    bench.agent.refresh_plan()
    wait_for(lambda: "stamp" in bench.probes())


def test_a_port_in_use_is_said_once_and_tried_again(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOME, 0))
        bench.collector.plan = quick(port=taken.getsockname()[1])
        bench.agent.start()
        bench.agent.refresh_plan()
        assert caplog.text.count("is in use by another program") == 1
    bench.agent.refresh_plan()
    wait_for(lambda: "stamp" in bench.probes())


def test_rounds_that_answer_are_windows_with_delay(bench: Bench) -> None:
    bench.collector.plan = quick()
    bench.agent.start()
    wait_for(lambda: "icmp" in bench.probes())


def test_sweeps_events_and_certificates_are_reported(bench: Bench) -> None:
    second = NS_PER_S // 5
    bench.collector.plan = replace(
        quick(), path_interval_ns=second, tls_interval_ns=second, tls_timeout_ns=second, tls_port=443
    )
    bench.agent.start()
    seen: set[str] = set()

    def everything() -> bool:
        seen.update(bench.probes())
        return seen >= {"stamp", "tls", "path", "event", "certificate"}

    wait_for(everything)
    bench.agent.stop()
    assert bench.swept.stopped


def test_what_probers_discard_is_told_once(bench: Bench) -> None:
    bench.collector.plan = replace(quick(), path_interval_ns=NS_PER_S // 5)
    bench.agent.start()
    told: Counter[str] = Counter()
    columns = ("echo_discarded", "path_discarded", "path_postponed")

    def look() -> bool:
        for frames in bench.taken():
            if (health := frames.get("health")) is not None:
                told.update({name: int(health.count(name).sum()) for name in columns})
        return told["echo_discarded"] > 2

    wait_for(look)
    bench.collector.plan = replace(quick(), path_interval_ns=0)
    bench.agent.refresh_plan()
    bench.reporter.heartbeat(NS_PER_S)
    look()
    assert told["path_discarded"] == 1 + 2
    assert told["path_postponed"] == 3 + 4 + 5 + 6


def test_a_link_without_a_key_is_not_probed_and_counted_and_the_others_are(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    other = "127.64.201.3"
    bench.keys[PEER] = bytes(range(32))
    made = replace(quick(), authenticated=True)
    bench.collector.plan = replace(made, links=[*made.links, PlanLink("n1>n3@n", HOME, other)])
    bench.agent.start()
    sent: dict[str, int] = {}
    failed: dict[str, int] = {}

    def both() -> bool:
        for windows in bench.windows():
            stamp = windows.take(windows.text("probe") == "stamp")
            for row, link in enumerate(stamp.text("link").tolist()):
                sent[link] = sent.get(link, 0) + int(stamp.count("sent")[row])
                failed[link] = failed.get(link, 0) + int(stamp.count("send_failed")[row])
        return sent.get("n1>n2@n", 0) > 0 and "n1>n3@n" in sent

    wait_for(both)
    assert sent["n1>n3@n"] == 0
    assert failed["n1>n3@n"] % 10 == 0
    assert failed["n1>n3@n"] > 0
    assert caplog.text.count(f"keys_file has no key for {other}: 1 links are not probed") == 1
    assert bytes(range(32)).hex() not in caplog.text


def test_what_cannot_be_started_is_said_and_nothing_stays_open(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Responder) -> None:
        raise OSError("no more threads")

    monkeypatch.setattr(Responder, "start", broken, raising=True)
    bench.collector.plan = quick()
    bench.agent.start()
    assert "no more threads; tried again when the plan is refreshed" in caplog.text
    monkeypatch.undo()
    bench.agent.refresh_plan()
    wait_for(lambda: "stamp" in bench.probes())
