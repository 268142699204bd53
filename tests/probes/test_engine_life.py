"""How an engine begins, goes on through trouble, and ends."""

from __future__ import annotations

import math
import os
import socket
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from linkgauge.clock import NS_PER_S, ClockQuality, Instant, SystemClock
from linkgauge.code import Unfit
from linkgauge.errors import ConfigError
from linkgauge.frame import concat
from linkgauge.plan import Plan, PlanLink
from linkgauge.schema import WINDOW
from probes.engine.flight import Flight
from tests.probes.engines import A, B, Sink, engine, reports
from tests.probes.loopback import MS, free_port, stamp_plan, until

SHORT_NS = NS_PER_S // 4


def short(*where: Any, **changed: Any) -> Plan:
    """A plan with short windows."""
    return stamp_plan(*where, **{"window_ns": SHORT_NS, "stamp_timeout_ns": 100 * MS, **changed})


def test_a_far_end_without_reflector_is_refused_and_not_lost() -> None:
    sink = Sink()
    one = engine(short(free_port(B), [B], A), sink)
    one.start()
    until(lambda: any((frame.count("refused") > 10).any() for frame in sink.frames), "nothing is refused")
    one.stop()
    rows = concat(WINDOW, sink.frames)
    assert (rows.count("lost_unattributed") <= rows.count("sent") - rows.count("refused")).all()
    assert (rows.count("replied") == 0).all()


def test_a_plan_without_links_still_reports_its_fitness() -> None:
    sink = Sink()
    one = engine(short(free_port(A), [], A), sink)
    one.start()
    sink.wait_for(2)
    until(lambda: any(told.self_rtt_p50_us > 0 for told in sink.fitness), "the probe to itself tells nothing")
    one.stop()
    assert sum(frame.rows for frame in sink.frames) == 0


def test_strangers_and_peers_without_a_key_are_not_answered() -> None:
    port = free_port(A)
    plan = short(port, [B], A, authenticated=True, links=[])
    sink = Sink()
    one = engine(plan, sink, keys={})
    one.start()
    packet = bytes(12) + b"\x80\x01" + bytes(30)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind((B, 0))
        peer.sendto(packet, (A, port))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(packet, (A, port))
    sink.wait_for(1)
    one.stop()
    assert sum(fitness.refused_peer for fitness in sink.fitness) == 2


def test_a_taken_port_is_said_and_nothing_stays_open() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((A, 0))
        port = taken.getsockname()[1]
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(ConfigError, match=f"UDP {A} port {port} is in use by another program"):
            engine(short(port, [B], A), Sink())
        assert len(os.listdir("/proc/self/fd")) == before


def test_an_address_of_another_host_is_said_and_nothing_stays_open() -> None:
    links = [PlanLink("a>b@net", A, B), PlanLink("a>c@net", "192.0.2.1", B)]
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1 is no address of this host"):
        engine(short(free_port(A), [B], A, links=links, flows=2), Sink())
    assert len(os.listdir("/proc/self/fd")) == before


