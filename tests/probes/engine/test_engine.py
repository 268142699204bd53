"""Engines on loopback: windows come out whole, aligned, once each, in every mode of a plan.

What a window must hold is taken from what the other end sent in it, and may differ by as much as both loops
say they were late: so nothing here depends on how busy the machine is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest

from linkgauge.clock import NS_PER_S
from linkgauge.frame import concat
from linkgauge.plan import Plan
from linkgauge.schema import FLOW, WINDOW
from probes.engine.engine import Engine
from probes.engine.flight import Flight
from probes.engine.plan_sessions import LATEST_LEAST_NS
from tests.probes.both_ends import End, both_ends
from tests.probes.engines import KEY, A, B, Sink, engine
from tests.probes.loopback import free_port, stamp_plan, until

WINDOWS = 3
COMMON = {"stamp_timeout_ns": NS_PER_S}
"""A reply that stands in a queue of a busy host is awaited for so long."""


@dataclass(frozen=True)
class Mode:
    """What is changed in the plans of both ends."""

    changed: Mapping[str, Any]
    home: str = A
    far: str = B
    keys: bool = False
    reflector: str = "stateful"


MODES = {
    "plain": Mode({}),
    "v6": Mode({"transmit_stamps": "on"}, "::1", "::1"),
    "authenticated": Mode(
        {"authenticated": True, "size_bytes": 300}, "127.64.200.3", "127.64.200.4", keys=True
    ),
    "classes": Mode({"classes": [0, 46, 10], "flows": 4}, "127.64.200.5", "127.64.200.6"),
    "large": Mode({"size_bytes": 1400, "transmit_stamps": "off"}, "127.64.200.7", "127.64.200.8"),
    "poisson": Mode({"poisson": True}, "127.64.200.9", "127.64.200.10"),
    "fast": Mode({"stamp_interval_ns": 500_000}, "127.64.200.11", "127.64.200.12"),
}


def pair(mode: Mode) -> list[tuple[Engine, Sink]]:
    """Two engines that measure each other."""
    made = []
    ports = free_port(mode.home), free_port(mode.far)
    while ports[0] == ports[1]:
        ports = ports[0], free_port(mode.far)
    ends = (mode.home, mode.far, *ports), (mode.far, mode.home, *ports[::-1])
    for at, (home, far, own_port, far_port) in enumerate(ends):
        plan = stamp_plan(far_port, [far], home, **{**COMMON, **mode.changed})
        plan = msgspec.structs.replace(plan, agent=f"n{at}")
        sink = Sink()
        keys = {far: KEY} if mode.keys else None
        made.append((engine(plan, sink, bind_ports={home: own_port}, keys=keys), sink))
    return made


@pytest.fixture(scope="module")
def runs() -> dict[str, list[Sink]]:
    """Engines of all modes at the same time; but the fast ones have the interpreter to themselves."""
    return ran([name for name in MODES if name != "fast"]) | ran(["fast"])


def ran(names: list[str]) -> dict[str, list[Sink]]:
    """Both ends of these modes, until they have enough windows in common, one of them fit at both."""
    pairs = {name: pair(MODES[name]) for name in names}
    ends = [end for both in pairs.values() for end in both]
    for one, _ in ends:
        one.start()
    if "plain" in pairs:
        plain, sink = pairs["plain"][0]
        sink.wait_for(1)
        seq = np.arange(5, dtype=np.int64)
        flight = Flight(A, 0, B, 0, seq, np.full(5, 64, np.uint8), np.full(5, 200, np.int64))
        plain.sweep(flight)
        until(lambda: sum(len(one.replies.seq) for one in sink.caught) == 5, "the sweep is not answered")
    sinks = {name: [sink for _, sink in both] for name, both in pairs.items()}
    for here, there in sinks.values():
        until(partial(enough, here, there), "windows are missing")
    with ThreadPoolExecutor(len(ends)) as pool:
        list(pool.map(lambda end: end[0].stop(), ends))
    return sinks


def enough(here: Sink, there: Sink) -> bool:
    """Whether there are WINDOWS windows of both ends, one of them fit at both."""
    one, other = both_ends(here, there, cut=0)
    fit = [
        mine.unfit == theirs.unfit == 0 for mine, theirs in zip(one.fitness(), other.fitness(), strict=True)
    ]
    return len(fit) >= WINDOWS and any(fit)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ends(runs: dict[str, list[Sink]], mode: str) -> tuple[End, End]:
    here, there = runs[mode]
    made = both_ends(here, there)
    assert len(made[0].starts) >= WINDOWS
    return made


def plan_of(mode: str) -> Plan:
    """Its rates and classes."""
    return stamp_plan(1, **{**COMMON, **MODES[mode].changed})


def near(count: float, plan: Plan, *late_s: float) -> Any:
    """A count of packets of a class of that plan, when loops say that they were so late."""
    rate = NS_PER_S / plan.stamp_interval_ns
    return pytest.approx(count, abs=rate * sum(late_s) + 0.02 * rate + 8)


def test_windows_are_aligned_and_come_once(runs: dict[str, list[Sink]], mode: str) -> None:
    for sink in runs[mode]:
        rows = concat(WINDOW, sink.frames)
        names = rows.text("link"), rows.text("class"), rows.count("start_ns"), rows.count("revision")
        keys = list(zip(*names, strict=True))
        assert len(set(keys)) == len(keys)
        starts = [fitness.start_ns for fitness in sink.fitness]
        assert {start % NS_PER_S for start in starts} == {0}
        for before, after in pairwise(sink.fitness):
            left_out_ns = after.start_ns - before.start_ns - NS_PER_S
            assert left_out_ns >= 0
            assert left_out_ns == 0 or after.loop_lag_max_us > left_out_ns / 1e3 / 2, "left out without need"
        assert set(rows.count("start_ns").tolist()) <= set(starts)


def test_every_slot_was_used_or_counted(ends: tuple[End, End], mode: str) -> None:
    plan = plan_of(mode)
    due = NS_PER_S / plan.stamp_interval_ns
    for end in ends:
        rows = end.rows()
        assert len(rows.count("sent")) <= len(plan.classes) * len(end.starts)
        for start_ns in end.starts:
            for dscp in plan.classes:
                mine = (rows.count("start_ns") == start_ns) & (rows.text("class") == str(dscp))
                slots = int((rows.count("sent") + rows.count("missed"))[mine].sum())
                spread_s = 6 * math.sqrt(due) / due if plan.poisson else 0
                assert slots == near(due, plan, end.late_s(start_ns), spread_s)
        for told in end.fitness():
            punctual = told.loop_lag_max_us <= LATEST_LEAST_NS / 1e3
            assert not (punctual and told.missed), "missed without being late"


def test_every_packet_was_answered(ends: tuple[End, End]) -> None:
    for end, far in (ends, ends[::-1]):
        rows = end.rows()
        missing = rows.count("sent") - rows.count("replied") - rows.count("late")
        assert (missing >= 0).all()
        excused = sum(told.too_late for told in end.sink.fitness)
        excused += sum(told.refused_rate for told in far.sink.fitness)
        assert missing.sum() <= excused
        assert (rows.real("loss_ratio")[(rows.count("sent") > 0) & (missing == 0)] == 0).all()
        assert (rows.count("unanswered")[missing == 0] == 0).all()
        assert (rows.count("duplicate") == 0).all()
        assert rows.count("replied").sum() > 0


def test_each_end_tells_what_came_of_the_other(ends: tuple[End, End], mode: str) -> None:
    plan = plan_of(mode)
    for here, there in (ends, ends[::-1]):
        rows = here.rows()
        for start_ns in here.starts:
            sent, late_s = there.total("sent", start_ns), here.late_s(start_ns) + there.late_s(start_ns)
            heard = rows.real("heard")[rows.count("start_ns") == start_ns]
            assert heard.tolist() == [near(sent, plan, late_s * len(plan.classes))] * len(heard)


def test_delays_of_loopback_can_be(ends: tuple[End, End]) -> None:
    for end in ends:
        rows = end.rows()
        measured = np.array([row.total for row in rows.histograms("rtt_ns")])
        assert measured.sum() > 0
        assert (measured <= rows.count("replied")).all()
        least_us, median_us = (rows.real(name)[measured > 0] for name in ("rtt_min_us", "rtt_p50_us"))
        assert (least_us > 0).all()
        assert least_us.min() < 5_000
        assert (median_us >= least_us).all()
        assert [row.total for row in rows.histograms("forward_ns")] == rows.count("replied").tolist()


def test_stamps_are_those_asked_for(ends: tuple[End, End], mode: str) -> None:
    wanted = MODES[mode].changed.get("transmit_stamps", "auto")
    for end in ends:
        rows = end.rows()
        stamped, replied = rows.count("sent_stamped").sum(), rows.count("replied").sum()
        assert stamped == 0 if wanted == "off" else stamped > 0.9 * replied


def test_marks_and_hops(ends: tuple[End, End]) -> None:
    for end in ends:
        rows = end.rows()
        assert (rows.count("marks") == rows.count("replied") + rows.count("late")).all()
        for name in ("remarked_forward", "remarked_backward", "bleached_forward", "bleached_backward"):
            assert (rows.count(name) == 0).all()
        marked = rows.count("marks") > 0
        assert marked.any()
        classes = [float(klass) for klass in rows.text("class")[marked]]
        for name in ("dscp_forward", "dscp_backward"):
            assert rows.real(name)[marked].tolist() == classes


def test_fitness_has_what_was_reflected_and_nothing_was_discarded(ends: tuple[End, End], mode: str) -> None:
    plan = plan_of(mode)
    for here, there in (ends, ends[::-1]):
        for told in here.fitness():
            start_ns = told.start_ns
            sent, late_s = there.total("sent", start_ns), here.late_s(start_ns) + there.late_s(start_ns)
            assert told.reflected == near(sent, plan, late_s * len(plan.classes))
            assert told.self_lost == 0
            assert told.self_rtt_p50_us > 0 or here.late_s(start_ns) > 0.1, "a packet to itself was not due"
            assert not told.refused_rate or here.late_s(start_ns) > 0.5, (
                "only a crowd that waited is too much"
            )
            names = [
                name for name in told.__slots__ if name.startswith("refused_") and name != "refused_rate"
            ]
            assert [getattr(told, name) for name in names] == [0] * len(names)
            assert (told.malformed, told.unmatched, told.receive_dropped) == (0, 0, 0)


def test_flows_add_up_to_the_windows(runs: dict[str, list[Sink]]) -> None:
    for sink in runs["classes"]:
        flows = concat(FLOW, sink.flows)
        rows = concat(WINDOW, sink.frames)
        rows = rows.take((rows.count("revision") == 0) & (rows.count("unfit") == 0))
        assert set(flows.text("flow").tolist()) == {"0", "1", "2", "3"}
        assert len(set(flows.count("port").tolist())) == 4
        for name in ("sent", "lost_forward", "lost_backward"):
            assert flows.count(name).sum() == rows.count(name).sum()
    assert not runs["plain"][0].flows


def test_what_comes_of_sweeps_is_handed_over(runs: dict[str, list[Sink]]) -> None:
    caught = runs["plain"][0].caught
    assert sorted(seq for one in caught for seq in one.sent.seq.tolist()) == list(range(5))
    assert sorted(seq for one in caught for seq in one.replies.seq.tolist()) == list(range(5))
    assert not any(one.sent.failed.any() for one in caught)
