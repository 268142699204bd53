"""Sender bookkeeping and windows, joined in memory to the real reflector by a seeded bad network.

The slow twin keeps the truth of every packet in plain lists; the table must agree with it.
"""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkgauge.frame import Frame
from probes.raw_name import raw_name
from probes.stamp.packet import SIZE, error_estimate, ntp, octets
from probes.stamp.reflector import Reflector
from probes.stamp.sessions import Discard, Sessions, Timing
from probes.stamp.window import Span, window_frame

MS = 1_000_000
INTERVAL, TIMEOUT, WINDOW = 10 * MS, 200 * MS, 1_000 * MS
WALL0 = 1_800_000_000 * 10**9
SYNCED = error_estimate(10_000, synchronised=True)
NAMES = np.stack([raw_name(f"10.0.0.{i}", 862) for i in (1, 2)])
HOME = raw_name("10.0.0.9", 40_000)


def table(first_seq: int = 0) -> Sessions:
    timing = Timing.for_window(INTERVAL, TIMEOUT, WINDOW)
    sessions = Sessions(NAMES, np.array([11, 12], np.uint16), np.array([0, 5 * MS]), 0, timing)
    sessions.next_seq += first_seq
    return sessions


def whole(sessions: Sessions, first_seq: int = 0, own_error_ns: float = 10_000.0) -> Span:
    first = np.full(len(sessions), first_seq, np.int64)
    end = sessions.next_seq.copy()
    return Span(WALL0, WINDOW, first, end, sessions.missed.copy(), own_error_ns, 0, False)


class Net:
    """Carries packets of one table to a reflector and back, and remembers what it did to each."""

    def __init__(self, sessions: Sessions, seed: int, forward: float, backward: float, copied: float) -> None:
        self.sessions, self.random = sessions, random.Random(seed)
        self.forward, self.backward, self.copied = forward, backward, copied
        self.reflector = Reflector(lambda name: True)
        self.truth: list[Counter[str]] = [Counter() for _ in range(len(sessions))]

    def run(self, until_ns: int, one_way_ns: int = 3 * MS) -> None:
        """Send everything due before until_ns; a packet that is not lost comes back two delays later."""
        while (now := self.sessions.next_due_ns()) is not None and now < until_ns:
            rows = self.sessions.due(now)
            packets = self.sessions.packets(rows, SYNCED)
            t1 = np.full(len(rows), WALL0 + now)
            packets["t1"] = ntp(t1)
            self.sessions.sent(rows, t1, np.ones(len(rows), bool))
            for i, row in enumerate(rows):
                self._carry(int(row), octets(packets)[i : i + 1], WALL0 + now, one_way_ns)

    def _carry(self, row: int, packet: NDArray[np.uint8], t1: int, one_way_ns: int) -> None:
        truth = self.truth[row]
        truth["sent"] += 1
        if self.random.random() < self.forward:
            truth["forward"] += 1
            return
        lost_back = self.random.random() < self.backward
        truth["backward" if lost_back else "replied"] += 1
        copies = 1 + (not lost_back and self.random.random() < self.copied)
        truth["duplicate"] += copies - 1
        name = HOME.copy()
        name[3] = row  # a port of its own for each session
        for _ in range(copies):
            t2 = np.array([t1 + one_way_ns])
            ttl = np.array([250], np.uint8)
            reply = self.reflector.reflect(packet, np.array([SIZE]), name[None], t2, ttl, SYNCED)
            block = reply.octets(ntp(t2 + MS))
            if not lost_back:
                t4 = t2 + MS + one_way_ns
                self.sessions.received(block, np.array([SIZE]), NAMES[row : row + 1], t4)


def fields(frame: Frame, row: int) -> dict[str, int]:
    names = ("sent", "replied", "lost_forward", "lost_backward", "lost_unattributed", "duplicate")
    return {name: int(frame.count(name)[row]) for name in names}


