"""How the loop waits: until a moment, for a packet, for a call; and that it lets many packets gather."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from probes.engine.waiting import CALM_PPS, GATHER_NS, Waiting
from probes.sockets.raw_name import raw_name
from probes.sockets.sockets import BatchSocket

MS = 1_000_000
S = 1_000 * MS
HOME = "127.0.0.1"


@pytest.fixture
def sock() -> Iterator[BatchSocket]:
    made = BatchSocket(HOME, 0)
    yield made
    made.close()


@pytest.fixture
def waiting(sock: BatchSocket) -> Iterator[Waiting]:
    made = Waiting([sock])
    yield made
    made.close()


def poke(sock: BatchSocket) -> None:
    sock.send(np.zeros((1, 44), np.uint8), raw_name(HOME, sock.port)[None])


def waited_ns(waiting: Waiting, for_ns: int) -> int:
    start = time.monotonic_ns()
    waiting.until(start + for_ns, start)
    return time.monotonic_ns() - start


def test_it_waits_until_the_moment_and_not_less(waiting: Waiting) -> None:
    assert 20 * MS <= waited_ns(waiting, 20 * MS) < 10 * S


def test_a_moment_that_has_passed_is_not_waited_for(waiting: Waiting) -> None:
    assert waited_ns(waiting, -S) < 10 * S


def test_a_packet_ends_the_wait(waiting: Waiting, sock: BatchSocket) -> None:
    poke(sock)
    assert waited_ns(waiting, 20 * S) < 10 * S


def test_a_call_from_another_thread_ends_the_wait_once(waiting: Waiting) -> None:
    threading.Timer(0.02, waiting.wake).start()
    assert waited_ns(waiting, 20 * S) < 10 * S
    assert waited_ns(waiting, 20 * MS) >= 20 * MS


def test_calls_before_the_wait_are_not_lost(waiting: Waiting) -> None:
    waiting.wake()
    waiting.wake()
    assert waited_ns(waiting, 20 * S) < 10 * S
    assert waited_ns(waiting, 20 * MS) >= 20 * MS


def busy(waiting: Waiting, now_ns: int, rate_pps: float) -> None:
    """So many packets were answered over the last 200 ms."""
    waiting.answered(0, now_ns - 200 * MS)
    waiting.answered(int(rate_pps * 0.2), now_ns)


def test_many_packets_gather_before_they_are_answered(waiting: Waiting, sock: BatchSocket) -> None:
    poke(sock)
    start = time.monotonic_ns()
    busy(waiting, start, 4 * CALM_PPS)
    waiting.until(start + 20 * S, start)
    took_ns = time.monotonic_ns() - start
    assert GATHER_NS <= took_ns < 10 * S
    now = time.monotonic_ns()
    waiting.until(now + 20 * S, now)  # gathered enough: what waits is answered now
    assert time.monotonic_ns() - now < 10 * S


def test_what_is_due_is_not_kept_waiting_while_packets_gather(waiting: Waiting, sock: BatchSocket) -> None:
    poke(sock)
    far = time.monotonic_ns() + 100 * S  # as if the loop were there: gathering lasts until then
    busy(waiting, far, 4 * CALM_PPS)
    now = time.monotonic_ns()
    waiting.until(now + 20 * MS, now)
    assert 20 * MS <= time.monotonic_ns() - now < 10 * S


def test_a_call_ends_the_gathering(waiting: Waiting) -> None:
    busy(waiting, time.monotonic_ns() + 100 * S, 4 * CALM_PPS)
    threading.Timer(0.02, waiting.wake).start()
    assert waited_ns(waiting, 20 * S) < 10 * S


def test_few_packets_are_answered_as_they_come(waiting: Waiting, sock: BatchSocket) -> None:
    busy(waiting, time.monotonic_ns() + 100 * S, CALM_PPS / 4)
    poke(sock)
    assert waited_ns(waiting, 20 * S) < 10 * S


def test_when_it_is_calm_again_nothing_gathers(waiting: Waiting, sock: BatchSocket) -> None:
    past = time.monotonic_ns() - 10 * S
    busy(waiting, past, 4 * CALM_PPS)
    busy(waiting, past + S, 0)
    busy(waiting, time.monotonic_ns() + 100 * S, 0)
    poke(sock)
    assert waited_ns(waiting, 20 * S) < 10 * S


def test_a_call_after_the_end_touches_nothing(sock: BatchSocket) -> None:
    made = Waiting([sock])
    made.close()
    taken = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(8)]  # one has the number of the alarm by now
    made.wake()
    for fd in taken:
        with pytest.raises(BlockingIOError):
            os.eventfd_read(fd)
        os.close(fd)
