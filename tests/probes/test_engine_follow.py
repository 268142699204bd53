"""An engine that follows plans: each window of a link that stands in both has one row, nothing is lost."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from linkgauge.clock import NS_PER_S, window_start
from linkgauge.errors import ConfigError
from linkgauge.frame import Frame, concat
from linkgauge.plan import Plan, PlanLink
from linkgauge.schema import WINDOW
from probes.engine.crew import MOST_CREWS
from probes.engine.engine import Engine
from probes.engine.noted import Fitness
from tests.probes.engines import Sink, engine
from tests.probes.loopback import MS, free_port, stamp_plan, until

A, B, C = "127.64.204.1", "127.64.204.2", "127.64.204.3"
WINDOW_NS, TIMEOUT_NS = NS_PER_S // 4, 400 * MS
TO_B, TO_C = PlanLink("n1>n2@net", A, B), PlanLink("n1>n3@net", A, C)


def _plan(port: int, links: list[PlanLink], **changed: object) -> Plan:
    lengths = {"window_ns": WINDOW_NS, "stamp_timeout_ns": TIMEOUT_NS}
    return msgspec.structs.replace(stamp_plan(port, [B, C], A), links=links, **(lengths | changed))


class Net:
    """An engine at A, and one at B and C that answers it."""

    def __init__(self) -> None:
        self.port, self.sink, far = free_port(A), Sink(), Sink()
        far_plan = msgspec.structs.replace(stamp_plan(self.port, [A], B), links=[], locals=[B, C])
        short = {"window_ns": WINDOW_NS, "stamp_timeout_ns": TIMEOUT_NS}
        self.far = engine(msgspec.structs.replace(far_plan, **short), far)
        self.near: Engine = engine(_plan(self.port, [TO_B]), self.sink)
        self.far.start()
        self.near.start()
        self.sink.wait_for(1)

    def follow(self, links: list[PlanLink], **changed: object) -> int:
        """Have such a plan take over; returns when it is in force, and from which window on."""
        plan = _plan(self.port, links, **changed)
        from_ns = self.near.follow(plan)
        until(lambda: self.near.plan is plan, "the plan does not take over")
        return from_ns

    def windows(self) -> int:
        return len(self.sink.fitness)

    def stop(self) -> Frame:
        """All rows in their last revision."""
        self.near.stop()
        self.far.stop()
        rows = concat(WINDOW, self.sink.frames)
        keys = zip(rows.text("link"), rows.count("start_ns").tolist(), rows.count("revision"), strict=True)
        assert len({*keys}) == rows.rows
        names = zip(rows.text("link"), rows.count("start_ns").tolist(), strict=True)
        last = {name: row for row, name in enumerate(names)}
        return rows.take(np.array(sorted(last.values()), np.intp))

    def whole(self) -> list[Fitness]:
        """What was told of windows that are not cut short, and of which late replies corrected the rows.

        One is left out only where the loop came so late to the next.
        """
        for before, after in pairwise(self.sink.fitness):
            left_out_ns = after.start_ns - before.start_ns - WINDOW_NS
            assert left_out_ns >= 0
            assert left_out_ns == 0 or after.loop_lag_max_us > left_out_ns / 1e3 / 2
        return self.sink.fitness[:-2]


@pytest.fixture
def net() -> Iterator[Net]:
    made = Net()
    yield made
    made.stop()


def _of(rows: Frame, link: PlanLink) -> Frame:
    return rows.take(rows.text("link") == link.link)


def _check_whole(net: Net, rows: Frame, from_ns: int, end_ns: int) -> None:
    """One row for each window between two times, in which packets were sent and none was lost.

    A window has none only where the loop stood still all along, and says so in the next one.
    """
    starts = rows.count("start_ns").tolist()
    for told, following in pairwise(net.sink.fitness):
        if from_ns <= told.start_ns < end_ns and told in net.whole():
            assert starts.count(told.start_ns) == 1 or following.loop_lag_max_us > WINDOW_NS / 1e3 / 2
    within = (rows.count("start_ns") >= from_ns) & (rows.count("start_ns") < end_ns)
    assert within.all()
    assert (rows.count("sent") + rows.count("missed") > 0).all()
    missing = rows.count("sent") - rows.count("replied") - rows.count("late")
    assert 0 <= missing.sum() <= sum(told.too_late for told in net.sink.fitness)


def test_no_window_is_missing_or_doubled_however_the_plan_changes(net: Net) -> None:
    first = int(net.sink.fitness[0].start_ns)
    crew = net.near._roster.crews[0]
    added = net.follow([TO_B, TO_C])
    net.sink.wait_for(net.windows() + 2)
    dropped = net.follow([TO_B])
    assert net.near._roster.crews[0] is crew, "a link that is in both plans does not notice"
    slower = net.follow([TO_B], stamp_interval_ns=20 * MS)
    sized = net.follow([TO_B, TO_C], stamp_interval_ns=20 * MS, size_bytes=200)
    net.sink.wait_for(net.windows() + 2)
    until(lambda: len(net.near._roster.crews) == 1, "those that send no more are not closed")
    rows = net.stop()
    last = net.whole()[-1].start_ns
    end = last + WINDOW_NS
    whole = rows.take(rows.count("start_ns") < end)
    to_b = _of(whole, TO_B)
    _check_whole(net, to_b, first, end)
    to_c = _of(whole, TO_C)
    starts = to_c.count("start_ns")
    _check_whole(net, to_c.take(starts < dropped), added, dropped)
    _check_whole(net, to_c.take(starts >= dropped), sized, end)
    interval_ns = np.where(to_b.count("start_ns") < slower, 10 * MS, 20 * MS)
    assert (to_b.count("sent") <= WINDOW_NS // interval_ns + 3).all()  # some are sent up to 20 ms late
    due = (slower - first) / (10 * MS) + (end - slower) / (20 * MS)
    late_s = sum(fitness.loop_lag_max_us for fitness in net.sink.fitness) / 1e6
    slots = (to_b.count("sent") + to_b.count("missed")).sum()
    assert slots == pytest.approx(due, abs=10 + late_s * 100)


def test_the_windows_follow_each_other_and_the_reflector_numbers_on(net: Net) -> None:
    before = net.far._welcome.reflector.sessions
    for _ in range(2):
        net.far.follow(net.far.plan)
        net.follow([TO_B])
    net.sink.wait_for(net.windows() + 2)
    assert net.far._welcome.reflector.sessions == before, "neither end began anew"
    first = int(net.sink.fitness[0].start_ns)
    rows = net.stop()
    end = net.whole()[-1].start_ns + WINDOW_NS
    _check_whole(net, rows.take(rows.count("start_ns") < end), first, end)


def test_a_plan_waits_until_it_is_to_take_over_and_a_newer_one_takes_its_place(net: Net) -> None:
    first = int(net.sink.fitness[0].start_ns)
    later = window_start(time.time_ns(), WINDOW_NS) + 10 * WINDOW_NS
    assert net.near.follow(_plan(net.port, [TO_B, TO_C], takes_over_ns=later)) == later
    assert net.near.follow(_plan(net.port, [TO_C], takes_over_ns=later - 1)) == later
    until(lambda: net.near.plan.links == [TO_C], "the plan does not take over")
    until(lambda: net.sink.fitness[-1].start_ns > later + WINDOW_NS, "no window of the new plan comes")
    rows = net.stop()
    rows = rows.take(rows.count("start_ns") <= net.whole()[-1].start_ns)
    _check_whole(net, _of(rows, TO_B), first, later)
    _check_whole(net, _of(rows, TO_C), later, net.whole()[-1].start_ns + WINDOW_NS)
    assert _of(rows, TO_B).rows > 0
    assert _of(rows, TO_C).rows > 0


def test_what_cannot_be_bound_leaves_all_as_it_is(net: Net) -> None:
    bad = msgspec.structs.replace(_plan(net.port, [TO_B]), locals=[A, "192.0.2.1"])
    with pytest.raises(ConfigError):
        net.near.follow(bad)
    net.follow([TO_B, TO_C])
    with pytest.raises(ConfigError):
        net.near.follow(_plan(net.port, [PlanLink("n1>n4@net", "192.0.2.1", B)]))
    net.sink.wait_for(net.windows() + 2)
    assert net.near.plan.links == [TO_B, TO_C]


def test_a_new_address_and_port_are_answered_before_and_the_old_ones_after(net: Net) -> None:
    other = free_port(B)
    plan = msgspec.structs.replace(net.far.plan, stamp_port=other, locals=[C], peers=[])
    net.far.follow(plan)
    until(lambda: net.far.plan is plan, "the plan does not take over")
    net.sink.wait_for(net.windows() + 3)
    assert [where for where, _ in ((d.where, 0) for d in net.far._welcome.answering._doorways)][:2] == [
        (B, net.port), (C, net.port),
    ]  # fmt: skip
    first = int(net.sink.fitness[0].start_ns)
    rows = net.stop()
    assert rows.count("refused").sum() == 0
    end = net.whole()[-1].start_ns + WINDOW_NS
    _check_whole(net, rows.take(rows.count("start_ns") < end), first, end)


def test_windows_shorter_than_the_timeout_end_crews_once(net: Net) -> None:
    long = {"stamp_timeout_ns": 3 * WINDOW_NS}
    net.follow([TO_B], **long)
    net.follow([TO_C], **long)
    until(lambda: len(net.near._roster.crews) == 1, "those that send no more are not closed")
    net.sink.wait_for(net.windows() + 4)
    assert net.near.alive


def test_many_changes_do_not_pile_up_crews_or_descriptors(net: Net) -> None:
    before = len(os.listdir("/proc/self/fd"))
    extra = [PlanLink(f"n1>x{at}@net", A, f"127.64.205.{at + 1}") for at in range(MOST_CREWS + 1)]
    for at in range(len(extra)):
        net.follow([TO_B, *extra[: at + 1]])
        assert sum(bool(crew.links) for crew in net.near._roster.crews) <= MOST_CREWS
    net.follow([TO_B])
    until(lambda: len(net.near._roster.crews) <= 2, "those that send no more are not closed")
    assert len(os.listdir("/proc/self/fd")) <= before + 2
