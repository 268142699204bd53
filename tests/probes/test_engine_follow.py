"""An engine that follows plans: each window of a link that stands in both has one row, nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from linkgauge.clock import NS_PER_S
from linkgauge.errors import ConfigError
from linkgauge.frame import Frame, concat
from linkgauge.plan import Plan, PlanLink
from linkgauge.schema import WINDOW
from probes.engine.crew import MOST_CREWS
from probes.engine.engine import Engine
from tests.probes.engines import Sink, engine
from tests.probes.loopback import MS, free_port, stamp_plan, until

A, B, C = "127.64.204.1", "127.64.204.2", "127.64.204.3"
WINDOW_NS = NS_PER_S // 4
TO_B, TO_C = PlanLink("n1>n2@net", A, B), PlanLink("n1>n3@net", A, C)


def _plan(port: int, links: list[PlanLink], **changed: object) -> Plan:
    lengths = {"window_ns": WINDOW_NS, "stamp_timeout_ns": 100 * MS}
    return msgspec.structs.replace(stamp_plan(port, [B, C], A), links=links, **(lengths | changed))


class Net:
    """An engine at A, and one at B and C that answers it."""

    def __init__(self) -> None:
        self.port, self.sink, far = free_port(A), Sink(), Sink()
        far_plan = msgspec.structs.replace(stamp_plan(self.port, [A], B), links=[], locals=[B, C])
        short = {"window_ns": WINDOW_NS, "stamp_timeout_ns": 100 * MS}
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
        """All rows as they were told first."""
        self.near.stop()
        self.far.stop()
        rows = concat(WINDOW, self.sink.frames)
        return rows.take(rows.count("revision") == 0)


@pytest.fixture
def net() -> Iterator[Net]:
    made = Net()
    yield made
    made.stop()


def _of(rows: Frame, link: PlanLink) -> Frame:
    return rows.take(rows.text("link") == link.link)


def _check_whole(rows: Frame, from_ns: int, end_ns: int) -> None:
    """One row for each window between two times, in which packets were sent and none was lost."""
    starts = rows.count("start_ns")
    assert np.sort(starts).tolist() == list(range(from_ns, end_ns, WINDOW_NS))
    assert (rows.count("sent") > 0).all()
    assert (rows.count("sent") == rows.count("replied") + rows.count("late")).all()


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
    end = max(fitness.start_ns for fitness in net.sink.fitness)
    whole = rows.take(rows.count("start_ns") < end)  # the last is cut short
    _check_whole(_of(whole, TO_B), first, end)
    to_c = _of(whole, TO_C)
    starts = to_c.count("start_ns")
    _check_whole(to_c.take(starts < dropped), added, dropped)
    _check_whole(to_c.take(starts >= dropped), sized, end)
    sent = {
        int(start): int(n)
        for start, n in zip(*map(_of(whole, TO_B).count, ("start_ns", "sent")), strict=True)
    }
    for start, count in sent.items():
        assert count <= (WINDOW_NS // (10 * MS) if start < slower else WINDOW_NS // (20 * MS)) + 1
    told = [(fitness.start_ns, fitness.missed) for fitness in net.sink.fitness]
    assert sum(sent.values()) > 0.8 * sum((25 if start < slower else 12) for start in sent), told


def test_the_windows_follow_each_other_and_the_reflector_numbers_on(net: Net) -> None:
    before = net.far._welcome.reflector.sessions
    for _ in range(2):
        net.far.follow(net.far.plan)
        net.follow([TO_B])
    net.sink.wait_for(net.windows() + 2)
    assert net.far._welcome.reflector.sessions == before, "neither end began anew"
    net.stop()
    starts = [fitness.start_ns for fitness in net.sink.fitness]
    assert {after - before for before, after in pairwise(starts)} == {WINDOW_NS}


def test_a_plan_waits_until_it_is_to_take_over_and_a_newer_one_takes_its_place(net: Net) -> None:
    now = net.sink.fitness[-1].start_ns
    later = now + 6 * WINDOW_NS
    assert net.near.follow(_plan(net.port, [TO_B, TO_C], takes_over_ns=later)) == later
    assert net.near.follow(_plan(net.port, [TO_C], takes_over_ns=later - 1)) == later
    until(lambda: net.near.plan.links == [TO_C], "the plan does not take over")
    net.sink.wait_for(net.windows() + 2)
    rows = net.stop()
    assert _of(rows, TO_B).count("start_ns").max() == later - WINDOW_NS
    assert _of(rows, TO_C).count("start_ns").min() == later


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
    rows = net.stop()
    assert rows.count("refused").sum() == 0
    lost = sum(rows.count(f"lost_{way}").sum() for way in ("forward", "backward", "unattributed"))
    assert lost == 0


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
    until(lambda: len(net.near._roster.crews) <= 2, "those that send no more are not closed", 20)
    assert len(os.listdir("/proc/self/fd")) <= before + 2
