"""How long nothing was answered, over windows, against packets counted one by one."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from quality.signals.signs import LEAST_UNANSWERED
from tests.quality.traces import Trace
from tests.quality.world import row

WINDOW = st.tuples(
    st.sampled_from([0, *range(13)]), st.integers(0, 12), st.sampled_from([True, True, True, False])
)
"""Packets sent one after another over the window, how many of the last had no answer, whether it was fit."""


def _row(sent: int, unanswered: int, fit: bool) -> dict[str, Any]:
    gone = min(sent, unanswered)
    return row(
        sent=sent, replied=sent - gone, lost_unattributed=gone, unanswered=gone,
        unanswered_s=10.0 * gone / max(sent, 1), unfit=0 if fit else 1,
    )  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.lists(WINDOW, min_size=1, max_size=12))
def test_against_a_twin(windows: list[tuple[int, int, bool]]) -> None:
    trace, packets, silent_s = Trace(), 0, 0.0
    for sent, unanswered, fit in windows:
        gone = min(sent, unanswered)
        if sent and (not fit or gone < sent):
            packets, silent_s = 0, 0.0
        if fit:
            packets, silent_s = packets + gone, silent_s + 10.0 * gone / max(sent, 1)
        told = trace.then(_row(sent, unanswered, fit))[0]["unanswered_s"]
        if not fit or not sent:
            assert math.isnan(told)
        elif packets < LEAST_UNANSWERED:
            assert told == 0
        else:
            assert abs(told - silent_s) < 0.02


def test_a_dead_link_with_few_packets_is_told_of_too() -> None:
    trace, told = Trace(), []
    for at in range(40):
        told.append(trace.then(*([] if at % 3 else [_row(1, 1, True)]))[0]["unanswered_s"])
    assert [told[at] for at in range(0, 27, 3)] == [0] * 9
    assert [told[at] for at in (27, 39)] == [100, 140]
    assert all(math.isnan(told[at]) for at in range(40) if at % 3)
