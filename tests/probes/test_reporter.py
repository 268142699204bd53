"""What an agent reports: one batch a window, echo windows only when they are complete, health by itself."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from linkgauge.clock import NS_PER_S, ClockQuality, Instant
from linkgauge.code import Unfit
from linkgauge.errors import StoreError
from linkgauge.frame import Frame
from linkgauge.packing import unpack
from linkgauge.schema import CERTIFICATE, FLOW, HEALTH, THROUGHPUT, WINDOW
from linkgauge.wire import Batch, decode
from probes.echo import EchoRound, Fate
from probes.engine.noted import Fitness
from probes.fitness import HostSpan
from probes.reporter import Reporter
from probes.upload.outbox import Outbox
from probes.upload.upload import Uploads

WINDOW_NS = 10 * NS_PER_S
T0 = 1_800_000_000 * NS_PER_S


class Clock:
    def __init__(self) -> None:
        self.wall_ns = T0

    def now(self) -> Instant:
        return Instant(self.wall_ns - T0, self.wall_ns)


class Bench:
    """A reporter with a real outbox and a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.outbox = Outbox(folder / "outbox.sqlite", 1 << 30, 1 << 62, clock=self.clock)
        self.woken = 0
        self.tested_ns = 0
        self.host = HostSpan(0, 0.01, 0.0, 0.0)
        self.uploads = Uploads()
        self.reporter = Reporter(
            "a",
            "boot",
            self.outbox,
            self.clock,
            lambda: ClockQuality(True, 5_000, 37),
            lambda start_ns, end_ns: self.host,
            self._wake,
            lambda: 7.5,
            lambda start_ns, end_ns: self.tested_ns in range(start_ns, end_ns),
            lambda: self.uploads,
        )

    def _wake(self) -> None:
        self.woken += 1

    def stamp(self, start_ns: int, unfit: int = 0, revision: int = 0) -> None:
        """The engine hands over the window that starts there."""
        row = {"link": ["a>b@n"], "probe": ["stamp"], "class": ["0"], "start_ns": [start_ns], "sent": [100]}
        row |= {"length_ns": [WINDOW_NS], "revision": [revision]}
        self.reporter.deliver({"window": Frame.of(WINDOW, row)}, fitness(start_ns, unfit))

    def finish(self) -> list[Batch]:
        """Everything that was reported, in order."""
        self.reporter.start()
        self.reporter.stop()
        return self.batches()

    def batches(self) -> list[Batch]:
        made = []
        for row in self.outbox.waiting(1 << 20):
            made.append(decode(unpack(row.body, 1 << 24)))
            self.outbox.done([row.seq])
        return made


def fitness(start_ns: int, unfit: int = 0) -> Fitness:
    """Every counter has a value of its own, from 1 in the order of the fields."""
    numbers = {field.name: at for at, field in enumerate(dataclasses.fields(Fitness), 1)}
    given = {"start_ns": start_ns, "length_ns": WINDOW_NS, "unfit": unfit}
    return Fitness(**{**numbers, **given})


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def round_at(*sent_ns: int) -> Callable[[], EchoRound]:
    n = len(sent_ns)
    done = EchoRound(
        np.array(["a>b@n"] * n, object), np.array(sent_ns), np.full(n, Fate.REPLIED, np.int8),
        np.full(n, 1e6), np.zeros(n, np.int64),
    )  # fmt: skip
    return lambda: done


