"""The world without root, with a real relay process: who loses, who does not, what stays."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.loopback import LoopbackWorld
from lab.places import loopback_topology
from lab.process import ProcessMark
from lab.record import Record
from linkgauge.errors import LabError
from tests.lab import udp

_FRONTED = ("qingdao-1", "backbone")
_COUNT = 1_000
_BATCH = 20


def _free_port(address: str) -> int:
    with udp.socket_at(address) as sock:
        return int(sock.getsockname()[1])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LoopbackWorld]:
    port = _free_port(loopback_topology().address(*_FRONTED))
    with LoopbackWorld(loopback_topology(), tmp_path, _FRONTED, port) as world:
        yield world


def _handled(world: LoopbackWorld, wanted: int, *counters: str) -> None:
    """Return when the relay's counters have reached the wanted sum."""
    deadline_s = time.monotonic() + udp.PATIENCE_S
    while sum(world.describe()["relay"][name] for name in counters) < wanted:
        assert time.monotonic() < deadline_s, world.describe()["relay"]


def _answered(
    world: LoopbackWorld, client: socket.socket, reflector: socket.socket, count: int
) -> tuple[int, int]:
    """Send count probes, reflect all that come; (how many came to the reflector, how many replies came).

    A few at a time, so that no socket of the test overflows.
    """
    to = (world.topology.address(*_FRONTED), world.public_port)
    for sock in (client, reflector):
        sock.settimeout(udp.PATIENCE_S)
    reached = replies = 0
    for _ in range(0, count, _BATCH):
        before = world.describe()["relay"]
        for _ in range(_BATCH):
            client.sendto(b"probe", to)
        _handled(world, before["forward"] + before["lost"] + _BATCH, "forward", "lost")
        came = world.describe()["relay"]["forward"] - before["forward"]
        for _ in range(came):
            data, peer = reflector.recvfrom(2048)
            reflector.sendto(data, peer)
        _handled(world, before["backward"] + came, "backward")
        for _ in range(came):
            client.recv(2048)
        reached, replies = reached + came, replies + came
    return reached + udp.drain(reflector, 0), replies + udp.drain(client, 0)


def test_only_the_named_client_loses_and_only_forward(world: LoopbackWorld) -> None:
    topology = world.topology
    address = topology.address(*_FRONTED)
    port = world.public_port
    inner = world.reflector_port(*_FRONTED, port)
    with (
        udp.socket_at(address, port=inner) as reflector,
        udp.socket_at(topology.address("jinan-1", "backbone")) as named,
        udp.socket_at(topology.address("jinan-2", "backbone")) as other,
    ):
        assert _answered(world, named, reflector, 200) == (200, 200)
        world.inject_loss("jinan-1", *_FRONTED, 0.2)
        reached, replies = _answered(world, named, reflector, _COUNT)
        assert abs(reached - 0.8 * _COUNT) < 6 * (_COUNT * 0.2 * 0.8) ** 0.5
        assert replies == reached
        assert world.describe()["relay"]["lost"] == _COUNT - reached
        assert _answered(world, other, reflector, _COUNT) == (_COUNT, _COUNT)
        world.clear_faults()
        assert _answered(world, named, reflector, 200) == (200, 200)


def test_clients_stay_distinct_and_keep_their_address(world: LoopbackWorld) -> None:
    topology = world.topology
    address = topology.address(*_FRONTED)
    port = world.public_port
    sources = [topology.address(node, "backbone") for node in ("jinan-1", "jinan-1", "guiyang-2")]
    clients = [udp.socket_at(source) for source in sources]
    with udp.socket_at(address, port=world.reflector_port(*_FRONTED, port)) as reflector:
        reflector.settimeout(udp.PATIENCE_S)
        peers = []
        for number, client in enumerate(clients * 2):
            client.settimeout(udp.PATIENCE_S)
            client.sendto(bytes([number]), (address, port))
            data, peer = reflector.recvfrom(2048)
            reflector.sendto(data * 2, peer)
            assert client.recvfrom(2048) == (bytes([number, number]), (address, port))
            peers.append(peer)
    udp.close(clients)
    assert [host for host, _ in peers] == sources * 2
    assert len(set(peers)) == 3
    assert peers[:3] == peers[3:]


def test_a_reflector_that_is_not_up_is_counted_and_survived(world: LoopbackWorld) -> None:
    address, port = world.topology.address(*_FRONTED), world.public_port
    with udp.socket_at(world.topology.address("jinan-1", "backbone")) as client:
        for number in range(1, 4):
            client.sendto(b"x" * 60_000, (address, port))
            _handled(world, number, "refused", "forward")
        _handled(world, 1, "refused")
        with udp.socket_at(address, port=world.reflector_port(*_FRONTED, port)) as reflector:
            assert _answered(world, client, reflector, _BATCH) == (_BATCH, _BATCH)
    assert world.describe()["relay"]["failed"] == 0
    assert world.describe()["relay"]["overflow"] == 0


def test_ports_and_links_that_cannot_fail_here(world: LoopbackWorld) -> None:
    port = world.public_port
    assert world.reflector_port(*_FRONTED, port) != port
    assert world.reflector_port("jinan-1", "backbone", port) == port
    assert world.reflector_port("qingdao-1", "private", 862) == 862
    with pytest.raises(LabError, match="the relay stands at port"):
        world.reflector_port(*_FRONTED, port + 1)
    with pytest.raises(LabError, match="only links to qingdao-1 on backbone can lose"):
        world.inject_loss("qingdao-1", "jinan-1", "backbone", 0.2)
    with pytest.raises(LabError, match="give a ratio of 0 to 1"):
        world.inject_loss("jinan-1", *_FRONTED, 20)


def test_nodes_are_this_host_and_the_center_listens(world: LoopbackWorld) -> None:
    assert world.command("jinan-1", ["true", "x"]) == ["true", "x"]
    with world.listen_in_center(0) as listener:
        assert listener.getsockname()[0] == world.topology.center_address
        with socket.create_connection(listener.getsockname(), timeout=udp.PATIENCE_S):
            pass
        with pytest.raises(LabError, match="cannot listen at"):
            world.listen_in_center(listener.getsockname()[1])


def test_nothing_stays(tmp_path: Path) -> None:
    port = _free_port(loopback_topology().address(*_FRONTED))
    with LoopbackWorld(loopback_topology(), tmp_path, _FRONTED, port) as world:
        (folder,) = tmp_path.iterdir()
        (relay,) = Record.load(folder).processes
        assert Record.load(folder).owner == ProcessMark.of(os.getpid())
        assert relay.alive()
    assert not relay.alive()
    assert list(tmp_path.iterdir()) == []
    world.close()
    with pytest.raises(LabError, match="not built"):
        world.clear_faults()


def test_a_taken_public_port_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with udp.socket_at(loopback_topology().address(*_FRONTED)) as taken:
        world = LoopbackWorld(loopback_topology(), tmp_path, _FRONTED, taken.getsockname()[1])
        with pytest.raises(LabError, match=r"the relay cannot have .* Address already in use"):
            world.__enter__()
    assert list(tmp_path.iterdir()) == []