def test_engines_that_come_and_go_leave_no_descriptor_open() -> None:
    plan = short(free_port(A), [B], A, flows=3, stamp_timeout_ns=10 * MS)
    before = len(os.listdir("/proc/self/fd"))
    for turn in range(20):
        began_ns = time.monotonic_ns()
        one = engine(plan, sink := Sink())
        if turn % 4:
            one.start()
            assert one.alive
        one.stop()
        one.stop()
        assert not one.alive
        least = 1 if turn % 4 else 0  # and what ended before a busy host came by
        assert least <= len(sink.fitness) <= least * (1 + (time.monotonic_ns() - began_ns) // SHORT_NS)
    assert len(os.listdir("/proc/self/fd")) == before


def test_stopping_reports_the_unfinished_window() -> None:
    sink = Sink()
    one = engine(short(free_port(B), [B], A), sink)
    one.start()
    sink.wait_for(1)
    until(lambda: one._senders[0].sessions.next_seq.sum() > 30, "nothing is sent after the first window")
    told = len(sink.fitness)
    one.stop()
    assert len(sink.fitness) > told
    assert sink.fitness[-1].start_ns > sink.fitness[0].start_ns
    rows = concat(WINDOW, sink.frames)
    total = int(one._senders[0].sessions.next_seq.sum())
    first = rows.count("revision") == 0
    assert int((rows.count("sent") + rows.count("send_failed"))[first].sum()) == total


def test_a_bug_ends_the_loop_and_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    one = engine(short(free_port(B), [B], A), Sink())
    said: list[object] = []
    monkeypatch.setattr("threading.excepthook", said.append)
    monkeypatch.setattr(one, "_launch", lambda: 1 / 0)
    one.start()
    until(lambda: not one.alive, "the loop goes on")
    one.stop()
    assert len(said) == 1


def test_a_report_that_cannot_be_handed_over_ends_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(frames: object, fitness: object) -> None:
        raise OSError("no space left")

    said: list[object] = []
    monkeypatch.setattr("threading.excepthook", said.append)
    made = engine(short(free_port(B), [B], A), Sink(), deliver=full)
    made.start()
    until(lambda: not made.alive, "the loop goes on")
    made.stop()
    assert len(said) == 1


def test_a_sweep_asked_of_an_engine_that_has_ended_is_nothing() -> None:
    sink = Sink()
    made = engine(short(free_port(B), [B], A), sink)
    made.start()
    made.stop()
    one = np.ones(1, np.int64)
    made.sweep(Flight(A, 0, B, 0, one, one.astype(np.uint8), one * 44))
    assert sink.caught == []


class SteppedClock:
    """The system's clock, whose wall time a test may move."""

    def __init__(self) -> None:
        self.step_ns = 0

    def now(self) -> Instant:
        now = SystemClock().now()
        return Instant(now.mono_ns, now.wall_ns + self.step_ns)


@pytest.mark.parametrize("step_ns", [-3600 * NS_PER_S, 3600 * NS_PER_S, -20 * MS])
def test_a_clock_that_is_set_is_followed_and_the_windows_say_so(step_ns: int) -> None:
    clock, sink = SteppedClock(), Sink()
    plan = short(free_port(B), [B], A)
    stepped = engine(plan, sink, clock=clock)
    stepped.start()
    sink.wait_for(1)
    clock.step_ns = step_ns

    def told() -> list[bool]:
        return [bool(fitness.unfit & Unfit.CLOCK_STEP.value) for fitness in sink.fitness]

    until(lambda: any(told()), "no window says so")
    until(lambda: not told()[-1], "the windows after it are not fit again")
    stepped.stop()
    starts = [fitness.start_ns for fitness in sink.fitness]
    if abs(step_ns) > NS_PER_S:
        moved = [after - before for before, after in pairwise(starts)]
        assert max(moved, key=abs) == pytest.approx(step_ns, abs=3 * NS_PER_S)


def test_what_the_host_and_its_clock_suffered_is_in_the_windows() -> None:
    def silent() -> ClockQuality:
        raise OSError("not to be had")

    bits = Unfit.CPU_STARVED.value | Unfit.SUSPENDED.value
    asked: list[tuple[int, int]] = []

    def host_unfit(start_ns: int, end_ns: int) -> int:
        asked.append((start_ns, end_ns))
        return bits

    plan = short(free_port(B), [B], A)
    sink = reports(plan, clock_quality=silent, under_test=lambda start, end: True, host_unfit=host_unfit)
    row = next(frame for frame in sink.frames if frame.rows)
    assert sink.fitness[0].unfit & bits == bits
    assert int(row.count("unfit")[0]) & bits == bits
    assert row.count("under_test").tolist() == [1]
    assert math.isnan(row.real("one_way_error_us")[0])
    assert asked[0] == (sink.fitness[0].start_ns, sink.fitness[0].start_ns + SHORT_NS)
