"""Every packet has one fate: against a table played by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.stamp.direction import Direction
from probes.stamp.fate import AFTER, BEFORE, Fates, duplicates, gather
from probes.stamp.sessions import Sessions
from tests.probes.stamp.table import MS, T0, TIMEOUT, Reply, send, table, take
from tests.probes.stamp.test_sessions import HOST_UNREACHABLE, PORT_UNREACHABLE, quoted

REPLIED, LATE, REFUSED, UNREACHABLE, FAILED, FORWARD, BACKWARD = (
    "replied", "late", "refused", "unreachable", "failed", "forward", "backward",
)  # fmt: skip
ANY = [REPLIED, REPLIED, REPLIED, LATE, UNREACHABLE, FAILED, FORWARD, BACKWARD]


def play(sessions: Sessions, fates: list[list[str]], first: int = 0) -> None:
    """Packets of each session meet their fates, at a stateful far end."""
    send(sessions, max(len(each) for each in fates))
    for session, each in enumerate(fates):
        number = 0
        for seq, what in enumerate(each, first):
            row, at = np.array([session]), np.array([seq])
            if what == FAILED:
                sessions.failed(row, at)
            elif what in (REFUSED, UNREACHABLE):
                reason = PORT_UNREACHABLE if what == REFUSED else HOST_UNREACHABLE
                sessions.refused(0, quoted(sessions, session, seq), np.array([44]), np.array([reason]))
            elif what in (REPLIED, LATE):
                back_ns = TIMEOUT if what == LATE else 3 * MS
                take(sessions, Reply(session, seq, number=number, back_ns=back_ns))
            number += what in (REPLIED, LATE, BACKWARD)


def of_window(sessions: Sessions, first: int, end: int, stateful: bool = True) -> Fates:
    n = len(sessions)
    return gather(sessions, np.full(n, first), np.full(n, end), np.full(n, stateful), np.arange(n))


def named(fates: Fates) -> list[str]:
    """The fate of each packet of the window, by name; fails when one has two."""
    direction = {Direction.FORWARD: FORWARD, Direction.BACKWARD: BACKWARD, Direction.UNATTRIBUTED: "?"}
    names = []
    for at in np.flatnonzero(fates.inside):
        kinds = [REPLIED] * bool(fates.seen[at] and not fates.late[at]) + [LATE] * bool(fates.late[at])
        kinds += [REFUSED] * bool(fates.refused[at]) + [FAILED] * bool(fates.failed[at])
        assert len(kinds) + bool(fates.lost[at]) == 1
        assert bool(fates.lost[at]) == (fates.direction[at] != Direction.NONE)
        if fates.lost[at]:
            told = direction[Direction(int(fates.direction[at]))]
            kinds = [UNREACHABLE if fates.unreachable[at] else told]
            assert not fates.unreachable[at] or told == FORWARD
        names += kinds
    return names


def test_each_fate() -> None:
    sessions = table(1)
    fates = [REPLIED, LATE, REFUSED, FAILED, UNREACHABLE, FORWARD, REPLIED, BACKWARD, REPLIED]
    play(sessions, [fates])
    assert named(of_window(sessions, 0, 9)) == fates


@given(st.lists(st.sampled_from(ANY), min_size=1, max_size=40), st.sampled_from([0, 2**32 - 20]))
def test_counts_of_fates_are_exact(between: list[str], first: int) -> None:
    fates = [REPLIED, *between, REPLIED]
    sessions = table(1, first_seq=first)
    play(sessions, [fates], first)
    told = named(of_window(sessions, first, first + len(fates)))
    assert sorted(told) == sorted(fates)
    for what in (REPLIED, LATE, FAILED, UNREACHABLE):
        assert [at for at, one in enumerate(told) if one == what] == [
            at for at, one in enumerate(fates) if one == what
        ]


@given(st.lists(st.sampled_from([REPLIED, REFUSED, FORWARD]), max_size=30))
def test_silence_next_to_a_refusal_is_refusal(between: list[str]) -> None:
    """Hosts send only few "port unreachable" a second."""
    fates = [REPLIED, *between, REPLIED]
    sessions = table(1)
    play(sessions, [fates])
    expected = list(fates)
    for run in [slice(a, b) for a in range(len(fates)) for b in range(a + 1, len(fates))]:
        if REFUSED in fates[run] and REPLIED not in fates[run]:
            expected[run] = [REFUSED] * len(fates[run])
    assert named(of_window(sessions, 0, len(fates))) == expected


def test_a_packet_with_an_error_of_its_own_is_no_silence() -> None:
    sessions = table(1)
    fates = [REPLIED, REFUSED, UNREACHABLE, REPLIED, FORWARD, REPLIED]
    play(sessions, [fates])
    assert named(of_window(sessions, 0, 6)) == fates


@given(st.lists(st.sampled_from([REPLIED, FAILED, UNREACHABLE, FORWARD, BACKWARD]), max_size=20))
def test_losses_before_the_first_reply_have_a_direction_too(before: list[str]) -> None:
    """Because a stateful reflector counts from 0."""
    fates = [*before, REPLIED]
    if before[:1] in ([FAILED], [UNREACHABLE]):
        return  # the first packet tells nothing
    sessions = table(1)
    play(sessions, [fates])
    assert sorted(named(of_window(sessions, 0, len(fates)))) == sorted(fates)


def test_a_reflector_that_counts_otherwise_tells_nothing_of_the_beginning() -> None:
    sessions = table(1)
    send(sessions, 4)
    take(sessions, Reply(0, 2, number=500), Reply(0, 3, number=501))
    assert named(of_window(sessions, 0, 4)) == ["?", "?", REPLIED, REPLIED]


def test_packets_around_the_window_tell_the_direction_of_losses_at_its_edges() -> None:
    sessions = table(1)
    fates = [REPLIED] * 5 + [FORWARD, BACKWARD] + [REPLIED] * 3 + [BACKWARD] + [REPLIED] * 5
    play(sessions, [fates])
    assert named(of_window(sessions, 5, 11)) == [FORWARD, BACKWARD, *[REPLIED] * 3, BACKWARD]


def test_where_something_was_lost_replies_further_away_tell_its_direction() -> None:
    sessions = table(1)
    losses = [FORWARD] * (BEFORE - 4)
    play(sessions, [[REPLIED, *losses, FORWARD, BACKWARD, *losses, REPLIED]])
    first = 1 + len(losses)
    assert named(of_window(sessions, first, first + 2)) == [FORWARD, FORWARD]  # one of very many, the last
    assert named(of_window(sessions, 1, 3 + 2 * len(losses))).count(BACKWARD) == 1


def test_packets_around_are_bounded() -> None:
    sessions = table(1)
    play(sessions, [[REPLIED] * 500])
    fates = of_window(sessions, 100, 110)
    assert int(fates.inside.sum()) == 10
    assert 100 - BEFORE <= fates.seq[0] < 100
    assert 110 <= fates.seq[-1] < 110 + AFTER


def test_what_left_the_ring_is_not_looked_at() -> None:
    sessions = table(1, ring=32)
    send(sessions, 100)
    assert of_window(sessions, 40, 100).seq.tolist() == list(range(68, 100))


def test_a_reply_undoes_what_icmp_said_and_a_failed_send() -> None:
    sessions = table(1)
    play(sessions, [[UNREACHABLE, REFUSED, FAILED, FORWARD]])
    take(sessions, Reply(0, 0, number=0), Reply(0, 1, number=1), Reply(0, 2, number=2))
    assert named(of_window(sessions, 0, 4)) == [REPLIED] * 3 + ["?"]


def test_a_stateless_far_end_tells_no_direction() -> None:
    sessions = table(1)
    play(sessions, [[REPLIED, FORWARD, UNREACHABLE, REPLIED]])
    assert named(of_window(sessions, 0, 4, stateful=False)) == [REPLIED, "?", UNREACHABLE, REPLIED]


@pytest.mark.parametrize(("over_ns", "late"), [(0, False), (1, True)])
def test_late_is_after_the_timeout(over_ns: int, late: bool) -> None:
    sessions = table(1)
    send(sessions, 1)
    take(sessions, Reply(0, 0, out_ns=0, dwell_ns=0, back_ns=TIMEOUT + over_ns))
    assert of_window(sessions, 0, 1).late.tolist() == [late]


def test_sessions_may_be_chosen_in_any_order_and_keep_their_own_fates() -> None:
    sessions = table(3)
    each = [[REPLIED, FORWARD, REPLIED], [REPLIED, BACKWARD, REPLIED], [REPLIED, FAILED, REPLIED]]
    play(sessions, each)
    fates = gather(sessions, np.zeros(3, np.int64), np.full(3, 3), np.ones(3, np.bool_), np.array([2, 0, 1]))
    assert fates.session.tolist() == [2] * 3 + [0] * 3 + [1] * 3
    assert named(fates) == each[2] + each[0] + each[1]


def test_reordering_is_seen_across_the_start_of_the_window() -> None:
    sessions = table(1)
    send(sessions, 4)
    take(sessions, Reply(0, 1, number=1), Reply(0, 2, number=2), Reply(0, 3, number=3))
    take(sessions, Reply(0, 0, number=0, back_ns=50 * MS))
    fates = of_window(sessions, 0, 1)
    assert fates.extent[fates.inside].tolist() == [3]


def test_the_transmit_stamp_decides_what_is_late() -> None:
    sessions = table(1)
    send(sessions, 1)
    sessions.stamped(np.array([0]), np.array([0]), np.array([T0 + MS]))
    take(sessions, Reply(0, 0, out_ns=0, dwell_ns=0, back_ns=TIMEOUT + MS))
    fates = of_window(sessions, 0, 1)
    assert (fates.late.tolist(), fates.t1_ns.tolist(), fates.kernel_t1.tolist()) == (
        [False], [T0 + MS], [True],
    )  # fmt: skip


def counted(sessions: Sessions, first: int, end: int, stateful: bool = True) -> list[list[int]]:
    n = len(sessions)
    told = duplicates(
        sessions, np.full(n, first), np.full(n, end), np.zeros(n, np.int64), np.full(n, stateful), 2
    )
    return [told[name].tolist() for name in ("duplicate", "duplicate_forward", "duplicate_backward")]


def test_duplicates_have_a_direction_at_a_stateful_far_end_only() -> None:
    sessions = table(2)
    send(sessions, 4)
    take(sessions, Reply(0, 0, number=0), Reply(0, 0, number=1), Reply(0, 0, number=0), Reply(1, 1, number=0))
    take(sessions, Reply(1, 1, number=0), Reply(0, 3, number=5), Reply(0, 3, number=6))
    assert counted(sessions, 0, 2) == [[3, 0], [1, 0], [2, 0]]
    assert counted(sessions, 2, 4) == [[1, 0], [1, 0], [0, 0]]
    assert counted(sessions, 0, 4, stateful=False) == [[4, 0], [0, 0], [0, 0]]


def test_copies_on_the_way_out_make_no_backward_loss() -> None:
    sessions = table(1)
    send(sessions, 4)
    for seq, number in ((0, 0), (0, 1), (1, 2), (1, 3), (3, 4)):
        take(sessions, Reply(0, seq, number=number))
    assert named(of_window(sessions, 0, 4)) == [REPLIED, REPLIED, FORWARD, REPLIED]
