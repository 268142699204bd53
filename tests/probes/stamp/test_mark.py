"""Remarked, bleached, congested: what the marks of replies tell each way, against a scalar twin."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from probes.stamp import mark
from probes.stamp.fate import gather
from probes.stamp.mark import most_frequent
from probes.stamp.sessions import Sessions
from tests.probes.stamp.table import Reply, send, table, take

EF, AF = 46, 10
NAMES = (
    "marks", "remarked_forward", "bleached_forward", "ce_forward", "remarked_backward", "bleached_backward",
    "ce_backward",
)  # fmt: skip


def told(sessions: Sessions, sent: list[int], groups: int = 1) -> dict[str, Any]:
    n = len(sessions)
    fates = gather(sessions, np.zeros(n, np.int64), sessions.next_seq, np.ones(n, np.bool_), np.arange(n))
    group = fates.session if groups > 1 else np.zeros(len(fates.session), np.int64)
    return mark.columns(fates, group, np.array(sent), groups)


def counts(*replies: Reply, sent: int = EF) -> dict[str, int]:
    """Counts of one group that are not 0."""
    sessions = table(1)
    send(sessions, len(replies))
    take(sessions, *replies)
    made = told(sessions, [sent])
    return {name: int(made[name][0]) for name in NAMES if made[name][0]}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(0, 0, told=(EF, 2), tos=EF << 2 | 2), {}),
        (Reply(0, 0, told=(0, 2), tos=EF << 2 | 2), {"remarked_forward": 1}),
        (Reply(0, 0, told=(EF, 0), tos=EF << 2), {"bleached_forward": 1}),
        (Reply(0, 0, told=(EF, 3), tos=EF << 2 | 2), {"ce_forward": 1}),
        (Reply(0, 0, told=(EF, 2), tos=2), {"remarked_backward": 1}),
        (Reply(0, 0, told=(EF, 2), tos=EF << 2), {"bleached_backward": 1}),
        (Reply(0, 0, told=(EF, 2), tos=EF << 2 | 3), {"ce_backward": 1}),
        # not sent in the class asked for, but in that in which the packet came
        (Reply(0, 0, told=(AF, 2), rp=1, tos=AF << 2 | 2), {"remarked_forward": 1}),
        (Reply(0, 0, told=(AF, 2), rp=1, tos=2), {"remarked_forward": 1, "remarked_backward": 1}),
    ],
)
def test_each_mark(reply: Reply, expected: dict[str, int]) -> None:
    assert counts(reply) == {"marks": 1, **expected}


def test_a_far_end_that_tells_no_marks_is_not_accused() -> None:
    assert counts(Reply(0, 0, told=None, tos=0)) == {}


@given(
    st.lists(
        st.tuples(
            st.none() | st.tuples(st.sampled_from([0, AF, EF]), st.integers(0, 3)),
            st.sampled_from([0, AF << 2, EF << 2]),
            st.integers(0, 3),
        ),
        max_size=20,
    )
)
def test_counts_equal_the_scalar_twin(came: list[tuple[tuple[int, int] | None, int, int]]) -> None:
    expected: Counter[str] = Counter()
    for out, dscp_tos, ecn in came:
        if out is None:
            continue
        expected["marks"] += 1
        expected["remarked_forward"] += out[0] != EF
        expected["bleached_forward"] += out[1] == 0
        expected["ce_forward"] += out[1] == 3
        expected["remarked_backward"] += dscp_tos >> 2 != EF
        expected["bleached_backward"] += out[1] != 0 and ecn == 0
        expected["ce_backward"] += ecn == 3
    replies = [Reply(0, seq, told=out, tos=dscp_tos | ecn) for seq, (out, dscp_tos, ecn) in enumerate(came)]
    assert counts(*replies) == {name: count for name, count in expected.items() if count}


def test_hop_limits_become_hops_and_255_is_unknown() -> None:
    sessions = table(2)
    send(sessions, 3)
    take(
        sessions, Reply(0, 0, ttl_out=250, ttl=247), Reply(0, 1, ttl_out=250, ttl=247),
        Reply(0, 2, ttl_out=200, ttl=1), Reply(1, 0, ttl_out=255, ttl=255),
    )  # fmt: skip
    made = told(sessions, [0, 0], groups=2)
    assert made["hops_forward"].tolist() == pytest.approx([5, np.nan], nan_ok=True)
    assert made["hops_backward"].tolist() == pytest.approx([8, np.nan], nan_ok=True)


def test_the_most_frequent_class_of_each_group() -> None:
    sessions = table(2)
    send(sessions, 3)
    take(
        sessions, Reply(0, 0, told=(EF, 2), tos=EF << 2), Reply(0, 1, told=(EF, 2), tos=0),
        Reply(0, 2, told=(0, 2), tos=0), Reply(1, 0, told=None, tos=AF << 2),
    )  # fmt: skip
    made = told(sessions, [EF, AF], groups=2)
    assert made["dscp_forward"].tolist() == pytest.approx([EF, np.nan], nan_ok=True)
    assert made["dscp_backward"].tolist() == [0, AF]


def test_packets_without_reply_count_nowhere() -> None:
    sessions = table(1)
    send(sessions, 2)
    take(sessions, Reply(0, 1, told=(EF, 2), tos=EF << 2 | 2))
    assert told(sessions, [EF])["marks"].tolist() == [1]
    assert [told(table(1), [EF])[name].tolist() for name in NAMES] == [[0]] * len(NAMES)


@given(st.lists(st.tuples(st.integers(-1, 255), st.integers(0, 3)), max_size=60))
def test_most_frequent_equals_a_counter(pairs: list[tuple[int, int]]) -> None:
    values: NDArray[np.int64] = np.array([value for value, _ in pairs], np.int64)
    made = most_frequent(values, np.array([group for _, group in pairs], np.int64), 4)
    for group in range(4):
        seen = Counter(value for value, at in pairs if at == group and value >= 0)
        if not seen:
            assert np.isnan(made[group])
        else:
            assert seen[int(made[group])] == max(seen.values())
