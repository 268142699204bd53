"""The path probe over the real engine and its reflector, on real routers in namespaces."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
import pytest

from lab import namespace
from linkgauge.clock import SystemClock, read_clock_quality
from linkgauge.frame import Frame
from linkgauge.plan import Plan, PlanLink
from linkgauge.schema import WINDOW
from probes.engine.engine import Engine
from probes.engine.flight import Flight
from probes.path.probe import PathProber
from tests.probes.path.net import S, path_plan
from tests.probes.path.world import V4, V6, World, built, v4, v6

pytestmark = pytest.mark.root
LINKS = {"n1>far@four": V4, "n1>far@six": V6}
WAYS = {
    "n1>far@four": f"{v4(0, 2)} {v4(1, 2)} {v4(3, 2)} {V4[1]}",
    "n1>far@six": f"{v6(0, 2)} {v6(1, 2)} {v6(3, 2)} {V6[1]}",
}


class Joint:
    """Ties prober and engine, which know each other."""

    def __init__(self, plan: Plan) -> None:
        self.prober = PathProber(plan, self, SystemClock(), seed=1)
        self.engine = _engine(plan, self.prober.caught)

    def sweep(self, flight: Flight) -> None:
        self.engine.sweep(flight)


def _engine(plan: Plan, caught: object = None) -> Engine:
    def ignore(*_: object) -> None:
        return None

    def idle(start_ns: int, end_ns: int) -> bool:
        return False

    taken = caught if callable(caught) else None
    return Engine(plan, SystemClock(), read_clock_quality, ignore, idle, caught=taken)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with built("lgpe") as made:
        yield made


@pytest.fixture
def joint(world: World) -> Iterator[Joint]:
    """A prober over an engine in `host`; an engine in `far` answers."""
    links = [PlanLink(link, *ends) for link, ends in LINKS.items()]
    plan = msgspec.structs.replace(
        path_plan(flows=2), links=links, window_ns=S, locals=[V4[0], V6[0]], stamp_timeout_ns=S // 2
    )
    far_plan = msgspec.structs.replace(plan, links=[], peers=[V4[0], V6[0]], locals=[V4[1], V6[1]])
    far = namespace.inside(world.name("far"), lambda: _engine(far_plan))
    near = namespace.inside(world.name("host"), lambda: Joint(plan))
    far.start()
    near.engine.start()
    try:
        yield near
    finally:
        near.prober.stop()
        near.engine.stop()
        far.stop()


def paths(frame: Frame) -> dict[str, set[str]]:
    return {link: set(frame.take(frame.text("link") == link).text("path").tolist()) for link in LINKS}


def settled(joint: Joint) -> Frame:
    """The first round in which everything answers: IPv6 takes a while to find its neighbours."""
    deadline = time.monotonic() + 60
    while True:
        frame = joint.prober.round()
        if paths(frame) == {link: {way} for link, way in WAYS.items()}:
            return frame
        assert time.monotonic() < deadline, f"the ways were never seen whole: {paths(frame)}"


def test_hops_round_trips_and_mtu_over_the_engine(joint: Joint, world: World) -> None:
    settled(joint)
    frame = joint.prober.round()  # in the first, routers still looked for their neighbours
    assert frame.count("reached").tolist() == [1] * 4
    assert frame.real("mtu_bytes").tolist() == [1500] * 4
    for text in frame.text("hop_rtt_us"):
        assert all(0 < float(word) < 500_000 for word in text.split()), text
    world.run("upper", "ip link set w3 mtu 1400")
    try:
        assert joint.prober.round().real("mtu_bytes").tolist() == [1400] * 4
        told = joint.prober.observe(Frame.of(WINDOW, {"link": [], "probe": [], "class": []}, 0))
        assert sorted(zip(told.text("link"), told.text("before"), told.text("after"), strict=True)) == [
            (link, "1500", "1400") for link in LINKS
        ]
    finally:
        world.run("upper", "ip link set w3 mtu 1500")


def test_another_route_is_told_over_the_engine(joint: Joint, world: World) -> None:
    settled(joint)
    world.route("lower")
    try:
        frame = joint.prober.round()
        assert frame.count("changed").tolist() == [1] * 4
        assert set(frame.text("path_before")) == set(WAYS.values())
        assert {path.split()[1] for path in frame.text("path")} == {v4(2, 2), v6(2, 2)}
    finally:
        world.route("upper")
