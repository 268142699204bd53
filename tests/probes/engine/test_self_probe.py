"""The probe of an agent to itself: what it says of a window."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pytest

from linkgauge.clock import NS_PER_S, Instant, SystemClock
from linkgauge.code import Unfit
from probes.engine.self_probe import ADDRESS, INTERVAL_NS, SelfProbe
from probes.sockets.raw_name import raw_name
from probes.stamp.window import Span
from tests.probes.loopback import SYNCED, FarEnd, await_stamps, stamp_plan, until

NONE = np.empty(0, np.int64)
SPAN = Span(10**18, NS_PER_S, NONE, NONE, NONE, math.nan, 0, 0, False)


@pytest.fixture
def far() -> Iterator[FarEnd]:
    await_stamps(ADDRESS)
    made = FarEnd(ADDRESS)
    yield made
    made.close()


@pytest.fixture
def probe(far: FarEnd) -> Iterator[SelfProbe]:
    plan = stamp_plan(7, ["10.0.0.1"], "10.0.0.9", classes=[0, 46], flows=8, poisson=True, authenticated=True)
    made = SelfProbe(plan, far.port, 0)
    made.sender.set_error(SYNCED)
    yield made
    made.sender.close()


def send(probe: SelfProbe, packets: int) -> None:
    for _ in range(packets):
        probe.sender.send_due(Instant(probe.sender.next_due_ns(), 0), SystemClock())


def answer(probe: SelfProbe, far: FarEnd, packets: int) -> None:
    far.answer(packets)

    def all_back() -> bool:
        probe.sender.read(0, force=True)
        return int((probe.sender.sessions.reply["seq"] >= 0).sum()) >= packets

    until(all_back, "replies are missing")


def test_it_is_one_plain_session_at_its_own_pace_whatever_the_plan(probe: SelfProbe) -> None:
    assert len(probe.sender.sessions) == 1
    assert probe.sender.wheel.cycle_ns == min(
        INTERVAL_NS, stamp_plan(7, ["10.0.0.1"], "10.0.0.9").window_ns // 2
    )
    assert probe.sender.sessions.layout.base == 44
    assert probe.sender.ports[0].local == ADDRESS


def test_it_tells_the_round_trip_over_loopback(probe: SelfProbe, far: FarEnd) -> None:
    send(probe, 10)
    answer(probe, far, 10)
    told = probe.told(probe.closings.end(SPAN))
    assert told.lost == 0
    assert 0 < told.rtt_p50_us <= told.rtt_max_us
    assert told.rtt_p50_us > 1_000 or not told.unfit


def test_loss_over_loopback_is_unfitness(probe: SelfProbe, far: FarEnd) -> None:
    send(probe, 10)
    told = probe.told(probe.closings.end(SPAN))
    assert (told.lost, told.unfit) == (10, Unfit.SELF_PROBE.value)
    assert math.isnan(told.rtt_p50_us)


def test_a_slow_host_is_unfit(probe: SelfProbe, far: FarEnd) -> None:
    send(probe, 4)
    answer(probe, far, 4)
    probe.sender.sessions.reply["t4_ns"] += 5_000_000
    told = probe.told(probe.closings.end(SPAN))
    assert (told.lost, told.unfit) == (0, Unfit.SELF_PROBE.value)


def test_a_window_is_told_by_its_own_row_and_not_by_a_correction(probe: SelfProbe, far: FarEnd) -> None:
    send(probe, 5)
    probe.told(probe.closings.end(SPAN))  # lost so far
    answer(probe, far, 5)
    send(probe, 3)
    answer(probe, far, 8)
    told = probe.told(probe.closings.end(dataclasses.replace(SPAN, start_ns=SPAN.start_ns + NS_PER_S)))
    assert told.lost == 0


def test_an_empty_window_says_nothing(probe: SelfProbe) -> None:
    told = probe.told(probe.closings.end(SPAN))
    assert math.isnan(told.rtt_p50_us)
    assert (told.lost, told.unfit) == (0, 0)


def test_only_its_own_packets_are_its_own(probe: SelfProbe) -> None:
    port = probe.sender.ports[0].socket.port
    assert probe.is_own(raw_name(ADDRESS, port))
    assert not probe.is_own(raw_name(ADDRESS, port ^ 1))
    assert not probe.is_own(raw_name("127.0.0.2", port))
    assert not probe.is_own(raw_name("::1", port))


def test_where_it_is_reflected() -> None:
    assert SelfProbe.far_ends() == [(ADDRESS, 0)]
