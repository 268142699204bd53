"""An agent that stands still, and a reflector that stands still, dies and comes back."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import pytest

from linkgauge.clock import SystemClock, read_clock_quality
from linkgauge.plan import Plan
from probes.standalone import StandaloneReflector, parse_allowed
from tests.probes.network.cable import FAMILIES, PORT, Cable, joined, link
from tests.probes.network.engines import Sink, engine, plan_of
from tests.probes.network.process import Child, child
from tests.probes.network.tap import Tap

pytestmark = pytest.mark.root
INTERVAL_NS = 10_000_000
STOPPED_S = 1.5
MISSED = STOPPED_S * 1e9 / INTERVAL_NS
LATE_NS = 600_000_000
"""Timeout of the prober of a reflector that stands still for a second."""


@pytest.fixture(scope="module")
def stopped() -> Iterator[tuple[Child, Sink, Tap]]:
    """The sender's process stands still for STOPPED_S in the middle of its run."""
    with joined(1) as cable:
        near, far = (plan_of(end, (1,), INTERVAL_NS) for end in ("near", "far"))
        sink = Sink()
        reflector = engine(cable, "far", far, sink)
        reflector.start()
        try:
            tap = Tap(cable, "far")
            with child(cable, "near", near) as sender:
                sender.wait_for(1)
                sender.signal(signal.SIGSTOP)
                time.sleep(STOPPED_S)  # that is the length of the standstill, not a wait for something
                sender.signal(signal.SIGCONT)
                sender.wait_for(3)
                sender.wait_until(lambda: _sent(sender) > 150, "too few packets were sent")
            tap.close()
        finally:
            reflector.stop()
        yield sender, sink, tap