def probes_in(batch: Batch) -> list[tuple[str, int]]:
    window = batch.frames["window"]
    return list(
        zip(
            window.text("probe").tolist(),
            ((window.count("start_ns") - T0) // WINDOW_NS).tolist(),
            strict=True,
        )
    )


def test_a_window_is_one_batch_and_wakes_the_upload(bench: Bench) -> None:
    bench.stamp(T0)
    bench.stamp(T0 + WINDOW_NS)
    batches = bench.finish()
    assert [(b.agent, b.boot, b.number) for b in batches] == [("a", "boot", 1), ("a", "boot", 2)]
    assert [probes_in(b) for b in batches] == [[("stamp", 0)], [("stamp", 1)]]
    assert bench.woken == 2


def test_echo_windows_wait_until_they_are_over_and_come_once(bench: Bench) -> None:
    bench.reporter.echo("icmp", round_at(T0 + 1))
    bench.reporter.echo("icmp", round_at(T0 + WINDOW_NS - 1, T0 + WINDOW_NS + 1))  # straddles two windows
    bench.clock.wall_ns = T0 + WINDOW_NS + NS_PER_S
    bench.stamp(T0)
    bench.reporter.start()
    while bench.outbox.counts().waiting < 1:
        pass
    first = bench.batches()
    bench.reporter.echo("icmp", round_at(T0 + WINDOW_NS + 5))
    bench.stamp(T0 + WINDOW_NS)
    bench.clock.wall_ns = T0 + 3 * WINDOW_NS
    bench.reporter.stop()
    rest = bench.batches()
    assert [probes_in(b) for b in first] == [[("stamp", 0), ("icmp", 0)]]
    assert sorted(row for b in rest for row in probes_in(b)) == [("icmp", 1), ("stamp", 1)]
    assert first[0].frames["window"].count("sent").tolist() == [100, 2]
    icmp = next(b.frames["window"] for b in rest if ("icmp", 1) in probes_in(b))
    assert icmp.count("sent")[icmp.text("probe") == "icmp"].tolist() == [2]


def test_a_round_that_still_runs_holds_its_window_back(bench: Bench) -> None:
    bench.reporter.start()
    bench.reporter.echo("icmp", round_at(T0 + 1))

    def slow() -> EchoRound:
        bench.clock.wall_ns = T0 + 2 * WINDOW_NS
        bench.stamp(T0)
        while bench.outbox.counts().waiting < 1:
            pass
        return round_at(T0 + 2)()

    bench.reporter.echo("icmp", slow)
    assert [probes_in(b) for b in bench.batches()] == [[("stamp", 0)]]
    bench.reporter.stop()
    assert [probes_in(b) for b in bench.batches()] == [[("icmp", 0)]]


def test_a_clock_step_makes_echoes_unfit_too(bench: Bench) -> None:
    bench.reporter.echo("tcp", round_at(T0 + 1))
    bench.clock.wall_ns = T0 + WINDOW_NS
    bench.stamp(T0, unfit=Unfit.CLOCK_STEP.value | Unfit.LOOP_LAG.value)
    window = bench.finish()[0].frames["window"]
    assert window.count("unfit")[window.text("probe") == "tcp"].tolist() == [Unfit.CLOCK_STEP.value]


def test_health_says_what_the_engine_noted_and_that_it_is_silent(bench: Bench) -> None:
    bench.clock.wall_ns = T0 + WINDOW_NS + 5
    bench.reporter.heartbeat(WINDOW_NS)
    bench.stamp(T0)
    bench.finish()
    bench.reporter.heartbeat(WINDOW_NS)
    bench.clock.wall_ns = T0 + 20 * WINDOW_NS
    bench.reporter.heartbeat(WINDOW_NS)
    rows = [b.frames["health"] for b in bench.batches() if "health" in b.frames]
    assert [int(r.count("fit")[0]) for r in rows] == [1, 0]
    assert rows[0].count("start_ns").tolist() == [T0]
    assert rows[0].real("cpu_steal_ratio").tolist() == [0.01]
    assert rows[0].real("suspended_s").tolist() == [0.0]
    assert rows[0].real("clock_error_us").tolist() == [5.0]
    assert rows[0].real("plan_age_s").tolist() == [7.5]
    assert math.isnan(rows[1].real("loop_lag_max_us")[0])


def test_a_full_disk_is_said_once_and_measuring_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> int:
        raise StoreError("outbox.sqlite: the disk is full; make room")

    monkeypatch.setattr(bench.outbox, "put", full)
    bench.stamp(T0)
    bench.stamp(T0 + WINDOW_NS)
    assert bench.finish() == []
    assert caplog.text.count("the disk is full") == 1
    assert bench.woken == 0


def test_a_clock_that_was_set_back_stops_no_report(bench: Bench) -> None:
    bench.reporter.echo("icmp", round_at(T0 + 5 * WINDOW_NS))
    bench.stamp(T0 + 4 * WINDOW_NS)
    bench.clock.wall_ns = T0 + 3 * NS_PER_S  # set back by nearly five windows
    bench.reporter.echo("icmp", round_at(T0 + 1))
    bench.stamp(T0)
    reported = [row for batch in bench.finish() for row in probes_in(batch)]
    assert sorted(reported) == [("icmp", 0), ("stamp", 0), ("stamp", 4)]


def test_health_has_everything_that_the_engine_noted(bench: Bench) -> None:
    bench.clock.wall_ns = T0 + WINDOW_NS + 5
    bench.stamp(T0, unfit=Unfit.CPU_STARVED.value)
    bench.finish()
    bench.reporter.heartbeat(WINDOW_NS)
    health = bench.batches()[-1].frames["health"]
    noted = dataclasses.asdict(fitness(T0, Unfit.CPU_STARVED.value))
    columns = {field.name for field in HEALTH.fields}
    assert {name for name in noted if name not in columns} <= {"start_ns", "length_ns", "refused_loop"}
    for name in set(noted) & columns:
        assert np.asarray(health.columns[name]).tolist() == [noted[name]], name
    assert health.count("fit").tolist() == [0]
    assert health.count("echo_discarded").tolist() == [0]
    refused = [name for name in noted if name.startswith("refused_")]
    if refused:
        assert health.count("reflect_refused").tolist() == [sum(noted[name] for name in refused)]


def test_health_tells_what_was_discarded_since_the_last(bench: Bench) -> None:
    came = {"echo_discarded": 3, "path_discarded": 2, "path_postponed": 1}
    bench.reporter.discards.watch(lambda: came)
    bench.reporter.heartbeat(WINDOW_NS)
    bench.reporter.heartbeat(WINDOW_NS)
    health = [batch.frames["health"] for batch in bench.batches()]
    for name, value in came.items():
        assert [frame.count(name).tolist() for frame in health] == [[value], [0]]


@pytest.mark.parametrize(
    ("bits", "spoils"),
    [
        (Unfit.SUSPENDED.value | Unfit.LOOP_LAG.value, Unfit.SUSPENDED.value),
        (Unfit.CPU_STARVED.value | Unfit.SELF_PROBE.value, Unfit.CPU_STARVED.value),
        (Unfit.RECEIVE_DROPPED.value, 0),
    ],
)
def test_what_spoils_the_host_spoils_echoes(bench: Bench, bits: int, spoils: int) -> None:
    bench.reporter.echo("icmp", round_at(T0 + 1))
    bench.clock.wall_ns = T0 + WINDOW_NS
    bench.stamp(T0, unfit=bits)
    window = bench.finish()[0].frames["window"]
    assert window.count("unfit")[window.text("probe") == "icmp"].tolist() == [spoils]


def test_echoes_of_a_window_without_an_engine_are_judged_by_the_host(bench: Bench) -> None:
    bench.host = HostSpan(Unfit.SUSPENDED.value, 0.0, 0.0, 3.0)
    bench.reporter.echo("icmp", round_at(T0 + 1))
    window = bench.finish()[0].frames["window"]
    assert window.count("unfit").tolist() == [Unfit.SUSPENDED.value]


def test_a_window_that_comes_again_is_one_more_row_and_no_step_back(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.reporter.echo("icmp", round_at(T0 + WINDOW_NS + 1))
    bench.stamp(T0)
    bench.stamp(T0 + WINDOW_NS)
    bench.clock.wall_ns = T0 + 2 * WINDOW_NS
    bench.stamp(T0, unfit=Unfit.CLOCK_STEP.value, revision=1)
    batches = bench.finish()
    windows = [batch.frames["window"] for batch in batches]
    revisions = [(w.count("start_ns")[0] - T0, w.count("revision")[0]) for w in windows]
    assert revisions == [(0, 0), (WINDOW_NS, 0), (0, 1)]
    assert caplog.text == ""
    bench.clock.wall_ns += 5
    bench.reporter.heartbeat(WINDOW_NS)
    assert bench.batches()[0].frames["health"].count("fit").tolist() == [1]


def test_every_table_goes_with_the_next_batch(bench: Bench) -> None:
    at = {"start_ns": [T0], "length_ns": [WINDOW_NS]}
    bench.reporter.add(Frame.of(THROUGHPUT, {"link": ["a>b@n"], **at}))
    bench.reporter.add(Frame.of(CERTIFICATE, {"link": ["a>b@n"], **at}))
    bench.reporter.add(Frame.of(CERTIFICATE, {"link": ["a>c@n"], **at}))
    bench.reporter.add(Frame.of(CERTIFICATE, {"link": [], "start_ns": []}))
    flows = Frame.of(FLOW, {"link": ["a>b@n"], "probe": ["stamp"], "class": ["0"], "flow": ["1"], **at})
    window = {"link": ["a>b@n"], "probe": ["stamp"], "class": ["0"], **at}
    bench.reporter.deliver({"window": Frame.of(WINDOW, window), "flow": flows}, fitness(T0))
    [batch] = bench.finish()
    rows = {name: frame.rows for name, frame in batch.frames.items()}
    assert rows == {"window": 1, "flow": 1, "throughput": 1, "certificate": 2}


def test_a_long_run_without_echoes_remembers_little(bench: Bench) -> None:
    for number in range(200):
        bench.stamp(T0 + number * WINDOW_NS)
    bench.finish()
    assert len(bench.reporter._fitness) < 100


def test_echo_windows_tell_missed_rounds_and_throughput_tests(bench: Bench) -> None:
    bench.clock.wall_ns = T0 + 3
    bench.reporter.missed("icmp")
    bench.reporter.missed("icmp")
    bench.reporter.missed("heartbeat")
    bench.clock.wall_ns = T0 + WINDOW_NS + 3
    bench.reporter.missed("icmp")
    bench.tested_ns = T0 + WINDOW_NS + 5
    bench.reporter.echo("icmp", round_at(T0 + 1, T0 + WINDOW_NS + 1))
    bench.reporter.echo("tcp", round_at(T0 + 1))
    [batch] = bench.finish()
    window = batch.frames["window"]
    rows = zip(
        window.text("probe"),
        window.count("missed").tolist(),
        window.count("under_test").tolist(),
        strict=True,
    )
    assert list(rows) == [("icmp", 2, 0), ("icmp", 1, 1), ("tcp", 0, 0)]


def test_health_tells_how_the_outbox_and_the_sending_stand(bench: Bench) -> None:
    bench.uploads = Uploads(failed=3, deferred=2, address=1)
    bench.clock.wall_ns = T0
    for _ in range(3):
        bench.outbox.put("boot", lambda number: b"batch %d" % number, 1, T0)
    first, second, _ = bench.outbox.waiting(3)
    bench.outbox.done([first.seq])
    bench.outbox.reject(second.seq, "no")
    bench.clock.wall_ns = T0 + 40 * NS_PER_S
    octets = bench.outbox.counts().waiting_octets
    bench.reporter.heartbeat(WINDOW_NS)
    health = decode(unpack(bench.outbox.waiting(9)[-1].body, 1 << 20)).frames["health"]
    told = {
        "outbox_batches": 1, "outbox_octets": octets, "outbox_added": 3, "outbox_acknowledged": 1,
        "outbox_rejected": 1, "outbox_dropped": 0, "upload_failed": 3, "upload_deferred": 2,
        "upload_address": 1,
    }  # fmt: skip
    assert {name: int(health.count(name)[0]) for name in told} == told
    assert health.real("outbox_oldest_s").tolist() == [40.0]
