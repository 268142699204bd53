"""Direction of loss, against a slow scalar twin that knows what happened to each packet."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from probes.stamp.direction import Direction, attribute

OK, FORWARD, BACKWARD = "ok", "forward", "backward"


@dataclass
class Run:
    """What a session looks like from the sender, with the truth beside it."""

    lost: list[bool]
    number: list[int]
    truth: list[str]
    copies: list[tuple[int, int, int]]


def reflected(fates: list[str], first_number: int = 0, swap: frozenset[int] = frozenset()) -> Run:
    """Play a stateful reflector: packets that reach it are numbered in order of arrival.

    swap: positions i whose packet reaches the reflector after packet i + 1.
    """
    order = list(range(len(fates)))
    for i in sorted(swap):
        if i + 1 < len(order):
            order[i], order[i + 1] = order[i + 1], order[i]
    number, given_number = first_number, [0] * len(fates)
    for i in order:
        if fates[i] != FORWARD:
            given_number[i] = number % 2**32
            number += 1
    return Run([f != OK for f in fates], given_number, fates, [])


def judge(run: Run) -> NDArray[np.int8]:
    n = len(run.lost)
    copies = np.array(run.copies, np.int64).reshape(-1, 3)
    return attribute(
        np.zeros(n, np.int64), np.arange(n), np.array(run.lost, bool), np.array(run.number, np.int64), copies
    )


def counts(direction: NDArray[np.int8]) -> tuple[int, int, int]:
    told = [Direction.FORWARD, Direction.BACKWARD, Direction.UNATTRIBUTED]
    return tuple(int((direction == d).sum()) for d in told)  # type: ignore[return-value]  # three of them


def inner(fates: list[str]) -> list[str]:
    """The fates between the first and the last reply: those whose direction can be known."""
    ok = [i for i, f in enumerate(fates) if f == OK]
    return fates[ok[0] : ok[-1] + 1] if ok else []


fates = st.lists(st.sampled_from([OK, OK, OK, FORWARD, BACKWARD]), max_size=60)


@given(fates, st.integers(0, 2**32 - 1))
def test_counts_are_exact_between_replies_even_across_a_wrap(fates: list[str], first: int) -> None:
    forward, backward, unattributed = counts(judge(reflected(fates, first)))
    known = inner(fates)
    assert forward == known.count(FORWARD)
    assert backward == known.count(BACKWARD)
    assert unattributed == len(fates) - fates.count(OK) - forward - backward


@given(fates)
def test_a_packet_is_named_wherever_the_gap_has_one_kind_of_loss(fates: list[str]) -> None:
    direction = judge(reflected(fates))
    start = 0
    for end in [i for i, f in enumerate(fates) if f == OK]:
        gap = set(fates[start:end])
        if start and len(gap) == 1:
            want = Direction.FORWARD if gap == {FORWARD} else Direction.BACKWARD
            assert (direction[start:end] == want).all()
        start = end + 1


@given(st.sets(st.integers(0, 38)), st.integers(0, 2**32 - 1))
def test_reordering_without_loss_is_no_loss(swaps: set[int], first: int) -> None:
    apart = frozenset(i for i in swaps if i - 1 not in swaps)
    assert counts(judge(reflected([OK] * 40, first, apart))) == (0, 0, 0)


@given(fates, st.data())
def test_copies_made_on_the_way_out_are_not_backward_loss(fates: list[str], data: st.DataObject) -> None:
    copied = [i for i, f in enumerate(fates) if f == OK and data.draw(st.booleans())]
    run, number = Run([f != OK for f in fates], [0] * len(fates), fates, []), 0
    for i, fate in enumerate(fates):
        if fate == FORWARD:
            continue
        run.number[i] = number
        number += 1
        if i in copied:
            run.copies.append((0, i, number))
            number += 1
    forward, backward, _ = counts(judge(run))
    assert (forward, backward) == (inner(fates).count(FORWARD), inner(fates).count(BACKWARD))


def test_a_restarted_reflector_ends_the_stretch() -> None:
    number = [500, 501, 0, 0, 0, 1]  # the third was lost while the reflector came up
    lost = [False, False, True, True, False, False]
    direction = attribute(np.zeros(6, np.int64), np.arange(6), np.array(lost), np.array(number))
    assert direction.tolist() == [0, 0, Direction.UNATTRIBUTED, Direction.UNATTRIBUTED, 0, 0]


def test_silence_has_no_direction() -> None:
    direction = attribute(np.zeros(4, np.int64), np.arange(4), np.ones(4, bool), np.zeros(4, np.int64))
    assert (direction == Direction.UNATTRIBUTED).all()


def test_sessions_do_not_mix() -> None:
    session = np.repeat(np.arange(2), 5)
    seq = np.tile(np.arange(5), 2)
    lost = np.array([0, 1, 0, 0, 0, 0, 1, 0, 0, 0], bool)
    number = np.array([0, 0, 1, 2, 3, 7, 0, 9, 10, 11])
    direction = attribute(session, seq, lost, number)
    assert direction.tolist() == [0, 1, 0, 0, 0, 0, 2, 0, 0, 0]


@given(st.integers(0, 10**6), st.sampled_from([0.01, 0.05, 0.2]))
def test_backward_loss_is_not_told_as_forward_when_packets_overtake(seed: int, overtaking: float) -> None:
    chance = random.Random(seed)
    fates = [BACKWARD if chance.random() < 0.2 else OK for _ in range(300)]
    apart: set[int] = set()
    for i in range(299):
        if i - 1 not in apart and chance.random() < overtaking:
            apart.add(i)
    forward, backward, unattributed = counts(judge(reflected(fates, 0, frozenset(apart))))
    assert forward + backward + unattributed == fates.count(BACKWARD)
    assert forward <= 2  # at either end a number may be that of a packet beyond it


@given(fates, st.sets(st.integers(0, 59)), st.data())
def test_every_loss_has_one_direction_and_no_more_is_told_than_can_be(
    fates: list[str], swaps: set[int], data: st.DataObject
) -> None:
    apart = frozenset(i for i in swaps if i - 1 not in swaps)
    run = reflected(fates, data.draw(st.integers(0, 2**32 - 1)), apart)
    direction = judge(run)
    assert ((direction == Direction.NONE) == ~np.array(run.lost, bool)).all()
    forward, backward, unattributed = counts(direction)
    assert forward + backward + unattributed == sum(run.lost)
    numbers = [number for number, lost in zip(run.number, run.lost, strict=True) if not lost]
    if numbers:
        away = [(number - numbers[0] + 2**31) % 2**32 - 2**31 for number in numbers]
        assert backward <= max(away) - min(away) + 1 - len(numbers), "more than there are missing numbers"


def test_neighbouring_sessions_do_not_see_each_others_copies() -> None:
    session, seq = np.repeat([3, 4], 3), np.tile(np.arange(3), 2)
    lost = np.array([0, 1, 0, 0, 1, 0], bool)
    number = np.array([0, 0, 2, 0, 0, 2])
    copies = np.array([[3, 0, 1]])  # the missing number of session 3 was a copy's
    direction = attribute(session, seq, lost, number, copies)
    assert direction.tolist() == [0, Direction.FORWARD, 0, 0, Direction.BACKWARD, 0]


def test_copies_of_packets_that_are_not_looked_at_are_left_out() -> None:
    lost = np.array([0, 1, 0], bool)
    copies = np.array([[0, 900, 7], [5, 1, 1], [0, 1, 1]])
    direction = attribute(np.zeros(3, np.int64), np.arange(3), lost, np.array([0, 0, 1]), copies)
    assert direction.tolist() == [0, Direction.FORWARD, 0]


def test_nothing_was_sent() -> None:
    none = np.empty(0, np.int64)
    assert attribute(none, none, np.empty(0, bool), none).tolist() == []
