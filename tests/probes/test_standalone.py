"""The reflector alone, on loopback, with plain sockets as its peers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from linkgauge.clock import SystemClock, read_clock_quality
from linkgauge.errors import ConfigError
from probes.stamp.policy import Policy
from probes.standalone import StandaloneReflector, parse_allowed
from tests.probes.loopback import until
from tests.probes.stamp.arrivals import signed

REQUEST = bytes(12) + b"\x00\x01" + bytes(30)


Start = Callable[..., StandaloneReflector]


@pytest.fixture
def start() -> Iterator[Start]:
    stop, threads = threading.Event(), []

    def started(*allow: str, address: str = "127.0.0.1", **rest: Any) -> StandaloneReflector:
        allowed = parse_allowed(allow or ["127.0.0.1", "::1"])
        made = StandaloneReflector([(address, 0)], allowed, SystemClock(), read_clock_quality, **rest)
        threads.append(threading.Thread(target=made.run, args=(stop,)))
        threads[-1].start()
        return made

    yield started
    stop.set()
    for thread in threads:
        thread.join()


@pytest.fixture
def reflector(start: Start) -> StandaloneReflector:
    return start()


def peer(address: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    sock.settimeout(60)
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


@pytest.mark.parametrize(("allow", "answers"), [("::/0", True), ("::1/128", True), ("fd00::/8", False)])
def test_prefixes_of_ipv6(start: Start, allow: str, answers: bool) -> None:
    made = start(allow, "127.0.0.0/8", address="::1")
    with peer("::1") as sock:
        sock.sendto(REQUEST, ("::1", made.ports[0]))
        if answers:
            assert len(sock.recv(2000)) == 44
        else:
            until(lambda: made.counters()["refused_peer_unknown"] == 1)
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.recv(2000)
    assert made.counters()["refused_peer_unknown"] == int(not answers)


def test_a_peer_with_a_key_must_sign(start: Start) -> None:
    key = bytes(range(32))
    made = start(keys={"127.0.0.1": key})
    home = ("127.0.0.1", made.ports[0])
    with peer() as sock:
        for packet in (REQUEST, signed(bytes(32)), signed(key)):
            sock.sendto(packet, home)
        assert len(sock.recv(2000)) == 160
    counters = made.counters()
    assert (counters["refused_short"], counters["refused_authentication"]) == (1, 1)


def test_a_key_of_who_is_not_allowed_is_a_fault() -> None:
    with pytest.raises(
        ConfigError, match=r"a key of 10\.0\.0\.9, which is not allowed; add --allow 10\.0\.0\.9"
    ):
        StandaloneReflector(
            [("127.0.0.1", 0)],
            parse_allowed(["127.0.0.1"]),
            SystemClock(),
            read_clock_quality,
            keys={"10.0.0.9": bytes(32)},
        )


def test_policies_reach_the_reflector(start: Start) -> None:
    began_s = time.monotonic()
    made = start(policy=Policy(twamp_light=True, stateless=True, rate_pps=1))
    home = ("127.0.0.1", made.ports[0])
    with peer() as sock:
        sock.sendto(REQUEST[:41], home)
        assert len(sock.recv(2000)) == 41
        for number in range(40):
            sock.sendto(number.to_bytes(4, "big") + REQUEST[4:14], home)
        for number in range(15):
            assert sock.recv(2000)[:4] == number.to_bytes(4, "big")

    def counted() -> int:
        return made.counters()["reflected"] + made.counters()["refused_rate"]

    until(lambda: counted() >= 41)
    assert 16 <= made.counters()["reflected"] <= 18 + time.monotonic() - began_s  # one more a second


def test_what_may_be_allowed() -> None:
    with pytest.raises(ConfigError, match=r"'10\.0\.0\.1/24' is no address or prefix that can be allowed"):
        parse_allowed(["10.0.0.1/24"])
