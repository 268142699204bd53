"""The reflector on real sockets of loopback: answers, true departures, classes, and who gets nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import pytest

from linkgauge.clock import Instant
from linkgauge.errors import ConfigError
from probes.engine import departures
from probes.engine.answering import LONGEST, Answering
from probes.stamp import tlv
from probes.stamp.packet import reflector_columns, unix_ns
from probes.stamp.reflector import Reflector
from tests.probes.stamp.arrivals import ERROR, request

LAYOUT = tlv.layout(0, tlvs=True, authenticated=False)
DEADLINE_S = 60.0
_T = TypeVar("_T")


class SteppedClock:
    """The real wall clock beside a monotonic one that the test moves."""

    def __init__(self) -> None:
        self.mono_ns = 10**12

    def now(self) -> Instant:
        return Instant(self.mono_ns, time.time_ns())


class Pair:
    """A reflector and one peer of its own on loopback."""

    def __init__(self, address: str) -> None:
        self.clock = SteppedClock()
        self.reflector = Reflector(lambda name: True)
        self.answering = Answering([(address, 0)], self.reflector, self.clock)
        self.home = (address, self.answering.sockets[0].port)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.peer = socket.socket(family, socket.SOCK_DGRAM)
        self.peer.bind((address, 0))
        self.peer.setblocking(False)

    def ask(self, packet: bytes) -> bytes:
        """Send one request and have it answered."""
        self.peer.sendto(packet, self.home)

        def reply() -> bytes | None:
            self.answering.answer(ERROR)
            try:
                return self.peer.recv(65_535)
            except BlockingIOError:
                return None

        return until(reply)

    def departure(self) -> tuple[int, int, bool]:
        """Ask with Follow-Up Telemetry: number and time of the reply that is told, and whether one is."""
        block = np.frombuffer(self.ask(request(rest=tlv.tail(LAYOUT, 0))), np.uint8)[None]
        error = reflector_columns(block)["error"].astype(np.uint16)
        number, stamp, known = tlv.follow_up(block, LAYOUT, error)
        return int(number[0]), int(unix_ns(stamp, error)[0]), bool(known[0])

    def close(self) -> None:
        self.answering.close()
        self.peer.close()


def until(found: Callable[[], _T | None]) -> _T:
    deadline = time.monotonic() + DEADLINE_S
    while (value := found()) is None:
        assert time.monotonic() < deadline, "nothing came"
    return value


@pytest.fixture(params=["127.0.0.1", "::1"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    made = Pair(request.param)
    yield made
    made.close()


def test_a_request_is_answered_as_long_as_it_is(pair: Pair) -> None:
    for size in (44, 45, 1400, LONGEST):
        packet = request(rest=bytes(size - 44))
        reply = pair.ask(packet)
        assert len(reply) == size
        assert reply[24:38] == packet[:14]


def test_the_true_departure_of_the_last_reply_is_told(pair: Pair) -> None:
    before_ns = time.time_ns()
    assert not pair.departure()[2]
    for number in range(3):
        told_number, told_ns, known = pair.departure()
        assert known
        assert told_number == number
        assert before_ns < told_ns < time.time_ns()


def test_stamps_are_switched_off_above_a_rate_and_on_again_when_calm(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(departures, "MOST_PPS", 5)
    monkeypatch.setattr(departures, "CALM_PPS", 2)
    (watched,) = pair.answering.departures
    for _ in range(10):
        pair.departure()
    assert watched.on
    pair.clock.mono_ns += 10**9
    pair.departure()
    assert (watched.on, watched.switched_off) == (False, 1)
    stale = pair.departure()
    assert pair.departure() == stale, "a stamp was taken though they are off"
    pair.clock.mono_ns += 2 * 10**9
    pair.departure()
    assert watched.on
    pair.departure()
    number, _, known = pair.departure()
    assert known
    assert number == pair.reflector.reflected - 2


def test_stamps_are_taken_only_while_somebody_asks(pair: Pair) -> None:
    (watched,) = pair.answering.departures
    pair.departure()
    assert watched.on
    for _ in range(2):
        pair.clock.mono_ns += 10**9
        pair.ask(request())
    assert (watched.on, watched.switched_off) == (False, 0)
    pair.departure()
    pair.clock.mono_ns += 10**9
    pair.departure()
    assert watched.on
    pair.departure()
    assert pair.departure()[::2] == (pair.reflector.reflected - 2, True)


def test_numbers_that_begin_anew_lose_no_later_stamp(pair: Pair) -> None:
    (sock,) = pair.answering.sockets
    pair.departure()
    sock.number_anew()
    pair.departure()
    pair.departure()
    number, _, known = pair.departure()
    assert (number, known) == (2, True)


@pytest.mark.parametrize(("asked", "tos", "back"), [(None, 0x29, 0x2A), (46, 0x28, 0xB8), (0, 0x2B, 0x02)])
def test_the_reply_leaves_in_the_class_asked_for(pair: Pair, asked: int | None, tos: int, back: int) -> None:
    six = pair.peer.family == socket.AF_INET6
    level, out, ask = (41, 67, 66) if six else (0, socket.IP_TOS, 13)
    pair.peer.setsockopt(level, out, tos)
    pair.peer.setsockopt(level, ask, 1)
    rest = b"" if asked is None else tlv.tail(LAYOUT, asked)
    pair.peer.sendto(request(rest=rest), pair.home)

    def reply() -> tuple[bytes, int] | None:
        pair.answering.answer(ERROR)
        try:
            data, control, _, _ = pair.peer.recvmsg(2000, 100)
        except BlockingIOError:
            return None
        return data, control[0][2][0]

    data, came_tos = until(reply)
    assert came_tos == back
    if asked is not None:
        block = np.frombuffer(data, np.uint8)[None]
        assert [int(column[0]) for column in tlv.marks(block, LAYOUT)] == [tos >> 2, tos & 3]


def test_a_peer_that_is_gone_does_no_harm(pair: Pair) -> None:
    with socket.socket(pair.peer.family, socket.SOCK_DGRAM) as gone:
        gone.bind((pair.home[0], 0))
        for _ in range(5):
            gone.sendto(request(), pair.home)

    def reflected() -> bool | None:
        pair.answering.answer(ERROR)
        return pair.reflector.reflected >= 5 or None

    until(reflected)
    assert len(pair.ask(request())) == 44


def test_an_address_that_is_taken_is_told_and_nothing_stays_open(pair: Pair) -> None:
    free = ("127.0.0.1", 0)
    with pytest.raises(ConfigError, match=str(pair.home[1])):
        Answering([free, pair.home], pair.reflector, pair.clock)
