"""The path probe on real routers in namespaces, over IPv4 and IPv6."""

from __future__ import annotations

import ctypes
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from lab import namespace
from linkgauge.clock import SystemClock
from linkgauge.frame import Frame
from linkgauge.plan import PlanLink
from linkgauge.schema import WINDOW
from probes.engine.flight import Flight
from probes.path import exchange
from probes.path.probe import PathProber
from tests.probes.path.label_router import MARK, LabelRouter
from tests.probes.path.launcher import Launcher, Reflector
from tests.probes.path.net import MS, path_plan
from tests.probes.path.world import V4, V6, World, built, v4, v6

pytestmark = pytest.mark.root
FLOWS, PORT = 16, 8620
SETRESUID = {"x86_64": 117, "aarch64": 147}
"""The system call: it changes only its thread, unlike the library's function."""
LINKS = {"n1>far@four": V4, "n1>far@six": V6}
UPPER = {
    "n1>far@four": [v4(0, 2), v4(1, 2), v4(3, 2), V4[1]],
    "n1>far@six": [v6(0, 2), v6(1, 2), v6(3, 2), V6[1]],
}
LOWER = {
    "n1>far@four": [v4(0, 2), v4(2, 2), v4(3, 2), V4[1]],  # by the address that faces the sender
    "n1>far@six": [v6(0, 2), v6(2, 2), v6(4, 2), V6[1]],  # by the address that the packet came to
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with built("lgp") as made:
        reflector = namespace.inside(made.name("far"), lambda: Reflector([V4[1], V6[1]], PORT))
        yield made
        reflector.close()


@dataclass
class Running:
    prober: PathProber
    launcher: Launcher

    def way(self, frame: Frame) -> dict[str, list[str]]:
        """Path of each link, of its first row."""
        links, paths = frame.text("link").tolist(), frame.text("path").tolist()
        return {link: path.split() for link, path in reversed(list(zip(links, paths, strict=True)))}

    def events(self) -> list[tuple[str, str, str, str]]:
        told = self.prober.observe(Frame.of(WINDOW, {"link": [], "probe": [], "class": []}, 0))
        columns = ("link", "kind", "before", "after")
        return sorted(zip(*(told.text(name).tolist() for name in columns), strict=True))


class Later:
    """A launcher that is made after the prober."""

    def __init__(self) -> None:
        self.launcher: Launcher | None = None

    def sweep(self, flight: Flight) -> None:
        assert self.launcher is not None
        self.launcher.sweep(flight)


@pytest.fixture
def running(
    world: World, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Running]:
    """A prober in `host` over the small sender; what a test changes, it puts back itself."""
    monkeypatch.setattr(exchange, "LAG_NS", 50 * MS)
    flows = getattr(request, "param", 1)
    links = [PlanLink(link, *ends) for link, ends in LINKS.items()]
    plan = msgspec.structs.replace(
        path_plan(flows=flows, sample=flows), links=links, window_ns=1, stamp_timeout_ns=300 * MS
    )
    later = Later()
    prober = PathProber(plan, later, SystemClock(), seed=1)
    later.launcher = launcher = Launcher(prober.caught, PORT)
    namespace.inside(world.name("host"), lambda: launcher.open([local for local, _ in LINKS.values()], flows))
    launcher.start()
    try:
        made = Running(prober, launcher)
        deadline = time.monotonic() + 60  # IPv6 takes a while to find its neighbours
        while made.way(made.prober.round()) != UPPER:
            assert time.monotonic() < deadline, "the far end was never reached by the upper way"
        made.events()
        yield made
    finally:
        launcher.close()


def test_hops_come_in_order_with_their_round_trips(running: Running) -> None:
    frame = running.prober.round()
    assert frame.count("reached").tolist() == [1, 1]
    assert frame.count("hops").tolist() == [4, 4]
    assert frame.real("mtu_bytes").tolist() == [1500, 1500]
    for text in frame.text("hop_rtt_us"):
        assert all(0 < float(word) < 200_000 for word in text.split()), text
    assert running.prober.counts().malformed == 0


def test_another_route_is_told_with_before_and_after(running: Running, world: World) -> None:
    world.route("lower")
    try:
        frame = running.prober.round()
        assert running.way(frame) == LOWER
        assert frame.count("changed").tolist() == [1, 1]
        assert frame.text("path_before").tolist() == [" ".join(UPPER[link]) for link in frame.text("link")]
        told = [(link, "path", " ".join(UPPER[link]), " ".join(LOWER[link])) for link in LINKS]
        assert running.events() == told
    finally:
        world.route("upper")


def test_a_cut_of_the_mtu_on_a_middle_link_is_found_and_told(running: Running, world: World) -> None:
    world.run("upper", "ip link set w3 mtu 1400")
    try:
        frame = running.prober.round()
        assert frame.real("mtu_bytes").tolist() == [1400, 1400]
        assert frame.count("changed").tolist() == [0, 0]
        assert running.events() == [(link, "mtu", "1500", "1400") for link in LINKS]
    finally:
        world.run("upper", "ip link set w3 mtu 1500")


def test_a_black_hole_for_large_packets_is_found(running: Running, world: World) -> None:
    world.run(
        "upper",
        "nft add table inet lgp\n"
        "nft add chain inet lgp cut '{ type filter hook forward priority 0; }'\n"
        "nft add rule inet lgp cut ip length gt 1433 drop\n"
        "nft add rule inet lgp cut ip6 length gt 1393 drop\n",  # less the header of 40
    )
    try:
        frame = running.prober.round()
        assert frame.real("mtu_bytes").tolist() == [1433, 1433]
        assert running.events() == [(link, "mtu", "1500", "1433") for link in LINKS]
    finally:
        world.run("upper", "nft delete table inet lgp")


def test_a_silent_hop_is_a_star_and_no_change(running: Running, world: World) -> None:
    world.run(
        "upper",
        "nft add table inet lgp\n"
        "nft add chain inet lgp mute '{ type filter hook output priority 0; }'\n"
        "nft add rule inet lgp mute icmp type time-exceeded drop\n"
        "nft add rule inet lgp mute icmpv6 type time-exceeded drop\n",
    )
    try:
        frame = running.prober.round()
        assert running.way(frame) == {link: [way[0], "*", *way[2:]] for link, way in UPPER.items()}
        assert frame.count("silent").tolist() == [1, 1]
        assert frame.count("changed").tolist() == [0, 0]
        assert running.events() == []
    finally:
        world.run("upper", "nft delete table inet lgp")


@pytest.mark.parametrize("running", [FLOWS], indirect=True)
def test_two_equal_routes_give_two_fingerprints_over_the_flows(running: Running, world: World) -> None:
    world.route("upper", "lower")
    try:
        running.prober.round()
        frame = running.prober.round()
        assert frame.rows == 2 * FLOWS
        assert frame.count("changed").tolist() == [0] * 2 * FLOWS
        for link in LINKS:
            mine = frame.take(frame.text("link") == link)
            assert len(set(mine.count("fingerprint").tolist())) == 2
            assert {path.split()[1] for path in mine.text("path")} == {UPPER[link][1], LOWER[link][1]}
    finally:
        world.route("upper")


@pytest.mark.parametrize("tells_length", [True, False], ids=["length told", "legacy"])
def test_labels_that_a_router_tells_are_read(running: Running, world: World, tells_length: bool) -> None:
    router = namespace.inside(world.name("upper"), lambda: LabelRouter(v4(1, 2), tells_length=tells_length))
    world.run(
        "upper",
        "nft add table inet lgp\n"
        "nft add chain inet lgp own '{ type filter hook output priority 0; }'\n"
        f"nft add rule inet lgp own meta mark != {MARK} icmp type time-exceeded drop\n",
    )
    try:
        frame = running.prober.round()
        labels = dict(zip(frame.text("link"), frame.text("mpls"), strict=True))
        assert labels == {"n1>far@four": "- 24001,16 - -", "n1>far@six": "- - - -"}
        assert running.way(frame) == UPPER
        assert running.prober.counts().malformed == 0
    finally:
        world.run("upper", "nft delete table inet lgp")
        router.close()


def test_no_privilege_is_needed(world: World) -> None:
    """The whole of it in a thread that is nobody, with no capability: sockets, sending, receiving."""
    plan = msgspec.structs.replace(
        path_plan(), links=[PlanLink("n1>far@four", *V4)], window_ns=1, stamp_timeout_ns=300 * MS
    )

    def work() -> Frame:
        nobody = 65_534
        ctypes.CDLL(None).syscall(SETRESUID[platform.machine()], nobody, nobody, nobody)
        status = Path("/proc/thread-self/status").read_text(encoding="utf-8")
        assert "CapEff:\t0000000000000000" in status
        later = Later()
        prober = PathProber(plan, later, SystemClock(), seed=1)
        later.launcher = launcher = Launcher(prober.caught, PORT)
        launcher.open([V4[0]], 1)
        launcher.start()
        try:
            return prober.round()
        finally:
            launcher.close()

    frame = namespace.inside(world.name("host"), work)
    assert frame.text("path").tolist() == [" ".join(UPPER["n1>far@four"])]
    assert frame.real("mtu_bytes").tolist() == [1500]
