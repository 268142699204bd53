"""The table of sessions: which datagrams are replies, what is kept of them, and what is not believed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from probes.sockets.raw_name import raw_name
from probes.stamp.packet import SENDER, SENDER_AUTHENTICATED, ntp, octets, unix_ns
from probes.stamp.reply_record import MARKED, OTHER_CLASS, UNTIMED
from probes.stamp.sessions import FAILED, REFUSED, UNREACHABLE, Discard, Sessions, Timing
from tests.probes.stamp.table import FIRST_SSID, INTERVAL, MS, T0, Reply, is_in, send, table, take

STRANGER = raw_name("10.9.9.9", 862)
WRAP = 2**32
PORT_UNREACHABLE, HOST_UNREACHABLE = 3 << 8 | 3, 3 << 8 | 1


def discarded(sessions: Sessions) -> dict[Discard, int]:
    return {why: int(sessions.discarded[why]) for why in Discard if sessions.discarded[why]}


def test_a_reply_is_kept_with_its_times_marks_and_limits() -> None:
    sessions = table()
    send(sessions, 3)
    take(sessions, Reply(1, 2, number=77, told=(46, 3), tos=46 << 2 | 1, ttl_out=200, ttl=190))
    kept = sessions.reply[1, 2]
    t1 = T0 + 2 * INTERVAL
    error = np.array([kept["error"]], np.uint16)
    times = [int(unix_ns(np.array([kept[name]]), error)[0]) - t1 for name in ("t2", "t3")]
    assert times == pytest.approx([3 * MS, 4 * MS], abs=1)
    assert int(kept["t4_ns"]) == t1 + 7 * MS
    told = {
        name: int(kept[name]) for name in ("number", "ttl_out", "ttl_back", "tos_out", "tos_back", "flags")
    }
    assert told == {
        "number": 77, "ttl_out": 200, "ttl_back": 190, "tos_out": 46 << 2 | 3, "tos_back": 46 << 2 | 1,
        "flags": MARKED,
    }  # fmt: skip
    assert discarded(sessions) == {}
    assert not is_in(sessions, 0, 2)


def test_a_reply_not_sent_in_the_class_asked_for_says_so() -> None:
    sessions = table()
    send(sessions, 1)
    take(sessions, Reply(0, 0, told=(10, 2), rp=1))
    assert int(sessions.reply[0, 0]["flags"]) == MARKED | OTHER_CLASS


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(0, 1, octets=37), Discard.SHORT),
        (Reply(0, 1, octets=0), Discard.SHORT),
        (Reply(0, 1, error=0x8000), Discard.CORRUPT),
        (Reply(0, 1, ssid=9), Discard.UNMATCHED),
        (Reply(0, 1, ssid=0, name=STRANGER), Discard.UNMATCHED),
        (Reply(0, 1, t1=5), Discard.UNMATCHED),
        (Reply(0, 1, name=STRANGER), Discard.UNMATCHED),
        (Reply(0, 1, name=raw_name("10.0.0.1", 863)), Discard.UNMATCHED),
        (Reply(0, 3), Discard.UNMATCHED),  # it was never sent
        (Reply(0, 1, ssid=FIRST_SSID + 1), Discard.UNMATCHED),  # the session of another peer
    ],
)
def test_what_is_no_reply_of_ours_is_counted_by_reason_and_changes_nothing(
    reply: Reply, why: Discard
) -> None:
    sessions = table()
    send(sessions, 3)
    take(sessions, reply)
    assert discarded(sessions) == {why: 1}
    assert (sessions.reply["seq"] == -1).all()
    assert not len(sessions.copies())


def test_a_reply_through_another_socket_is_not_ours() -> None:
    sessions = table(socket=[0, 1])
    send(sessions, 1)
    take(sessions, Reply(1, 0), socket=0)
    take(sessions, Reply(0, 0), Reply(0, 0), socket=0)
    assert discarded(sessions) == {Discard.UNMATCHED: 1}
    assert [is_in(sessions, 0, 0), is_in(sessions, 1, 0)] == [True, False]


def test_good_and_bad_in_one_batch_are_told_apart() -> None:
    sessions = table(3)
    send(sessions, 2)
    take(
        sessions, Reply(2, 1, number=5), Reply(0, 0, octets=20), Reply(1, 1, number=6, tos=40),
        Reply(0, 0, error=0), Reply(0, 1, number=7, t1=1), Reply(0, 0, number=8, ttl=99),
    )  # fmt: skip
    assert discarded(sessions) == {Discard.SHORT: 1, Discard.CORRUPT: 1, Discard.UNMATCHED: 1}
    kept = {(2, 1): 5, (1, 1): 6, (0, 0): 8}
    assert {at: int(sessions.reply[at]["number"]) for at in kept} == kept
    assert int(sessions.reply[1, 1]["tos_back"]) == 40
    assert int(sessions.reply[0, 0]["ttl_back"]) == 99


@pytest.mark.parametrize("size", [38, 40])
def test_a_short_twamp_reply_is_read_without_its_ttl(size: int) -> None:
    sessions = table()
    send(sessions, 1)
    take(sessions, Reply(0, 0, octets=size))
    kept = sessions.reply[0, 0]
    assert (int(kept["seq"]), int(kept["ttl_out"]), int(kept["flags"])) == (0, 255, 0)


def test_marks_are_only_told_by_a_whole_tlv() -> None:
    sessions = table()
    send(sessions, 2)
    take(sessions, Reply(0, 0, octets=51), Reply(0, 1, octets=52))
    assert sessions.reply["flags"][0, :2].tolist() == [0, MARKED]


def test_a_far_end_without_ssid_is_known_by_its_address() -> None:
    sessions = table(3, anonymous=[1])
    send(sessions, 2)
    take(sessions, Reply(1, 0, ssid=0, told=None), Reply(0, 0, ssid=0), Reply(1, 1, ssid=0, name=STRANGER))
    assert [is_in(sessions, 1, 0), is_in(sessions, 0, 0), is_in(sessions, 1, 1)] == [True, True, False]
    assert discarded(sessions) == {Discard.UNMATCHED: 1}
    take(sessions, Reply(1, 1, ssid=0), socket=1)
    assert not is_in(sessions, 1, 1)


def test_a_reply_without_a_receive_stamp_is_a_reply_without_a_time() -> None:
    sessions = table()
    send(sessions, 1)
    take(sessions, Reply(0, 0, stamped=False))
    assert is_in(sessions, 0, 0)
    assert int(sessions.reply[0, 0]["flags"]) & UNTIMED


def test_copies_within_a_batch_and_later_leave_the_first_reply_as_it_is() -> None:
    sessions = table()
    send(sessions, 2)
    take(sessions, Reply(0, 0, number=3, tos=8), Reply(1, 0, number=1), Reply(0, 0, number=4, tos=12))
    take(sessions, Reply(0, 0, number=3, tos=16), Reply(0, 1, number=5))
    kept = sessions.reply[0, 0]
    assert (int(kept["number"]), int(kept["tos_back"])) == (3, 8)
    assert sessions.copies().tolist() == [[0, 0, 4], [0, 0, 3]]
    sessions.forget_copies(np.array([1, 1]))
    assert sessions.copies().tolist() == []


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), max_size=30), st.data())
def test_first_replies_and_copies_equal_the_slow_twin(
    came: list[tuple[int, int]], data: st.DataObject
) -> None:
    sessions = table(3)
    send(sessions, 6)
    first: dict[tuple[int, int], int] = {}
    copies: list[list[int]] = []
    for number, at in enumerate(came):
        if at in first:
            copies.append([*at, number])
        first.setdefault(at, number)
    replies = [Reply(*at, number=number) for number, at in enumerate(came)]
    while replies:
        some = data.draw(st.integers(1, len(replies)))
        take(sessions, *replies[:some])
        replies = replies[some:]
    assert {at: int(sessions.reply[at]["number"]) for at in first} == first
    assert sorted(sessions.copies().tolist()) == sorted(copies)
    assert int((sessions.reply["seq"] >= 0).sum()) == len(first)


def test_numbers_wrap_at_2_to_the_32() -> None:
    sessions = table(first_seq=WRAP - 2)
    send(sessions, 4)
    take(sessions, *(Reply(0, seq) for seq in range(WRAP - 2, WRAP + 2)))
    assert all(is_in(sessions, 0, seq) for seq in range(WRAP - 2, WRAP + 2))
    assert discarded(sessions) == {}


def test_what_left_the_ring_is_too_late_and_what_is_in_it_is_not() -> None:
    sessions = table(ring=8)
    send(sessions, 3)
    old = Reply(0, 2, t1=int(ntp(np.array([T0 + 2 * INTERVAL]))[0]))
    send(sessions, 7, start_ns=T0 + 3 * INTERVAL)
    take(sessions, old)
    assert is_in(sessions, 0, 2)
    send(sessions, 1, start_ns=T0 + 10 * INTERVAL)
    take(sessions, old)
    assert discarded(sessions) == {Discard.TOO_LATE: 1}
    assert not is_in(sessions, 0, 10)
    take(sessions, Reply(0, 10))
    assert is_in(sessions, 0, 10)


def test_a_ring_used_again_forgets_reply_mishap_and_stamp_of_before() -> None:
    sessions = table(1, ring=4)
    send(sessions, 1)
    sessions.stamped(np.array([0]), np.array([0]), np.array([T0 + 9]))
    sessions.failed(np.array([0]), np.array([0]))
    take(sessions, Reply(0, 0))
    send(sessions, 4, start_ns=T0 + INTERVAL)
    t1, kernel = sessions.t1_ns(np.array([0]), np.array([4]))
    assert (t1.tolist(), kernel.tolist()) == ([T0 + 4 * INTERVAL], [False])
    assert sessions.mishap_seq[0, 0] != 4
    assert not is_in(sessions, 0, 4)


def test_a_reply_to_a_reported_window_is_a_correction_once() -> None:
    sessions = table()
    send(sessions, 4)
    sessions.reported[:] = [2, 0]
    take(sessions, Reply(0, 1), Reply(0, 2), Reply(1, 0), Reply(0, 1))
    take(sessions, Reply(0, 1))
    assert np.concatenate(sessions.corrections).tolist() == [[0, 1]]


def test_single_packets_have_numbers_of_their_own() -> None:
    sessions = table(3)
    sessions.sent(0, 1, T0)
    assert sessions.sent_one_each(np.array([0, 2]), T0 + 5).tolist() == [1, 0]
    assert sessions.next_seq.tolist() == [2, 0, 1]
    take(sessions, Reply(0, 1), Reply(2, 0), Reply(1, 0))
    assert [is_in(sessions, 0, 1), is_in(sessions, 2, 0), is_in(sessions, 1, 0)] == [True, True, False]


def quoted(sessions: Sessions, session: int, seq: int, authenticated: bool = False) -> NDArray[np.uint8]:
    made = np.zeros(1, SENDER_AUTHENTICATED if authenticated else SENDER)
    made["seq"], made["ssid"] = seq & 0xFFFF_FFFF, sessions.ends.ssid[session]
    block = np.zeros((1, 640), np.uint8)
    block[:, : made.dtype.itemsize] = octets(made)
    return block


@pytest.mark.parametrize("authenticated", [False, True])
def test_an_icmp_error_finds_its_packet(authenticated: bool) -> None:
    sessions = table(3, authenticated=authenticated, first_seq=WRAP - 1)
    send(sessions, 2)
    errors = [(0, WRAP - 1, PORT_UNREACHABLE), (1, WRAP, HOST_UNREACHABLE), (2, WRAP, 1 << 8 | 4)]
    for session, seq, reason in errors:
        block = quoted(sessions, session, seq, authenticated)
        sessions.refused(0, block, np.array([28]), np.array([reason]))
    for (session, seq, _), kind in zip(errors, (REFUSED, UNREACHABLE, REFUSED), strict=True):
        assert sessions.mishap_seq[session, seq & sessions.mask] == seq
        assert sessions.mishap[session, seq & sessions.mask] == kind
    assert discarded(sessions) == {}


def test_an_icmp_error_that_quotes_too_little_or_nothing_of_ours_is_unmatched() -> None:
    sessions = table()
    send(sessions, 1)
    mine = quoted(sessions, 0, 0)
    foreign = mine.copy()
    foreign[0, 15] = 200
    for block, length in ((mine, 0), (mine, 15), (foreign, 44), (quoted(sessions, 0, 1), 44)):
        sessions.refused(0, block, np.array([length]), np.array([HOST_UNREACHABLE]))
    sessions.refused(1, mine, np.array([44]), np.array([HOST_UNREACHABLE]))
    assert discarded(sessions) == {Discard.UNMATCHED: 5}
    assert (sessions.mishap_seq == -1).all()


def test_a_packet_that_was_not_taken_has_failed() -> None:
    sessions = table()
    send(sessions, 2)
    sessions.failed(np.array([1]), np.array([1]))
    assert (sessions.mishap[1, 1], sessions.mishap_seq[1, 1]) == (FAILED, 1)


def test_rings_hold_two_windows_two_timeouts_and_are_powers_of_two() -> None:
    timing = Timing.for_window(10 * MS, 2_000 * MS, 10_000 * MS)
    assert timing.ring >= 2_400
    assert timing.ring & (timing.ring - 1) == 0
    assert Timing.for_window(10_000 * MS, MS, 10_000 * MS, train=256).ring >= 512


def test_an_empty_table_takes_nothing() -> None:
    sessions = table(0)
    assert len(sessions) == 0
    assert sessions.copies().shape == (0, 3)