def _sent(sender: Child) -> int:
    """By the link that sent less."""
    return min(sender.total("sent", link(1, family)) for family in FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_slots_missed_in_a_standstill_are_counted_and_not_made_up_for(
    stopped: tuple[Child, Sink, Tap], family: str
) -> None:
    sender, _, tap = stopped
    name = link(1, family)
    sent, missed = sender.total("sent", name), sender.total("missed", name)
    assert missed >= MISSED * 0.6  # a busy host may be slow to stop it
    times = [seen.ns for seen in tap.requests(name)]
    assert len(times) == sent
    starts = [row["start_ns"] for row in sender.rows()]
    whole = [row for row in sender.rows() if row["link"] == name and row["start_ns"] < max(starts)]
    late = sender.told[-1]["fitness"]["loop_lag_max_us"] * 1e3 / INTERVAL_NS  # counted in the last window
    slots = sum(row["sent"] + row["missed"] for row in whole)
    assert slots == pytest.approx((max(starts) - min(starts)) / INTERVAL_NS, abs=5 + late)
    gap_ns, at = max((later - sooner, i) for i, (sooner, later) in enumerate(pairwise(times)))
    assert gap_ns > STOPPED_S * 0.6e9
    after = [ns for ns in times[at + 1 :] if ns < times[at + 1] + 200_000_000]
    assert len(after) <= 200_000_000 / INTERVAL_NS * 1.5 + 3  # no burst


@pytest.mark.parametrize("family", FAMILIES)
def test_a_standstill_of_the_agent_is_no_loss(stopped: tuple[Child, Sink, Tap], family: str) -> None:
    sender, far, _ = stopped
    name = link(1, family)
    sent, late = sender.total("sent", name), sender.total("late", name)
    assert sent > 150
    assert sender.total("replied", name) + late == sent
    # far answers later than the timeout only where it missed a packet to itself
    assert late == 0 or max(told.loop_lag_max_us for told in far.fitness) > 100_000
    for count in ("lost_forward", "lost_backward", "lost_unattributed", "refused"):
        assert sender.total(count, name) == 0, count


@contextmanager
def _alone(cable: Cable, far: Plan) -> Iterator[None]:
    """A reflector of the same peers at the same addresses, without a plan."""
    where, allowed = [(local, PORT) for local in far.locals], parse_allowed(far.peers)
    made = cable.inside("far", lambda: StandaloneReflector(where, allowed, SystemClock(), read_clock_quality))
    stop = threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a prober told of a reflector that stood still, died before dead_ns and came back.

    tap: at the reflector. back_ns: one without a plan was there. Times in Unix ns.
    """

    near: Sink
    tap: Tap
    dead_ns: int
    back_ns: int

    def waits_ns(self, name: str) -> list[tuple[int, int | None]]:
        """When each request came to the reflector, and how long it waited there; None: for ever."""
        answered = {seen.seq: seen.ns for seen in self.tap.replies(name)}
        asked = [(seen.ns, answered.get(seen.seq)) for seen in self.tap.requests(name)]
        return [(ns, None if then is None else then - ns) for ns, then in asked]


@pytest.fixture(scope="module")
def troubled() -> Iterator[Trouble]:
    """The reflector's process stands still for a second, runs on, is killed; one without a plan follows."""
    with joined(1) as cable:
        near = plan_of("near", (1,), INTERVAL_NS, stamp_timeout_ns=LATE_NS)
        far = plan_of("far", (1,), INTERVAL_NS)
        sink, tap = Sink(), Tap(cable, "far")
        prober = engine(cable, "near", near, sink)
        try:
            with child(cable, "far", far) as reflector:
                prober.start()
                sink.wait_for(1)
                reflector.signal(signal.SIGSTOP)
                time.sleep(1)  # the length of the standstill
                reflector.signal(signal.SIGCONT)
                sink.wait_for(4)
                reflector.signal(signal.SIGKILL)
            dead_ns = time.time_ns()
            sink.wait_until(lambda: _least(sink, "refused") > 80, "too few packets are refused")
            with _alone(cable, far):
                back_ns = time.time_ns()
                sink.wait_until(lambda: _least(sink, "replied", back_ns) > 80, "the new one does not answer")
                prober.stop()
        finally:
            if prober.alive:
                prober.stop()
        tap.close()
        yield Trouble(sink, tap, dead_ns, back_ns)


def _least(sink: Sink, count: str, from_ns: int = 0) -> int:
    """Of both links the smaller sum over windows that began later."""
    rows = sink.windows()
    rows = rows.take(rows.count("start_ns") >= from_ns)
    return min(int(rows.count(count)[rows.text("link") == link(1, family)].sum()) for family in FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reflector_that_stands_still_answers_late_and_loses_nothing(troubled: Trouble, family: str) -> None:
    name, near = link(1, family), troubled.near
    waits_ns = [wait_ns for _, wait_ns in troubled.waits_ns(name) if wait_ns is not None]
    late = sum(wait_ns > LATE_NS for wait_ns in waits_ns)
    assert late > 0, "nothing waited while the reflector stood still"
    assert near.total("late", name) == pytest.approx(late, abs=2)
    assert near.total("lost_forward", name) == 0
    assert near.total("lost_backward", name) == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reflector_that_died_refuses_and_its_successor_turns_no_direction(
    troubled: Trouble, family: str
) -> None:
    name, near = link(1, family), troubled.near
    refused, unknown = near.total("refused", name), near.total("lost_unattributed", name)
    assert refused > 80
    assert near.answered(name) + refused + unknown == near.total("sent", name)
    rows = near.windows()
    mine = (rows.text("link") == name) & (rows.count("start_ns") >= troubled.back_ns)
    assert rows.count("replied")[mine].sum() > 80
    unanswered = [ns for ns, wait_ns in troubled.waits_ns(name) if wait_ns is None]
    assert len(unanswered) == refused + unknown
    # what waited at the reflector when it died; next to packets that are refused it counts as refused, too
    assert unknown <= sum(ns < troubled.dead_ns for ns in unanswered)
