"""What becomes of frames on an impaired lane."""

from __future__ import annotations

import random
import socket

from lab.delay_line import UNORDERED, DelayLine
from lab.impairment import Impairment, Impairments


def _frame(src: str, dst: str) -> bytes:
    addresses = socket.inet_aton(src) + socket.inet_aton(dst)
    return bytes(10) + bytes(12) + b"\x08\x00" + bytes(12) + addresses + b"payload"


_PAIR = _frame("10.0.0.1", "10.0.0.2")


def _set(*wanted: Impairment) -> Impairments:
    made = Impairments(random.Random(7))
    made.set(wanted)
    return made


def test_only_the_named_pair_on_the_named_lane_is_touched() -> None:
    made = _set(Impairment(3, "10.0.0.1", "10.0.0.2", delay_us=5))
    assert [extra_ns for extra_ns, _ in made.fates(3, _PAIR)] == [5_000]
    assert made.fates(3, _frame("10.0.0.2", "10.0.0.1")) == ((0, None),)
    assert made.fates(2, _PAIR) == ((0, None),)
    made.set([])
    assert made.fates(3, _PAIR) == ((0, None),)


def test_shares_are_kept() -> None:
    made = _set(Impairment(0, loss_ratio=0.2, duplicate_ratio=0.5))
    copies = [len(made.fates(0, b"any frame")) for _ in range(4_000)]
    assert 0.17 < copies.count(0) / 4_000 < 0.23
    assert 0.37 < copies.count(2) / 4_000 < 0.43


def test_jitter_has_a_queue_of_its_own_and_reordered_frames_none() -> None:
    made = _set(Impairment(0, jitter_us=100), Impairment(1, reorder_ratio=1.0, reorder_us=10))
    queues = {queue for _ in range(50) for _, queue in made.fates(0, _PAIR)}
    assert len(queues) == 1
    assert queues.isdisjoint({None, UNORDERED, 0, 1})
    assert made.fates(1, _PAIR) == ((10_000, UNORDERED),)


def test_frames_of_a_queue_keep_their_order_and_do_not_hold_others_up() -> None:
    line = DelayLine([1_000], 10)
    line.push(0, 0, b"slow", 9_000, -2)
    line.push(0, 1, b"after it", 0, -2)
    line.push(0, 2, b"other")
    line.push(0, 3, b"anyhow", 0, UNORDERED)
    assert [line.pop(20_000) for _ in range(4)] == [
        (1_002, 0, b"other"),
        (1_003, 0, b"anyhow"),
        (10_000, 0, b"slow"),
        (10_000, 0, b"after it"),
    ]
