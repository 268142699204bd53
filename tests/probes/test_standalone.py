"""The reflector alone, on loopback, with plain sockets as its peers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from linkgauge.clock import SystemClock, read_clock_quality
from linkgauge.errors import ConfigError
from probes.standalone import StandaloneReflector, parse_allowed

REQUEST = bytes(12) + b"\x00\x01" + bytes(30)


@pytest.fixture
def reflector() -> Iterator[StandaloneReflector]:
    allowed = parse_allowed(["127.0.0.1", "::1"])
    made = StandaloneReflector([("127.0.0.1", 0)], allowed, SystemClock(), read_clock_quality)
    stop = threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    yield made
    stop.set()
    thread.join()


def peer(address: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    sock.settimeout(2)
    return sock


def test_odd_datagrams_get_nothing_and_the_next_good_one_an_answer(reflector: StandaloneReflector) -> None:
    home = ("127.0.0.1", reflector.ports[0])
    with peer() as sock:
        for size in (0, 3, 43, 65_507):
            sock.sendto(bytes(size), home)
        sock.sendto(REQUEST, home)
        reply = sock.recv(65_535)
        assert len(reply) == 44
    counters = reflector.counters()
    assert counters["refused_short"] == 3
    assert counters["refused_long"] == 1
    assert counters["reflected"] == 1
    assert counters["sessions"] == 1


def test_who_is_not_allowed_gets_nothing(reflector: StandaloneReflector) -> None:
    home = ("127.0.0.1", reflector.ports[0])
    with peer("127.0.0.2") as stranger, peer() as friend:
        stranger.sendto(REQUEST, home)
        friend.sendto(REQUEST, home)
        assert len(friend.recv(2000)) == 44
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.recv(2000)
    assert reflector.counters()["refused_peer_unknown"] == 1


def test_what_may_be_allowed() -> None:
    with pytest.raises(ConfigError, match=r"'10\.0\.0\.1/24' is no address or prefix that can be allowed"):
        parse_allowed(["10.0.0.1/24"])