@settings(deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([0.0, 0.05, 0.3]),
    st.sampled_from([0.0, 0.05, 0.3]),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([0, 2**32 - 37]),
)
def test_counts_agree_with_the_truth(
    seed: int, forward: float, backward: float, copied: float, first: int
) -> None:
    sessions = table(first)
    net = Net(sessions, seed, forward, backward, copied)
    net.run(WINDOW)
    span = whole(sessions, first)
    net.forward = net.backward = 0.0
    net.run(WINDOW + TIMEOUT)  # replies after the window tell the direction of its last losses
    extra = [t["replied"] - int(n) for t, n in zip(net.truth, sessions.next_seq - span.end, strict=True)]
    frame = window_frame(sessions, ["a", "b"], "0", span)
    for row, truth in enumerate(net.truth):
        got = fields(frame, row)
        assert got["sent"] == int(span.end[row] - span.first[row])
        assert got["replied"] == extra[row]
        lost = truth["forward"] + truth["backward"]
        assert got["lost_forward"] + got["lost_backward"] + got["lost_unattributed"] == lost
        # losses before the very first reply of a session have no number before them
        slack = got["lost_unattributed"]
        assert truth["forward"] - slack <= got["lost_forward"] <= truth["forward"]
        assert truth["backward"] - slack <= got["lost_backward"] <= truth["backward"]


def test_delay_is_round_trip_less_dwell_and_one_way_with_its_bound() -> None:
    sessions = table()
    net = Net(sessions, 1, 0, 0, 0)
    net.run(WINDOW)
    frame = window_frame(sessions, ["a", "b"], "0", whole(sessions))
    assert frame.real("rtt_p50_us").tolist() == pytest.approx([6000, 6000], abs=0.01)
    assert frame.real("dwell_p50_us").tolist() == pytest.approx([1000, 1000], abs=0.01)
    assert frame.real("forward_p50_us").tolist() == pytest.approx([3000, 3000], abs=0.01)
    assert (frame.real("one_way_error_us") >= 20).all()
    assert (frame.real("one_way_error_us") < 21).all()
    assert frame.histograms("rtt_ns")[0].total == 100
    unsynchronised = window_frame(sessions, ["a", "b"], "0", whole(sessions, own_error_ns=float("nan")))
    assert np.isnan(unsynchronised.real("forward_p50_us")).all()
    assert np.isnan(unsynchronised.real("one_way_error_us")).all()
    assert unsynchronised.real("rtt_p50_us").tolist() == pytest.approx([6000, 6000], abs=0.01)


def test_a_late_reply_is_late_and_not_lost() -> None:
    sessions = table()
    Net(sessions, 1, 0, 0, 0).run(WINDOW, one_way_ns=TIMEOUT)
    frame = window_frame(sessions, ["a", "b"], "0", whole(sessions))
    assert frame.count("late").tolist() == [100, 100]
    assert frame.real("loss_ratio").tolist() == [0, 0]


def test_slots_that_passed_are_missed_and_not_sent_in_a_burst() -> None:
    sessions = table()
    assert sessions.due(0).tolist() == [0]
    assert sessions.due(105 * MS).tolist() == [0, 1]
    assert sessions.missed.tolist() == [9, 10]
    assert sessions.due_ns.tolist() == [110 * MS, 115 * MS]


def test_foreign_datagrams_are_counted_and_change_nothing() -> None:
    sessions = table()
    Net(sessions, 1, 1.0, 0, 0).run(20 * MS)
    good = np.zeros((1, 64), np.uint8)
    good[0, 13] = 1  # a valid Error Estimate

    def take(block: NDArray[np.uint8], length: int, name: NDArray[np.uint8] = NAMES[0]) -> list[int]:
        sessions.received(block, np.array([length]), name[None], np.array([WALL0]))
        return sessions.discarded.tolist()

    assert take(good, 43)[Discard.SHORT] == 1
    assert take(np.zeros((1, 64), np.uint8), 44)[Discard.CORRUPT] == 1
    good[0, 15] = 11  # our SSID, but a T1 that we never told
    assert take(good, 44)[Discard.UNMATCHED] == 1
    good[0, 15] = 99  # nobody's SSID
    assert take(good, 44)[Discard.UNMATCHED] == 2
    assert take(good, 44, HOME)[Discard.UNMATCHED] == 3
    assert not (sessions.fate == 1).any()


