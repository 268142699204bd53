"""Reordering by RFC 4737 against a scalar twin, packet by packet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.stamp.order import reordered

Came = dict[tuple[int, int], int]
"""Arrival of each (session, number)."""


def told(came: Came) -> dict[tuple[int, int], int]:
    keys = sorted(came)
    session, seq = np.array(keys, np.int64).reshape(-1, 2).T
    row, extent = reordered(session, seq, np.array([came[key] for key in keys], np.int64))
    return {keys[at]: int(e) for at, e in zip(row.tolist(), extent.tolist(), strict=True)}


def slow(came: Came) -> dict[tuple[int, int], int]:
    """RFC 4737 section 3.3 (NextExp) and section 4.2.2 (extent = i - j, j the first with a higher number)."""
    extents: dict[tuple[int, int], int] = {}
    for session in {key[0] for key in came}:
        stream = [seq for _, seq in sorted((at, key[1]) for key, at in came.items() if key[0] == session)]
        next_expected = 0
        for i, seq in enumerate(stream):
            if seq >= next_expected:
                next_expected = seq + 1
            else:
                j = next(j for j in range(i) if stream[j] > seq)
                extents[session, seq] = i - j
    return extents


@given(st.data())
def test_equals_the_scalar_twin(data: st.DataObject) -> None:
    keys = data.draw(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 15)), max_size=40))
    arrivals = data.draw(st.permutations(range(len(keys))))
    came = dict(zip(sorted(keys), arrivals, strict=True))
    assert told(came) == slow(came)


@given(st.data())
def test_slight_reordering_of_long_streams_equals_the_scalar_twin(data: st.DataObject) -> None:
    moved = data.draw(st.dictionaries(st.integers(0, 199), st.integers(1, 20), max_size=12))
    came = {
        (session, seq): 10 * seq + 10 * moved.get(seq, 0) for session in (5, 60_000) for seq in range(200)
    }
    came = {key: 1000 * at - key[1] for key, at in came.items()}  # no two at once
    assert told(came) == slow(came)


@pytest.mark.parametrize(
    ("stream", "extents"),
    [
        ([0, 1, 2, 3], {}),
        ([0, 2, 1, 3], {1: 1}),
        ([1, 2, 3, 0], {0: 3}),
        ([3, 2, 1, 0], {2: 1, 1: 2, 0: 3}),
        ([0, 1, 6, 2, 7, 3], {2: 1, 3: 3}),
        ([0, 5, 9], {}),  # loss is no reordering
    ],
)
def test_streams_by_hand(stream: list[int], extents: dict[int, int]) -> None:
    came = {(0, seq): at for at, seq in enumerate(stream)}
    assert told(came) == {(0, seq): extent for seq, extent in extents.items()}


def test_replies_at_the_same_moment_are_in_order() -> None:
    assert told({(0, 0): 7, (0, 1): 7, (0, 2): 7}) == {}


def test_large_numbers_of_many_sessions_do_not_mix() -> None:
    came = {(session, 2**39 + seq): -seq for session in (0, 59_999) for seq in range(3)}
    assert told(came) == slow(came)
    assert told({(0, 5): 9, (1, 0): 1}) == {}


def test_nothing() -> None:
    assert told({}) == {}
