"""When packets left and when replies were made: which stamps are believed, and which are put in later."""

from __future__ import annotations

import numpy as np
import pytest

from probes.stamp.packet import ntp
from probes.stamp.reply_record import T3_KERNEL
from probes.stamp.sessions import MOST_PER_PACKET_NS
from tests.probes.stamp.table import INTERVAL, MS, T0, TIMEOUT, Reply, is_in, send, table, take


@pytest.mark.parametrize(
    ("after_ns", "believed"), [(0, True), (50_000, True), (-1, False), (TIMEOUT - 1, True), (TIMEOUT, False)]
)
def test_a_transmit_stamp_is_believed_only_just_after_t1(after_ns: int, believed: bool) -> None:
    sessions = table()
    send(sessions, 1)
    sessions.stamped(np.array([1]), np.array([0]), np.array([T0 + after_ns]))
    t1, kernel = sessions.t1_ns(np.array([0, 1]), np.array([0, 0]))
    assert t1.tolist() == [T0, T0 + after_ns if believed else T0]
    assert kernel.tolist() == [False, believed]


def test_without_stamps_packets_left_evenly_while_the_call_lasted() -> None:
    sessions = table(4, stamping=False)
    sessions.sent(0, 4, T0)
    sessions.spread(0, 4, T0 + 8_000)
    t1, kernel = sessions.t1_ns(np.arange(4), np.zeros(4, np.int64))
    assert (t1 - T0).tolist() == [1000, 3000, 5000, 7000]
    assert not kernel.any()


def test_a_call_that_was_interrupted_spreads_no_more_than_packets_take() -> None:
    sessions = table(4, stamping=False)
    sessions.sent(0, 4, T0)
    sessions.spread(0, 4, T0 + 50 * MS)
    t1, _ = sessions.t1_ns(np.arange(4), np.zeros(4, np.int64))
    assert (t1 - T0 <= 4 * MOST_PER_PACKET_NS).all()
    sessions.sent(0, 4, T0 + INTERVAL)
    sessions.spread(0, 4, T0)  # the clock was set back meanwhile
    t1, _ = sessions.t1_ns(np.arange(4), np.ones(4, np.int64))
    assert (t1 == T0 + INTERVAL).all()


def test_a_train_is_numbered_on_and_spread_over_all_its_packets() -> None:
    sessions = table(2, ring=16, stamping=False)
    for k in range(3):
        sessions.sent(0, 2, T0 + k * INTERVAL, train=4)
        sessions.spread(0, 2, T0 + k * INTERVAL + 8_000, train=4)
    assert sessions.next_seq.tolist() == [12, 12]
    t1, _ = sessions.t1_ns(np.repeat([0, 1], 4), np.tile(np.arange(8, 12), 2))
    assert (t1 - T0 - 2 * INTERVAL).tolist() == [500, 1500, 2500, 3500, 4500, 5500, 6500, 7500]
    take(sessions, Reply(1, 11))
    assert is_in(sessions, 1, 11)


def test_a_follow_up_puts_in_the_true_t3_of_an_earlier_reply() -> None:
    sessions = table()
    send(sessions, 5)
    take(sessions, Reply(0, 0, number=10), Reply(0, 1, number=11))
    true_t3 = T0 + 4 * MS + 77_000
    take(sessions, Reply(0, 2, number=12, follow_up=(10, true_t3)))
    kept = sessions.reply[0, 0]
    assert int(kept["t3"]) == int(ntp(np.array([true_t3]))[0])
    assert int(kept["flags"]) & T3_KERNEL
    assert not int(sessions.reply[0, 1]["flags"]) & T3_KERNEL
    take(sessions, Reply(0, 3, number=13, follow_up=(99, true_t3)))  # of a reply that never came
    assert [int(f) & T3_KERNEL for f in sessions.reply["flags"][0, :4]] == [T3_KERNEL, 0, 0, 0]


def test_a_follow_up_in_the_same_batch_and_of_another_session() -> None:
    sessions = table()
    send(sessions, 2)
    true_t3 = T0 + 5 * MS
    take(
        sessions, Reply(0, 0, number=4), Reply(1, 0, number=4), Reply(0, 1, number=5, follow_up=(4, true_t3))
    )
    flags = sessions.reply["flags"][:, 0] & T3_KERNEL
    assert flags.tolist() == [T3_KERNEL, 0]
