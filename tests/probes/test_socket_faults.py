"""A kernel that does not take what it is given: nothing is lost count of."""

from __future__ import annotations

import ctypes
import errno
import unittest.mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.sockets.raw_name import raw_name
from probes.sockets.sockets import BatchSocket


class Kernel:
    """Takes datagrams as told: so many of a call, or fails with an errno below 0; then all."""

    def __init__(self, answers: list[int]) -> None:
        self.answers, self.taken, self.calls = answers, 0, 0

    def __call__(self, fd: int, at: int, count: int, flags: int) -> int:
        self.calls += 1
        answer = self.answers.pop(0) if self.answers else count
        if answer <= 0:
            ctypes.set_errno(-answer)
            return -1
        self.taken += min(answer, count)
        return min(answer, count)


FAULTS = [-fault for fault in (errno.EAGAIN, errno.ENOBUFS, errno.ECONNREFUSED, errno.EMSGSIZE, errno.EPERM)]


@given(st.lists(st.sampled_from([*FAULTS, 1, 2, 5]), max_size=12), st.integers(1, 20))
def test_whatever_the_kernel_takes_every_datagram_has_a_number_or_has_failed(
    answers: list[int], count: int
) -> None:
    sock, kernel = BatchSocket("127.0.0.1", 0), Kernel(list(answers))
    names = np.tile(raw_name("127.0.0.1", sock.port), (count, 1))
    with unittest.mock.patch("probes.sockets.sockets._sendmmsg", kernel):
        numbers = sock.send(np.zeros((count, 44), np.uint8), names)
    assert numbers[numbers >= 0].tolist() == list(range(kernel.taken))
    assert int((numbers < 0).sum()) == sock.send_failed == count - kernel.taken
    assert sock.next_number == kernel.taken
    assert sock.send_retried <= 1
    assert kernel.calls <= 2 * count + 3
    sock.close()


@pytest.mark.parametrize(
    ("answers", "failed", "retried"),
    [
        ([2, -errno.EAGAIN], 0, 1),  # full for a moment
        ([2, -errno.EAGAIN, -errno.EAGAIN, -errno.EAGAIN], 2, 1),  # it is waited for once a call
        ([-errno.ENOBUFS, -errno.ENOBUFS], 0, 1),
        ([2, -errno.ECONNREFUSED], 0, 0),  # an error of an earlier datagram, told once
        ([2, -errno.ECONNREFUSED, -errno.ECONNREFUSED], 1, 0),
        ([2, -errno.EMSGSIZE], 1, 0),
    ],
)
def test_what_the_kernel_would_not_take_is_tried_again_or_counted(
    answers: list[int], failed: int, retried: int
) -> None:
    sock = BatchSocket("127.0.0.1", 0)
    names = np.tile(raw_name("127.0.0.1", sock.port), (6, 1))
    with unittest.mock.patch("probes.sockets.sockets._sendmmsg", Kernel(list(answers))):
        sock.send(np.zeros((6, 44), np.uint8), names)
    assert (sock.send_failed, sock.send_retried) == (failed, retried)
    sock.close()
