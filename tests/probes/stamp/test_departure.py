"""True T3 of earlier replies: put in where they belong, and only when they can be."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.stamp.departure import REACH
from probes.stamp.packet import ntp
from probes.stamp.reply_record import T3_KERNEL
from probes.stamp.sessions import Sessions
from tests.probes.stamp.table import MS, Reply, send, table, take

WRAP = 2**32
OUT_NS, DWELL_NS = 3 * MS, MS


def told_at(sessions: Sessions, seq: int, after_ns: int = 0) -> int:
    """T3 as told in the reply to packet `seq`, and some ns later."""
    return int(sessions.told_ns[0, seq & sessions.mask]) + OUT_NS + DWELL_NS + after_ns


def settled(sessions: Sessions) -> dict[int, int]:
    """By how much T3 was put later, of each reply that was."""
    t3 = sessions.reply["t3"][0]
    marked = np.flatnonzero((sessions.reply["flags"][0] & T3_KERNEL) != 0)
    seqs = sessions.reply["seq"][0, marked].tolist()
    expected = {}
    for seq in seqs:
        for after in range(0, 7 * MS, 50_000):
            stamp = int(ntp(np.array([told_at(sessions, seq, after)]))[0])
            if stamp == int(t3[seq & sessions.mask]):
                expected[seq] = after
    assert len(expected) == len(seqs)
    return expected


@pytest.mark.parametrize("back", range(1, REACH + 1))
def test_a_reply_may_tell_of_one_some_way_back(back: int) -> None:
    sessions = table(1)
    send(sessions, 20)
    take(sessions, *(Reply(0, seq, number=seq) for seq in range(10)))
    take(sessions, Reply(0, 10, number=10, follow_up=(10 - back, told_at(sessions, 10 - back, 50_000))))
    assert settled(sessions) == {10 - back: 50_000}


def test_one_further_back_is_not_looked_for() -> None:
    sessions = table(1)
    send(sessions, 20)
    take(sessions, *(Reply(0, seq, number=seq) for seq in range(12)))
    take(
        sessions,
        Reply(0, 12, number=12, follow_up=(12 - REACH - 1, told_at(sessions, 12 - REACH - 1, 50_000))),
    )
    assert settled(sessions) == {}


@pytest.mark.parametrize(
    ("after_ns", "believed"),
    [(0, True), (50_000, True), (6_000_000, True), (-1_000, False), (6_050_000, False), (10**12, False)],
)
def test_it_left_after_it_was_written_and_before_it_came(after_ns: int, believed: bool) -> None:
    sessions = table(1)
    send(sessions, 2)
    take(sessions, Reply(0, 0, number=5, back_ns=3 * MS))
    take(sessions, Reply(0, 1, number=6, follow_up=(5, told_at(sessions, 0, after_ns))))
    assert settled(sessions) == ({0: after_ns} if believed else {})


def test_losses_between_do_not_matter_and_other_numbers_do() -> None:
    sessions = table(1)
    send(sessions, 8)
    take(sessions, Reply(0, 0, number=0), Reply(0, 3, number=1))
    take(sessions, Reply(0, 5, number=2, follow_up=(1, told_at(sessions, 3, 100_000))))
    take(sessions, Reply(0, 6, number=3, follow_up=(9, told_at(sessions, 5, 100_000))))
    assert settled(sessions) == {3: 100_000}


def test_numbers_wrap() -> None:
    sessions = table(1, first_seq=WRAP - 1)
    send(sessions, 2)
    take(sessions, Reply(0, WRAP - 1, number=WRAP - 1))
    take(sessions, Reply(0, WRAP, number=0, follow_up=(WRAP - 1, told_at(sessions, WRAP - 1, 100_000))))
    assert settled(sessions) == {WRAP - 1: 100_000}


@given(st.integers(1, 30), st.integers(1, 30), st.sets(st.integers(0, 29)))
def test_a_reflector_that_tells_each_time_of_the_last_settles_all_but_the_last(
    count: int, batch: int, lost: set[int]
) -> None:
    sessions = table(1)
    send(sessions, count)
    replies, before = [], -1
    for number in range(count):
        follow_up = (before, told_at(sessions, before, 50_000)) if before >= 0 else None
        if number not in lost:
            replies.append(Reply(0, number, number=number, follow_up=follow_up))
            before = number
    for at in range(0, len(replies), batch):
        take(sessions, *replies[at : at + batch])
    within = [one.seq for one, after in pairwise(replies) if after.seq - one.seq <= REACH]
    assert sorted(settled(sessions)) == within