def test_a_failed_send_is_no_loss() -> None:
    sessions = table()
    rows = sessions.due(5 * MS)
    sessions.sent(rows, np.full(2, WALL0), np.array([True, False]))
    frame = window_frame(sessions, ["a", "b"], "0", whole(sessions))
    assert frame.count("sent").tolist() == [1, 0]
    assert frame.count("send_failed").tolist() == [0, 1]
    assert frame.count("lost_unattributed").tolist() == [1, 0]


def test_an_icmp_error_makes_a_packet_refused() -> None:
    sessions = table()
    rows = sessions.due(5 * MS)
    packets = sessions.packets(rows, SYNCED)
    sessions.sent(rows, np.full(2, WALL0), np.ones(2, bool))
    sessions.refused(octets(packets)[:1], np.array([SIZE]))
    frame = window_frame(sessions, ["a", "b"], "0", whole(sessions))
    assert frame.count("refused").tolist() == [1, 0]
    assert frame.count("lost_unattributed").tolist() == [0, 1]


def test_a_transmit_stamp_before_the_packet_was_made_is_not_believed() -> None:
    sessions = table()
    rows = sessions.due(5 * MS)
    seq = sessions.sent(rows, np.full(2, WALL0), np.ones(2, bool))
    sessions.stamped(rows, seq, np.array([WALL0 - 1, WALL0 + 50_000]))
    assert sessions.t1_ns[[0, 1], seq].tolist() == [WALL0, WALL0 + 50_000]


def test_reordered_replies_are_counted() -> None:
    sessions = table()
    rows, packets = np.zeros(1, np.intp), []
    for k in range(3):
        packet = sessions.packets(rows, SYNCED)
        packet["t1"] = ntp(np.array([WALL0 + k]))
        packets.append(packet)
        sessions.sent(rows, np.array([WALL0 + k]), np.ones(1, bool))
    reflector = Reflector(lambda name: True)
    for arrival, k in enumerate((1, 0, 2)):
        t2 = np.array([WALL0 + MS])
        reply = reflector.reflect(
            octets(packets[k]), np.array([SIZE]), HOME[None], t2, np.array([9], np.uint8), SYNCED
        )
        sessions.received(reply.octets(ntp(t2)), np.array([SIZE]), NAMES[:1], t2 + MS + arrival)
    frame = window_frame(sessions, ["a", "b"], "0", whole(sessions))
    assert frame.count("reordered").tolist() == [1]


def test_copies_count_in_their_own_window_and_make_no_loss() -> None:
    sessions = table()
    net = Net(sessions, 5, 0.2, 0.0, 0.2)
    net.run(WINDOW)
    first = whole(sessions)
    net.run(2 * WINDOW)
    second = Span(
        WALL0 + WINDOW,
        WINDOW,
        first.end,
        sessions.next_seq.copy(),
        sessions.missed - first.missed,
        10_000.0,
        0,
        False,
    )
    net.run(2 * WINDOW + TIMEOUT)
    frames = [window_frame(sessions, ["a", "b"], "0", span) for span in (first, second)]
    assert sum(int(frame.count("lost_backward").sum()) for frame in frames) == 0
    told = sum(int(frame.count("duplicate").sum()) for frame in frames)
    later = int((sessions.copies()[:, 1] >= second.end[sessions.copies()[:, 0]]).sum())
    assert told + later == sum(truth["duplicate"] for truth in net.truth)
