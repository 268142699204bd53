"""Engines on loopback: windows come out whole, aligned, once each, in every mode of a plan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest

from linkgauge.clock import NS_PER_S
from linkgauge.frame import concat
from linkgauge.schema import FLOW, WINDOW
from probes.engine.engine import Engine
from probes.engine.flight import Flight
from tests.probes.engines import KEY, A, B, Sink, engine
from tests.probes.loopback import free_port, stamp_plan

WINDOWS = 3


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
    ports = free_port(mode.home), 0
    ports = ports[0], free_port(mode.far)
    ends = (mode.home, mode.far, *ports), (mode.far, mode.home, *ports[::-1])
    for at, (home, far, own_port, far_port) in enumerate(ends):
        plan = stamp_plan(far_port, [far], home, **mode.changed)
        plan = msgspec.structs.replace(plan, agent=f"n{at}")
        sink = Sink()
        keys = {far: KEY} if mode.keys else None
        made.append((engine(plan, sink, bind_ports={home: own_port}, keys=keys), sink))
    return made


@pytest.fixture(scope="module")
def runs() -> dict[str, list[Sink]]:
    """Engines of all modes at the same time; but the fast ones have the interpreter to themselves."""
    return undisturbed([name for name in MODES if name != "fast"]) | undisturbed(["fast"])


def undisturbed(names: list[str]) -> dict[str, list[Sink]]:
    """A run in which no engine was unfit, as when the host stands still for a moment; the third as it is."""
    for _ in range(2):
        found = ran(names)
        if not any(fitness.unfit for both in found.values() for sink in both for fitness in sink.fitness):
            return found
    return ran(names)


def ran(names: list[str]) -> dict[str, list[Sink]]:
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
    for _, sink in ends:
        sink.wait_for(WINDOWS)
    with ThreadPoolExecutor(len(ends)) as pool:
        list(pool.map(lambda end: end[0].stop(), ends))
    return {name: [sink for _, sink in both] for name, both in pairs.items()}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_windows_are_aligned_and_come_once(runs: dict[str, list[Sink]], mode: str) -> None:
    for sink in runs[mode]:
        rows = concat(WINDOW, sink.frames)
        names = rows.text("link"), rows.text("class"), rows.count("start_ns"), rows.count("revision")
        keys = list(zip(*names, strict=True))
        assert len(set(keys)) == len(keys)
        starts = [fitness.start_ns for fitness in sink.fitness]
        assert starts == list(range(starts[0], starts[0] + len(starts) * NS_PER_S, NS_PER_S))
        assert starts[0] % NS_PER_S == 0
        assert set(rows.count("start_ns").tolist()) <= set(starts)


def test_every_packet_was_sent_and_answered(runs: dict[str, list[Sink]], mode: str) -> None:
    plan = stamp_plan(1, **MODES[mode].changed)
    due = NS_PER_S / plan.stamp_interval_ns
    for sink in runs[mode]:
        rows = sink.rows()
        assert rows.rows == len(plan.classes) * (len(sink.fitness) - 1)
        slots = rows.count("sent") + rows.count("missed")
        late = 0.2 * due + 2 * plan.flows  # a loop that comes late sends in the next window
        assert slots.tolist() == pytest.approx(
            [due] * rows.rows, abs=late + (6 * math.sqrt(due) if plan.poisson else 0)
        )
        assert (rows.count("replied") + rows.count("late") == rows.count("sent")).all()
        assert (rows.real("loss_ratio")[rows.count("sent") > 0] == 0).all()
        assert (rows.count("duplicate") == 0).all()


def test_each_end_tells_what_came_of_the_other(runs: dict[str, list[Sink]], mode: str) -> None:
    for here, there in (runs[mode], runs[mode][::-1]):
        mine, other = here.rows(), there.rows()
        both = sorted({*mine.count("start_ns").tolist()} & {*other.count("start_ns").tolist()})[1:-1]
        for start_ns in both:
            heard = mine.real("heard")[mine.count("start_ns") == start_ns]
            sent = other.count("sent")[other.count("start_ns") == start_ns].sum()
            assert heard.tolist() == pytest.approx([sent] * len(heard), abs=0.3 * sent + 8)
        assert (mine.count("unanswered") == 0).all()


def test_delays_of_loopback_can_be(runs: dict[str, list[Sink]], mode: str) -> None:
    for sink in runs[mode]:
        rows = sink.rows()
        assert (rows.real("rtt_min_us") > 0).all()
        assert (rows.real("rtt_min_us") < 5_000).all()
        assert (rows.real("rtt_p50_us") >= rows.real("rtt_min_us")).all()
        assert [row.total for row in rows.histograms("forward_ns")] == rows.count("replied").tolist()
        measured = np.array([row.total for row in rows.histograms("rtt_ns")])
        assert ((measured > 0) & (measured <= rows.count("replied"))).all()


def test_stamps_are_those_asked_for(runs: dict[str, list[Sink]], mode: str) -> None:
    wanted = MODES[mode].changed.get("transmit_stamps", "auto")
    for sink in runs[mode]:
        rows = sink.rows()
        stamped = rows.count("sent_stamped") / rows.count("replied")
        assert (stamped == 0).all() if wanted == "off" else (stamped > 0.9).all()


def test_marks_and_hops(runs: dict[str, list[Sink]], mode: str) -> None:
    for sink in runs[mode]:
        rows = sink.rows()
        assert (rows.count("marks") == rows.count("replied") + rows.count("late")).all()
        for name in ("remarked_forward", "remarked_backward", "bleached_forward", "bleached_backward"):
            assert (rows.count(name) == 0).all()
        classes = [float(klass) for klass in rows.text("class")]
        assert rows.real("dscp_forward").tolist() == rows.real("dscp_backward").tolist() == classes


def test_fitness_has_what_was_reflected_and_nothing_was_discarded(
    runs: dict[str, list[Sink]], mode: str
) -> None:
    plan = stamp_plan(1, **MODES[mode].changed)
    for sink in runs[mode]:
        due = NS_PER_S / plan.stamp_interval_ns * len(plan.classes)
        for fitness in sink.fitness[:-1]:
            assert fitness.unfit or fitness.reflected > 0.3 * due
            assert fitness.self_lost == 0
            assert fitness.self_rtt_p50_us > 0
            names = [name for name in fitness.__slots__ if name.startswith("refused_")]
            assert [getattr(fitness, name) for name in names] == [0] * len(names)
            assert (fitness.malformed, fitness.unmatched, fitness.receive_dropped) == (0, 0, 0)


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
