"""Batch sockets on loopback: what is sent arrives whole and stamped, and errors find their packet."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkgauge.errors import ConfigError
from probes.sockets.arrival import Received, Returned, received
from probes.sockets.message import Inbox
from probes.sockets.raw_name import NAME_SIZE, address_of, raw_name
from probes.sockets.sockets import BATCH, CONTROL_SIZE, BatchSocket

PATIENCE_S = 60.0
HOMES = [pytest.param("127.0.0.1", id="v4"), pytest.param("::1", id="v6")]


@pytest.fixture(params=HOMES)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[BatchSocket, BatchSocket, str]]:
    a = BatchSocket(request.param, 0, transmit_stamps=True, tos=46 << 2)
    b = BatchSocket(request.param, 0)
    poll_until_stamped(request.param)
    yield a, b, request.param
    a.close()
    b.close()


def poll_until_stamped(home: str) -> None:
    """Receive stamping starts lazily in the kernel: wait until it works."""
    sock = BatchSocket(home, 0)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        sock.send(np.zeros((1, 44), np.uint8), raw_name(home, sock.port)[None])
        got = receive(sock)
        if got is not None and got.stamp_ns[0] > 0:
            break
    sock.close()


def receive(sock: BatchSocket, timeout_s: float = PATIENCE_S) -> Received | None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if (got := sock.receive()) is not None:
            return got
    return None


def returned(sock: BatchSocket) -> Returned:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if (got := sock.returned()) is not None:
            return got
    raise AssertionError("the error queue stayed empty")


def to(home: str, port: int, n: int) -> NDArray[np.uint8]:
    return np.tile(raw_name(home, port), (n, 1))


def test_a_batch_arrives_whole_and_stamped(pair: tuple[BatchSocket, BatchSocket, str]) -> None:
    a, b, home = pair
    packets = np.arange(5 * 60, dtype=np.uint8).reshape(5, 60)
    before = time.time_ns()
    numbers = a.send(packets, to(home, b.port, 5))
    got = receive(b)
    assert got is not None
    assert (got.data[:, :60] == packets).all()
    assert got.length.tolist() == [60] * 5
    assert ((got.stamp_ns >= before) & (got.stamp_ns <= time.time_ns())).all()
    assert got.ttl.tolist() == [255] * 5
    assert got.tos.tolist() == [46 << 2] * 5
    assert address_of(got.name[0]) == home
    back = returned(a)
    assert back.number.tolist() == numbers.tolist()
    assert (back.stamp_ns <= got.stamp_ns).all()
    assert (back.stamp_ns >= before).all()


def test_rows_may_have_lengths_of_their_own(pair: tuple[BatchSocket, BatchSocket, str]) -> None:
    a, b, home = pair
    a.send(np.ones((3, 100), np.uint8), to(home, b.port, 3), np.array([100, 44, 0]))
    got = receive(b)
    assert got is not None
    assert got.length.tolist() == [100, 44, 0]


def test_more_than_a_batch_and_a_long_datagram(pair: tuple[BatchSocket, BatchSocket, str]) -> None:
    a, b, home = pair
    numbers = a.send(np.zeros((BATCH + 10, 44), np.uint8), to(home, b.port, BATCH + 10))
    assert numbers.tolist() == list(range(numbers[0], numbers[0] + BATCH + 10))
    total = 0
    while total < BATCH + 10 and (got := receive(b)) is not None:
        total += len(got.length)
    assert total == BATCH + 10
    with socket.socket(socket.AF_INET6 if a.v6 else socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.sendto(bytes(60_000), (home, b.port))
    long = receive(b)
    assert long is not None
    assert long.length.tolist() == [60_000]


def test_a_port_nobody_listens_on_returns_the_packet(pair: tuple[BatchSocket, BatchSocket, str]) -> None:
    a, b, home = pair
    port = b.port
    with socket.socket(socket.AF_INET6 if a.v6 else socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((home, 0))
        closed = taken.getsockname()[1]
    packets = np.zeros((1, 44), np.uint8)
    packets[0, :4] = [1, 2, 3, 4]
    a.send(packets, to(home, closed, 1))
    quoted: list[list[int]] = []
    deadline = time.monotonic() + PATIENCE_S
    while not quoted and time.monotonic() < deadline:
        quoted = returned(a).errors.data[:, :4].tolist()
    assert quoted == [[1, 2, 3, 4]]
    assert (a.send(packets, to(home, port, 1)) >= 0).all(), "an old ICMP error must not fail the next packet"


def test_an_address_without_route_is_not_taken() -> None:
    sock = BatchSocket("127.0.0.1", 0)
    names = np.stack([raw_name("240.0.0.1", 9), raw_name("127.0.0.1", sock.port)])
    numbers = sock.send(np.zeros((2, 44), np.uint8), names)
    assert numbers[0] == -1
    assert numbers[1] >= 0
    sock.close()


def test_a_full_receive_queue_is_counted() -> None:
    sink, source = BatchSocket("127.0.0.1", 0), BatchSocket("127.0.0.1", 0)
    sink._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(4):
        source.send(np.zeros((BATCH, 44), np.uint8), to("127.0.0.1", sink.port, BATCH))
        while sink.receive() is not None:
            pass
    assert sink.dropped > 0
    sink.close()
    source.close()


@pytest.mark.parametrize(
    ("address", "sentence"),
    [("127.0.0.1", "is in use by another program"), ("192.0.2.1", "is no address of this host")],
)
def test_what_cannot_be_bound_is_said(address: str, sentence: str) -> None:
    taken = BatchSocket("127.0.0.1", 0)
    with pytest.raises(ConfigError, match=sentence):
        BatchSocket(address, taken.port)
    taken.close()


@given(st.ip_addresses(), st.integers(0, 65535))
def test_raw_names_are_read_back(address: object, port: int) -> None:
    name = raw_name(str(address), port)
    assert name.shape == (NAME_SIZE,)
    assert address_of(name) == str(address)
    assert int(name[2]) << 8 | int(name[3]) == port


def test_tos_and_hop_limit_of_single_datagrams(pair: tuple[BatchSocket, BatchSocket, str]) -> None:
    a, b, home = pair
    tos, limit = np.array([0, 0xB8, 3, 255], np.uint8), np.array([1, 7, 64, 255], np.uint8)
    a.send(np.zeros((4, 44), np.uint8), to(home, b.port, 4), None, tos, limit)
    a.send(np.zeros((1, 44), np.uint8), to(home, b.port, 1))
    came: list[tuple[int, int]] = []
    while len(came) < 5 and (got := receive(b)) is not None:
        came += zip(got.tos.tolist(), got.ttl.tolist(), strict=True)
    assert came == [*zip(tos.tolist(), limit.tolist(), strict=True), (46 << 2, 255)]


def test_replies_go_back_from_the_block_they_came_in(pair: tuple[BatchSocket, BatchSocket, str]) -> None:
    a, b, home = pair
    packets = np.arange(5 * 60, dtype=np.uint8).reshape(5, 60)
    for turn in range(2):  # room and lengths of the block are as they were
        a.send(packets, to(home, b.port, 5))
        got = receive(b)
        assert got is not None
        got.data[:, 0] = 200 + turn
        numbers = b.reply(np.array([4, 1, 2]), np.array([60, 30, 44]), np.array([0, 40, 2], np.uint8))
        assert (np.diff(numbers) == 1).all()
        back = receive(a)
        assert back is not None
        assert back.length.tolist() == [60, 30, 44]
        assert back.data[:, 0].tolist() == [200 + turn] * 3
        assert back.data[0, 1:60].tolist() == packets[4, 1:].tolist()
        assert back.tos.tolist() == [0, 40, 2]
        assert back.ttl.tolist() == [255] * 3
    assert b.reply(np.empty(0, np.intp), np.empty(0, np.int64), np.empty(0, np.uint8)).tolist() == []


def test_nothing_waits() -> None:
    sock = BatchSocket("127.0.0.1", 0)
    assert sock.receive() is None
    assert sock.returned() is None
    assert sock.send(np.zeros((0, 44), np.uint8), np.zeros((0, NAME_SIZE), np.uint8)).tolist() == []
    sock.close()


def test_what_is_too_large_fails_alone_and_numbers_begin_anew(
    pair: tuple[BatchSocket, BatchSocket, str],
) -> None:
    a, b, home = pair
    a.send(np.zeros((3, 44), np.uint8), to(home, b.port, 3))
    packets = np.zeros((3, 65_535), np.uint8)
    numbers = a.send(packets, to(home, b.port, 3), np.array([44, 65_535, 50]))
    assert (numbers < 0).tolist() == [False, True, False]
    assert (a.send_failed, a.renumbered, a.next_number) == (1, 1, 0)
    total = 0
    while total < 5 and (got := receive(b)) is not None:
        total += len(got.length)
    assert total == 5
    assert a.send(np.zeros((2, 44), np.uint8), to(home, b.port, 2)).tolist() == [0, 1]
    stamps: list[int] = []
    while len(stamps) < 2:
        stamps += returned(a).number.tolist()
    assert stamps == [0, 1]


def test_a_datagram_longer_than_the_block_is_cut_and_its_true_length_told() -> None:
    sock = BatchSocket("127.0.0.1", 0, data_size=64)
    sock.send(np.full((1, 200), 7, np.uint8), to("127.0.0.1", sock.port, 1))
    got = receive(sock)
    assert got is not None
    assert got.data.shape == (1, 64)
    assert got.length.tolist() == [200]
    sock.close()


def test_an_inbox_takes_from_several_sockets_one_after_another() -> None:
    socks = [BatchSocket("127.0.0.1", 0) for _ in range(2)]
    inbox = Inbox(10, 64, CONTROL_SIZE)
    for at, sock in enumerate(socks):
        sock.send(np.full((7, 44), at, np.uint8), to("127.0.0.1", sock.port, 7))
    assert [sock.fill(inbox) for sock in socks] == [7, 3]
    assert socks[0].fill(inbox) == 0
    got = received(inbox, 0, inbox.used)
    assert got.data[:, 0].tolist() == [0] * 7 + [1] * 3
    inbox.clear()
    assert socks[1].fill(inbox) == 4
    for sock in socks:
        sock.close()


def test_icmp_errors_say_who_and_why(pair: tuple[BatchSocket, BatchSocket, str]) -> None:
    a, _, home = pair
    with socket.socket(socket.AF_INET6 if a.v6 else socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((home, 0))
        closed = taken.getsockname()[1]
    a.send(np.full((1, 44), 9, np.uint8), to(home, closed, 1))
    deadline = time.monotonic() + PATIENCE_S
    errors = returned(a).errors
    while not len(errors.length) and time.monotonic() < deadline:
        errors = returned(a).errors
    assert errors.reason.tolist() == [1 << 8 | 4 if a.v6 else 3 << 8 | 3]
    assert address_of(errors.offender[0]) == home
    assert errors.length.tolist() == [44]
    assert errors.data[0, :44].tolist() == [9] * 44
    assert errors.info.tolist() == [0]


def test_capacity_is_what_the_kernel_granted() -> None:
    sock = BatchSocket("127.0.0.1", 0)
    assert sock.capacity >= 64
    assert sock.dropped == 0
    sock.close()
