"""Every fault made for real: what it does to packets, and that nothing of it stays when it is cleared."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from lab import names
from lab.faults.fault import Fault, Link
from lab.places import drill_topology
from lab.world import NamespaceWorld
from linkgauge.errors import LabError
from tests.lab import udp

pytestmark = pytest.mark.root

_LINK = ("jinan-1", "guiyang-1", "backbone")
_BACK = ("guiyang-1", "jinan-1", "backbone")
_BESIDE = ("jinan-2", "guiyang-1", "backbone")
_TRUE_US = 4_000
_SOON_S = 0.3
"""Longer than any delay of a lab in which nothing is injected but congestion."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamespaceWorld]:
    with NamespaceWorld(drill_topology(2), tmp_path_factory.mktemp("worlds"), shaped=True) as world:
        yield world


@pytest.fixture
def world(built: NamespaceWorld) -> Iterator[NamespaceWorld]:
    yield built
    built.clear_faults()
    assert _came(built, _LINK, 40, least=40) == list(range(40))


def _socket(world: NamespaceWorld, node: str, port: int = 0) -> socket.socket:
    return udp.socket_at(world.topology.address(node, "backbone"), names.node_namespace(world.id, node), port)


def _came(world: NamespaceWorld, link: Link, count: int, gap_s: float = 0.0, least: int = 0) -> list[int]:
    """Send numbered datagrams over the link; the numbers in the order in which they came.

    least: so many different ones are waited for, however long that takes; then what else comes soon.
    """
    with _socket(world, link[0]) as near, _socket(world, link[1]) as far:
        return [number for number, _ in _send(near, far, count, gap_s, least)]


def _send(
    near: socket.socket, far: socket.socket, count: int, gap_s: float, least: int
) -> list[tuple[int, int]]:
    """(number, TOS) of what came, in order."""
    far.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    near.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 2)
    for number in range(count):
        near.sendto(number.to_bytes(4, "big"), far.getsockname())
        time.sleep(gap_s)
    got: list[tuple[int, int]] = []
    while True:
        far.settimeout(_SOON_S if len({number for number, _ in got}) >= least else udp.PATIENCE_S)
        try:
            data, marks, _, _ = far.recvmsg(64, 64)
        except TimeoutError:
            return got
        got.append((int.from_bytes(data, "big"), marks[0][2][0]))


def _round_trip_us(world: NamespaceWorld, link: Link) -> float:
    """The smallest of 15: what a busy machine adds is not in it."""
    with _socket(world, link[0]) as near, _socket(world, link[1]) as far:
        return udp.round_trips_us(near, far, 15)[0]


def _late_us(world: NamespaceWorld, link: Link) -> float:
    """The longest way one way of 30 datagrams."""
    late_ns = []
    with _socket(world, link[0]) as near, _socket(world, link[1]) as far:
        far.settimeout(1)
        for _ in range(30):
            begin_ns = time.monotonic_ns()
            near.sendto(b"x" * 44, far.getsockname())
            with contextlib.suppress(TimeoutError):
                far.recv(64)
                late_ns.append(time.monotonic_ns() - begin_ns)
    return max(late_ns) / 1_000


def _rising(numbers: Sequence[int]) -> bool:
    return list(numbers) == sorted(numbers)


def test_delay_falls_on_one_link(world: NamespaceWorld) -> None:
    world.inject(Fault("delay", _LINK, magnitude=20_000))
    late_us = usual_us = math.inf
    deadline_s = time.monotonic() + udp.PATIENCE_S
    while max(late_us - 20_000, usual_us) > 2 * _TRUE_US + 4_000 and time.monotonic() < deadline_s:
        late_us = min(late_us, _round_trip_us(world, _LINK))
        usual_us = min(usual_us, _round_trip_us(world, _BESIDE))
    assert late_us >= 2 * _TRUE_US + 19_000
    assert usual_us >= 2 * _TRUE_US - 500
    assert late_us - usual_us == pytest.approx(20_000, abs=8_000)


def test_jitter_keeps_the_order_and_reordering_does_not(world: NamespaceWorld) -> None:
    world.inject(Fault("jitter", _LINK, magnitude=30_000))
    assert _came(world, _LINK, 60, 0.002, 60) == list(range(60))
    world.clear_faults()
    world.inject(Fault("reorder", _LINK, magnitude=0.2))
    came = _came(world, _LINK, 100, 0.002, 100)
    assert sorted(came) == list(range(100))
    assert not _rising(came)
    assert _rising(_came(world, _BACK, 100, 0.001, 100))


def test_duplicates_come_twice(world: NamespaceWorld) -> None:
    world.inject(Fault("duplicate", _LINK, magnitude=0.5))
    came = _came(world, _LINK, 200, 0.001, 200)
    assert set(came) == set(range(200))
    assert 240 < len(came) < 360


