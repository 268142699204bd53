"""A socket of the sender: each transmit stamp finds its packet, whatever happens to the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from probes.sockets.message import Outgoing
from probes.sockets.port import Port
from probes.sockets.raw_name import raw_name
from probes.sockets.sockets import BatchSocket
from probes.stamp.requests import Requests
from probes.stamp.sessions import Sessions
from probes.stamp.tlv import layout
from tests.probes.loopback import await_stamps, until

NOWHERE = "240.0.0.1"
"""An address without a route."""
SESSIONS = 6
FIRST_SESSION = 100
SHAPE = layout(0, tlvs=True, authenticated=False)


class Noted:
    """Stands for the table of sessions."""

    def __init__(self) -> None:
        self.stamps: dict[tuple[int, int], int] = {}

    def stamped(self, rows: NDArray[np.int64], seq: NDArray[np.int64], stamp_ns: NDArray[np.int64]) -> int:
        for row, number, stamp in zip(rows.tolist(), seq.tolist(), stamp_ns.tolist(), strict=True):
            assert (row, number) not in self.stamps, "a packet has one stamp"
            self.stamps[row, number] = stamp
        return 0


class Pair:
    """A port and the socket that it sends to. stop, large: row whose packet has no route, is too large."""

    def __init__(
        self, home: str, train: int = 1, stop: int = -1, large: int = -1, stamps: bool = True
    ) -> None:
        self.far = BatchSocket(home, 0)
        sock = BatchSocket(home, 0, transmit_stamps=stamps)
        rows = SESSIONS * train
        names = [raw_name(NOWHERE if row == stop else home, self.far.port) for row in range(rows)]
        size = np.where(np.arange(rows) == large, 65_535, SHAPE.size)
        outgoing = Outgoing(np.array(names), size, int(size.max()), sock.v6)
        requests = Requests(outgoing.data, [SHAPE] * SESSIONS, [0] * SESSIONS, [None] * SESSIONS, train)
        session = np.repeat(np.arange(FIRST_SESSION, FIRST_SESSION + SESSIONS), train)
        requests.set_ssid(session.astype(np.uint16))
        place = np.tile(np.arange(train), SESSIONS)
        self.port = Port(sock, home, 0, outgoing, requests, session, place, 1.0)
        self.noted = Noted()
        self.arrived: dict[tuple[int, int], int] = {}

    def send(self, first: int, end: int, seq: int) -> NDArray[np.int64] | None:
        self.port.requests.write(first, end, seq, 10**18)
        return self.port.transmit(first, end, seq)

    def collect(self, packets: int, stamps: int) -> None:
        """Until so many packets arrived and so many stamps came back, in all."""

        def enough() -> bool:
            while (got := self.far.receive()) is not None:
                ssid = got.data[:, 14:16].copy().view(">u2")[:, 0].tolist()
                seq = got.data[:, :4].copy().view(">u4")[:, 0].tolist()
                self.arrived |= dict(zip(zip(ssid, seq, strict=True), got.stamp_ns.tolist(), strict=True))
            while (back := self.port.socket.returned()) is not None:
                swept = self.port.stamped(cast(Sessions, self.noted), back.number, back.stamp_ns)
                assert not swept.any()
            return len(self.arrived) >= packets and len(self.noted.stamps) >= stamps

        until(enough, "packets or stamps did not come")

    def check(self) -> None:
        """Every stamp is of a packet that arrived, after it left, and stamps are in the order of packets."""
        assert set(self.noted.stamps) <= set(self.arrived)
        for packet, left_ns in self.noted.stamps.items():
            assert left_ns <= self.arrived[packet]
        order = sorted(self.noted.stamps, key=lambda packet: self.arrived[packet])
        times = [self.noted.stamps[packet] for packet in order]
        assert times == sorted(times)

    def close(self) -> None:
        self.far.close()
        self.port.socket.close()


@pytest.fixture(params=["127.0.0.1", "::1"])
def home(request: pytest.FixtureRequest) -> str:
    await_stamps(request.param)
    return str(request.param)


@pytest.fixture
def pair(home: str) -> Iterator[Pair]:
    made = Pair(home)
    yield made
    made.close()


def test_every_stamp_finds_its_packet_also_when_the_ring_is_used_again(pair: Pair) -> None:
    sent = 0
    for seq in range(1_000):  # 6 000 numbers, more than twice what the ring holds
        assert pair.send(0, SESSIONS, seq) is None
        sent += SESSIONS
        if seq % 40 == 39:
            pair.collect(sent, sent)
    pair.collect(sent, sent)
    expected = {(FIRST_SESSION + row, seq) for row in range(SESSIONS) for seq in range(1_000)}
    assert set(pair.noted.stamps) == expected
    pair.check()


def test_parts_of_the_block_in_any_order(pair: Pair) -> None:
    for first, end, seq in ((4, 6, 7), (0, 1, 7), (1, 4, 9)):
        pair.send(first, end, seq)
    pair.collect(6, 6)
    assert set(pair.noted.stamps) == {(104, 7), (105, 7), (100, 7), (101, 9), (102, 9), (103, 9)}
    pair.check()


def test_single_rows_with_numbers_of_their_own(pair: Pair) -> None:
    rows, seq = np.array([5, 0, 3]), np.array([11, 2**33, 13])
    pair.port.requests.write_each(rows, seq, 10**18)
    numbers = pair.port.transmit_rows(rows, seq)
    assert numbers.tolist() == [0, 1, 2]
    pair.collect(3, 3)
    assert set(pair.noted.stamps) == {(105, 11), (100, 2**33), (103, 13)}


def test_trains(home: str) -> None:
    pair = Pair(home, train=4)
    for seq in (0, 4):
        pair.send(0, 4 * SESSIONS, seq)
    pair.collect(8 * SESSIONS, 8 * SESSIONS)
    assert set(pair.noted.stamps) == {
        (FIRST_SESSION + row, seq) for row in range(SESSIONS) for seq in range(8)
    }
    pair.check()
    pair.close()


def test_after_a_send_that_failed_stamps_still_find_their_packets() -> None:
    await_stamps("127.0.0.1")
    pair = Pair("127.0.0.1", stop=2)
    assert pair.send(0, 2, 0) is None
    odd = pair.send(0, SESSIONS, 1)
    assert odd is not None
    assert (odd < 0).tolist() == [False, False, True, False, False, False]
    for seq in (2, 3):
        pair.send(3, SESSIONS, seq)
    pair.collect(2 + 5 + 6, 2 + 5 + 6)
    assert set(pair.noted.stamps) == set(pair.arrived)
    pair.check()
    pair.close()


def test_after_a_packet_that_was_too_large_numbers_begin_anew_and_stamps_find_their_packets() -> None:
    await_stamps("127.0.0.1")
    pair = Pair("127.0.0.1", large=1)
    odd = pair.send(0, SESSIONS, 1)
    assert odd is not None
    assert (odd < 0).tolist() == [False, True, False, False, False, False]
    for seq in (2, 3):
        pair.send(3, SESSIONS, seq)
    pair.collect(5 + 6, 6)
    assert set(pair.noted.stamps) == {(session, seq) for session in (103, 104, 105) for seq in (2, 3)}
    pair.check()
    pair.close()


def test_a_number_that_is_not_known_is_nobodys(pair: Pair) -> None:
    swept = pair.port.stamped(cast(Sessions, pair.noted), np.array([5, 77]), np.array([1, 2]))
    assert not swept.any()
    assert pair.noted.stamps == {}


def test_packets_of_sweeps_are_told_apart(pair: Pair) -> None:
    pair.send(0, 2, 0)
    packets = np.zeros((2, 44), np.uint8)
    numbers = pair.port.socket.send(packets, np.tile(raw_name(pair.port.local, pair.far.port), (2, 1)))
    assert pair.port.swept(numbers)
    pair.send(2, 4, 0)
    told: dict[int, bool] = {}

    def all_back() -> bool:
        while (back := pair.port.socket.returned()) is not None:
            swept = pair.port.stamped(cast(Sessions, pair.noted), back.number, back.stamp_ns)
            told.update(zip(back.number.tolist(), swept.tolist(), strict=True))
        return len(told) == 6

    until(all_back)
    assert [told[number] for number in range(6)] == [False, False, True, True, False, False]
    assert set(pair.noted.stamps) == {(100, 0), (101, 0), (102, 0), (103, 0)}


def test_without_stamps_there_is_nothing_to_note(home: str) -> None:
    pair = Pair(home, stamps=False)
    assert pair.send(0, SESSIONS, 0) is None
    assert not pair.port.swept(np.array([0]))
    pair.collect(SESSIONS, 0)
    assert pair.noted.stamps == {}
    pair.close()


def test_it_counts_what_was_sent_since_it_was_read(pair: Pair) -> None:
    pair.send(0, SESSIONS, 0)
    pair.port.transmit_rows(np.array([1]), np.array([1]))
    pair.port.swept(np.array([9]))
    assert pair.port.unread == SESSIONS + 2
