"""What a played fault does to columns of datagrams."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from probes.sockets.arrival import Received
from probes.sockets.raw_name import raw_name
from probes.stamp.played_fault import HELD_MOST, PLAYABLE, REORDER_NS, PlayedFault

_PEER, _OTHER = "10.0.0.1", "10.0.0.2"


def _got(*sources: tuple[str, int]) -> Received:
    count = len(sources)
    return Received(
        np.arange(count, dtype=np.uint8)[:, None].repeat(4, axis=1),
        np.full(count, 4),
        np.array([raw_name(*source) for source in sources]),
        np.full(count, 1_000_000),
        np.full(count, 64, np.uint8),
        np.full(count, 2, np.uint8),
    )


def _playing(fault: str, magnitude: float | None = None) -> PlayedFault:
    size = PLAYABLE[fault].magnitude if magnitude is None else magnitude
    return PlayedFault(fault, size, raw_name(_PEER, 0)[4:24].tobytes(), np.random.default_rng(5).random)


def _numbers(got: Received) -> list[int]:
    return [int(row[0]) for row in got.data]


def test_a_blackhole_takes_all_of_the_peer_and_nothing_of_others() -> None:
    fault = _playing("blackhole")
    assert _numbers(fault.passes(_got((_PEER, 1), (_OTHER, 1), (_PEER, 2)), 0, 0)) == [1]
    assert fault.touched == 2
    assert fault.due_ns is None


def test_a_share_is_lost() -> None:
    fault = _playing("loss", 0.2)
    kept = len(fault.passes(_got(*[(_PEER, 1)] * 4_000), 0, 0).length)
    assert 3_050 < kept < 3_350


def test_a_dead_flow_is_the_first_port_that_came() -> None:
    fault = _playing("flow-blackhole")
    assert _numbers(fault.passes(_got((_OTHER, 7), (_PEER, 8), (_PEER, 9), (_PEER, 8)), 0, 0)) == [0, 2]
    assert _numbers(fault.passes(_got((_PEER, 9), (_PEER, 8)), 0, 0)) == [0]


def test_marks_are_those_that_a_network_would_have_written() -> None:
    remarked = _playing("remark", 10).passes(_got((_PEER, 1), (_OTHER, 1)), 0, 0)
    assert remarked.tos.tolist() == [10 << 2 | 2, 2]
    marked = _playing("mark-ce", 1.0).passes(_got((_PEER, 1), (_OTHER, 1)), 0, 0)
    assert marked.tos.tolist() == [3, 2]


def test_duplicates_come_a_little_later() -> None:
    fault = _playing("duplicate", 1.0)
    assert _numbers(fault.passes(_got((_PEER, 1), (_OTHER, 1)), 3, 1_000)) == [0, 1]
    assert fault.due_ns is not None
    held = fault.due(fault.due_ns)
    assert held is not None
    assert (held[0], _numbers(held[1])) == (3, [0])
    assert fault.due(1 << 60) is None


def test_delay_moves_the_stamp_of_arrival_and_keeps_the_order() -> None:
    fault = _playing("delay", 50)
    assert _numbers(fault.passes(_got((_PEER, 1), (_OTHER, 1)), 0, 10)) == [1]
    assert fault.due(49_000) is None
    held = fault.due(50_010)
    assert held is not None
    assert held[1].stamp_ns.tolist() == [1_050_000]


def test_jitter_keeps_the_order_and_reordering_does_not() -> None:
    fault = _playing("jitter", 1_000)
    for _ in range(40):
        fault.passes(_got((_PEER, 1)), 0, 0)
    stamps = []
    while (held := fault.due(1 << 60)) is not None:
        stamps.append(int(held[1].stamp_ns[0]))
    assert stamps == sorted(stamps)
    assert len(set(stamps)) >= 3
    mixed = _playing("reorder", 0.5)
    now = Counter(len(mixed.passes(_got((_PEER, 1)), 0, 0).length) for _ in range(200))
    assert 60 < now[0] < 140
    assert mixed.due_ns == REORDER_NS


def test_what_waits_is_bounded() -> None:
    fault = _playing("delay", 1_000)
    fault.passes(_got(*[(_PEER, 1)] * (HELD_MOST + 5)), 0, 0)
    assert fault.no_room == 5


@pytest.mark.parametrize("fault", sorted(PLAYABLE))
def test_nothing_is_nothing(fault: str) -> None:
    assert len(_playing(fault).passes(_got((_OTHER, 1)), 0, 0).length) == 1
