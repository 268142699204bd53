"""Two engines on loopback: windows come out whole, aligned, once each, with loss told by direction."""

from __future__ import annotations

import math
import socket
import time

import pytest

from linkgauge.clock import NS_PER_S, ClockQuality, Instant, SystemClock, read_clock_quality
from linkgauge.code import Unfit
from linkgauge.errors import ConfigError
from linkgauge.frame import Frame, concat
from linkgauge.schema import WINDOW
from linkgauge.wire import VERSION, Plan, PlanLink
from probes.engine import Engine
from probes.noted import Fitness

A, B = "127.64.200.1", "127.64.200.2"
WINDOW_NS = NS_PER_S


def free_port(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        return int(sock.getsockname()[1])


def plan(local: str, peer: str, port: int, links: int = 1) -> Plan:
    made = [PlanLink(f"n{local[-1]}>n{peer[-1]}@loop", local, peer)] * links
    return Plan(
        VERSION, "n" + local[-1], WINDOW_NS, made, [peer], [local], 10_000_000, 300_000_000, port, [0],
        0, 0, 0, 0, 0, 0, 0, 0, [],
    )  # fmt: skip


class Sink:
    """Keeps what an engine delivers."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.fitness: list[Fitness] = []

    def __call__(self, frames: dict[str, Frame], fitness: Fitness) -> None:
        self.frames.append(frames["window"])
        self.fitness.append(fitness)

    def wait_for(self, windows: int) -> None:
        deadline = time.monotonic() + 10
        while len(self.frames) < windows:
            assert time.monotonic() < deadline, "no window came"
            time.sleep(0.02)


def engine(made: Plan, sink: Sink) -> Engine:
    return Engine(made, SystemClock(), read_clock_quality, sink, lambda start, end: False)


@pytest.fixture(scope="module")
def sinks() -> tuple[Sink, Sink]:
    port = free_port(A)
    sink_a, sink_b = Sink(), Sink()
    engines = [engine(plan(A, B, port), sink_a), engine(plan(B, A, port), sink_b)]
    for each in engines:
        each.start()
    sink_a.wait_for(3)
    for each in engines:
        each.stop()
    return sink_a, sink_b


def test_windows_are_aligned_complete_and_come_once(sinks: tuple[Sink, Sink]) -> None:
    for sink in sinks:
        rows = concat(WINDOW, sink.frames)
        starts = rows.count("start_ns").tolist()
        assert starts == sorted(set(starts))
        assert all(start % WINDOW_NS == 0 for start in starts)
        whole = slice(0, 2)
        slots = rows.count("sent")[whole] + rows.count("missed")[whole]
        assert slots.tolist() == pytest.approx([100, 100], abs=2)
        assert (rows.count("replied")[whole] == rows.count("sent")[whole]).all()
        assert rows.real("loss_forward_ratio")[whole].tolist() == [0, 0]
        assert (rows.real("rtt_min_us") > 0).all()
        assert (rows.real("rtt_min_us") < 5_000).all()
        assert rows.text("class").tolist() == ["0"] * rows.rows


def test_fitness_has_what_was_reflected(sinks: tuple[Sink, Sink]) -> None:
    for sink in sinks:
        assert sum(f.reflected for f in sink.fitness[:2]) > 150
        assert (
            sum(f.malformed + f.unmatched + f.refused_peer + f.refused_malformed for f in sink.fitness) == 0
        )


def test_a_far_end_without_reflector_is_refused_and_not_lost() -> None:
    sink = Sink()
    alone = engine(plan(A, B, free_port(B)), sink)
    alone.start()
    sink.wait_for(1)
    alone.stop()
    row = sink.frames[0]
    assert row.count("refused")[0] > 50
    assert row.count("lost_unattributed")[0] <= row.count("sent")[0] - row.count("refused")[0]
    assert row.count("replied")[0] == 0


def test_a_taken_port_is_said_and_nothing_stays_open() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((A, 0))
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"UDP {A} port {port} is in use by another program"):
            engine(plan(A, B, port), Sink())


class SteppedClock:
    """The system's clock, whose wall time a test may move."""

    def __init__(self) -> None:
        self.step_ns = 0

    def now(self) -> Instant:
        now = SystemClock().now()
        return Instant(now.mono_ns, now.wall_ns + self.step_ns)


def test_a_clock_set_back_is_followed_and_the_windows_say_so() -> None:
    clock, sink = SteppedClock(), Sink()
    stepped = Engine(plan(A, B, free_port(B)), clock, read_clock_quality, sink, lambda start, end: False)
    stepped.start()
    sink.wait_for(1)
    clock.step_ns = -3600 * NS_PER_S
    sink.wait_for(5)
    stepped.stop()
    starts = [fitness.start_ns for fitness in sink.fitness]
    assert min(starts) < starts[0] - 3000 * NS_PER_S
    stepped_at = next(i for i in range(1, len(starts)) if starts[i] < starts[i - 1])
    assert sink.fitness[stepped_at - 1].unfit & Unfit.CLOCK_STEP.value


def test_a_kernel_that_tells_nothing_of_its_clock_is_not_synchronised() -> None:
    def silent() -> ClockQuality:
        raise OSError("not to be had")

    sink = Sink()
    made = Engine(plan(A, B, free_port(B)), SystemClock(), silent, sink, lambda start, end: False)
    made.start()
    sink.wait_for(1)
    made.stop()
    assert math.isnan(sink.frames[0].real("one_way_error_us")[0])