def test_marks_are_written_over(world: NamespaceWorld) -> None:
    world.inject(Fault("remark", _LINK, magnitude=10))
    world.inject(Fault("mark-ce", _LINK, magnitude=0.5))
    with _socket(world, "jinan-1") as near, _socket(world, "guiyang-1") as far:
        tos = [mark for _, mark in _send(near, far, 200, 0.0, 200)]
        assert _send(far, near, 1, 0.0, 1) == [(0, 2)]
    assert {mark >> 2 for mark in tos} == {10}
    assert 40 < sum(mark & 3 == 3 for mark in tos) < 160


def test_throttle_drops_above_its_rate(world: NamespaceWorld) -> None:
    world.inject(Fault("throttle", _LINK, magnitude=8_000))  # the burst lets 15 000 octets pass
    began_s = time.monotonic()
    came = len(_came(world, _LINK, 1_000, least=300))
    assert 300 <= came < min(600 + 40 * (time.monotonic() - began_s), 1_000)  # 31 of them a second


def test_a_flow_is_lost_and_its_neighbour_is_not(world: NamespaceWorld) -> None:
    with (
        _socket(world, "jinan-1") as one,
        _socket(world, "jinan-1") as other,
        _socket(world, "guiyang-1", 862) as far,
    ):
        with _sending(far.getsockname(), one, other):
            world.inject(Fault("flow-blackhole", _LINK))
        udp.drain(far, 0.3)
        first, second = sorted((one, other), key=lambda sock: int(sock.getsockname()[1]))
        assert udp.received_of(first, far, 50, lambda: world.faults.dropped("guiyang-1")) == 0
        assert udp.received_of(second, far, 50) == 50


@contextlib.contextmanager
def _sending(target: tuple[str, int], *socks: socket.socket) -> Iterator[None]:
    """Send from all sockets meanwhile."""
    over = threading.Event()

    def send() -> None:
        while not over.wait(0.05):
            for sock in socks:
                sock.sendto(b"0000", target)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_flow_that_nobody_sends_is_refused(world: NamespaceWorld) -> None:
    with pytest.raises(LabError, match="measure the link first"):
        world.inject(Fault("flow-blackhole", _LINK))


def test_a_bad_way_takes_the_flows_that_hash_to_it(world: NamespaceWorld) -> None:
    world.inject(Fault("path-blackhole", _LINK, "mid-a"))
    lost = sum(not _came_one(world, _LINK) for _ in range(24))
    assert 0 < lost < 24
    assert _came(world, ("jinan-1", "qingdao-1", "backbone"), 20, least=20) == list(range(20))


def _came_one(world: NamespaceWorld, link: Link) -> bool:
    with _socket(world, link[0]) as near, _socket(world, link[1]) as far:
        near.sendto(b"\0\0\0\0", far.getsockname())
        return udp.drain(far, 0.1) == 1


def test_dead_nodes_and_sites_are_silent(world: NamespaceWorld) -> None:
    world.inject(Fault("node-down", _LINK, "guiyang-1"))
    assert _came(world, _LINK, 10) == []
    with pytest.raises(PermissionError):
        _came(world, _BACK, 10)
    assert len(_came(world, ("jinan-1", "guiyang-2", "backbone"), 10, least=10)) == 10
    world.clear_faults()
    world.inject(Fault("site-down", _LINK, "guiyang"))
    assert _came(world, _LINK, 10) == []
    assert _came(world, _BACK, 10) == []
    assert len(_came(world, ("guiyang-1", "guiyang-2", "backbone"), 10, least=10)) == 10


def test_a_bad_receiver_and_a_congested_trunk_lose_one_way(world: NamespaceWorld) -> None:
    world.inject(Fault("bad-receiver", _LINK, "guiyang-1", 0.5))
    assert 20 < len(_came(world, _LINK, 100, least=21)) < 80
    assert len(_came(world, _BACK, 100, least=100)) == 100
    world.clear_faults()
    world.inject(Fault("congest", _LINK, "mid-a-west", 40_000))
    world.inject(Fault("congest", _LINK, "mid-b-west", 40_000))
    assert 150 < len(_came(world, _LINK, 200, 0.001, 151)) < 200
    assert _late_us(world, _LINK) > _TRUE_US + 10_000
    assert len(_came(world, _BACK, 100, least=100)) == 100


def test_an_mtu_that_shrinks(world: NamespaceWorld) -> None:
    world.inject(Fault("mtu-cut", _LINK))
    with _socket(world, "jinan-1") as near, _socket(world, "guiyang-1") as far:
        near.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
        near.sendto(b"\0" * 1_400, far.getsockname())
        assert udp.drain(far, 0.2) == 0
        near.setsockopt(socket.IPPROTO_IP, 10, 3)  # IP_PMTUDISC_PROBE: do not remember
        world.clear_faults()
        near.sendto(b"\0" * 1_400, far.getsockname())
        far.settimeout(udp.PATIENCE_S)
        far.recv(2048)
