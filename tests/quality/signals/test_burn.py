"""Error budgets: spans, few windows, windows judged again, restarts; counts against a slow twin."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkgauge.clock import NS_PER_S
from linkgauge.errors import StoreError
from linkgauge.frame import Frame
from linkgauge.packing import pack
from linkgauge.schema import STATE
from quality.ledger import Ledger
from quality.signals.burn import BUDGET_NS, FAST_NS, HOUR_NS, LEAST, SLOT_NS, SLOW_NS, Burn
from quality.statistics.confidence import VERDICT_CONFIDENCE, lower
from tests.quality.traces import BOTH, RTT, Trace, back
from tests.quality.world import BACK, START_NS, THERE, WINDOW_NS, row

MINUTE_NS = 60 * NS_PER_S
BEGIN_NS = 500_000 * HOUR_NS
"""The start of a slot and of an hour."""
ONE = np.arange(1)


def burnt(
    bad: Sequence[int], good_ratio: float = 0.99, window_ns: int = MINUTE_NS
) -> tuple[float, float, float]:
    """Burn of one link after these windows, 1 = bad, -1 = neither."""
    made = Burn(window_ns, 10 * window_ns)
    for at, each in enumerate(bad):
        made.count(BEGIN_NS + at * window_ns, ONE, np.array([each == 0]), np.array([each == 1]), 1)
    told = made.at(BEGIN_NS + (len(bad) - 1) * window_ns, np.array([good_ratio]))
    return float(told.fast_ratio[0]), float(told.slow_ratio[0]), float(told.budget_left_ratio[0])


def test_a_healthy_link_burns_nothing() -> None:
    assert burnt([0] * 360) == (0, 0, 1)


def test_an_outage_burns_fast_and_then_slowly() -> None:
    fast, slow, left = burnt([0] * 330 + [1] * 30)
    assert fast > 14.4
    assert slow > 6 * 0.9
    assert left == pytest.approx(1 - 30 / (0.01 * 4_320))
    ten = 10 * NS_PER_S
    fast, slow, _ = burnt([0] * 2_100 + [1] * 75, window_ns=ten)
    assert fast > 14.4 > slow
    assert (
        burnt([0] * 2_100 + [1] * 75 + [0] * 60, window_ns=ten)[0] == 0
    )  # it has ended: the short span says so


@pytest.mark.parametrize(("bad", "fires"), [(1, False), (3, True)])
def test_one_bad_window_is_no_proof_however_small_the_budget(bad: int, fires: bool) -> None:
    fast, _, _ = burnt([0] * 355 + [1] * bad + [0] * 2, 0.9999, 10 * NS_PER_S)
    assert (fast > 14.4) == fires
    assert fast > 0


def test_few_windows_tell_nothing() -> None:
    ten = 10 * NS_PER_S
    assert math.isnan(burnt([1] * (LEAST - 1), window_ns=ten)[0])
    assert math.isnan(burnt([1] * 179, window_ns=ten)[0])
    assert burnt([1] * 180, window_ns=ten)[0] > 90
    assert math.isnan(burnt([1] * 180, window_ns=ten)[1])
    assert math.isnan(burnt([-1] * 360, window_ns=ten)[0])
    assert math.isnan(burnt([-1] * 360, window_ns=ten)[2])


WINDOWS = st.lists(st.sampled_from([0, 0, 0, 0, 1, -1]), min_size=1, max_size=500)


@settings(max_examples=30, deadline=None)
@given(WINDOWS, st.integers(0, 40), st.sampled_from([0.9, 0.999]))
def test_counts_against_a_twin(kinds: list[int], offset: int, good_ratio: float) -> None:
    begin_ns = BEGIN_NS + offset * MINUTE_NS
    made = Burn(MINUTE_NS, 10 * MINUTE_NS)
    for at, each in enumerate(kinds):
        made.count(begin_ns + at * MINUTE_NS, ONE, np.array([each == 0]), np.array([each == 1]), 1)
    now_ns = begin_ns + (len(kinds) - 1) * MINUTE_NS
    told = made.at(now_ns, np.array([good_ratio]))

    def counted(span_ns: int, slot_ns: int) -> tuple[int, int]:
        first_ns = now_ns + MINUTE_NS - span_ns
        first_ns -= first_ns % slot_ns
        inside = [each for at, each in enumerate(kinds) if begin_ns + at * MINUTE_NS >= first_ns]
        return inside.count(1), inside.count(0) + inside.count(1)

    def ratio(span_ns: int, surely: bool) -> float:
        bad, judged = counted(span_ns, SLOT_NS)
        if judged < max(LEAST if surely else 1, span_ns / MINUTE_NS / 2):
            return math.nan
        return (
            float(lower(np.array([bad]), np.array([judged]), VERDICT_CONFIDENCE)[0])
            if surely
            else bad / judged
        )

    for found, spans in ((told.fast_ratio, FAST_NS), (told.slow_ratio, SLOW_NS)):
        both = [ratio(spans[0], False), ratio(spans[1], True)]
        expected = math.nan if any(map(math.isnan, both)) else min(both) / (1 - good_ratio)
        assert found[0] == pytest.approx(expected, nan_ok=True)
    bad, judged = counted(BUDGET_NS, HOUR_NS)
    left = 1 - bad / ((1 - good_ratio) * 4_320) if judged else math.nan
    assert told.budget_left_ratio[0] == pytest.approx(left, nan_ok=True)


def test_what_is_older_than_the_spans_is_forgotten() -> None:
    made = Burn(HOUR_NS // 2, HOUR_NS)
    for at in range(400):
        made.count(BEGIN_NS + at * HOUR_NS // 2, ONE, np.array([at > 60]), np.array([at <= 60]), 1)
    assert made.at(made.newest_ns, np.array([0.99])).budget_left_ratio[0] == 1
    assert len(made._hours.starts) <= 75
    assert len(made._slots.starts) <= 6 * 12 + 13
    assert len(made._windows) <= 3


def test_a_window_judged_again_counts_once_and_keeps_what_was_told() -> None:
    trace = Trace(BOTH)
    for _ in range(12):
        trace.then(row(**RTT), back(**RTT))
    before = trace.judged()[0]["budget_left_ratio"]
    trace.absorb([row(lost_forward=50, replied=50, revision=1) | {"start_ns": START_NS + 11 * WINDOW_NS}])
    again = [trace.judged()[0] for _ in range(3)][-1]
    assert (again["bad"], before, again["budget_left_ratio"]) == (1, 1, 1)
    after = trace.then(row(**RTT), back(**RTT))[0]["budget_left_ratio"]
    assert after == pytest.approx(1 - 1 / (0.01 * 25_920))


def test_a_restart_forgets_nothing() -> None:
    trace = Trace(BOTH)
    for at in range(12):
        lossy = {"lost_forward": 50, "replied": 50} if at == 3 else {}
        trace.then(row(**RTT, **lossy), back(**RTT))
    body, before = trace.ledger.snapshot(), trace.judged()[0]["budget_left_ratio"]
    trace.ledger = Ledger(WINDOW_NS, 90 * WINDOW_NS)
    trace.ledger.restore(body, [BOTH[1], BOTH[0]])
    assert trace.then(row(**RTT), back(**RTT))[0]["budget_left_ratio"] == before < 1
    assert trace.judged(4)[0]["budget_left_ratio"] == before  # counted in the earlier life: not twice


def test_what_an_earlier_life_told_after_the_snapshot_counts() -> None:
    trace = Trace(BOTH)
    trace.then(row(**RTT), back(**RTT))
    body = trace.ledger.snapshot()
    trace.ledger = Ledger(WINDOW_NS, 90 * WINDOW_NS)
    trace.ledger.restore(body, BOTH)
    starts = [START_NS, START_NS, START_NS + WINDOW_NS, START_NS + WINDOW_NS, START_NS]
    links = [*map(str, [THERE, BACK, THERE, BACK]), "x>y@net"]
    told = {"link": links, "start_ns": starts, "good": [0, 0, 0, 1, 0], "bad": [1, 1, 1, 0, 1]}
    trace.absorb(states=[Frame.of(STATE, told)])
    trace.window += 1
    state = trace.then(row(**RTT), back(**RTT))
    assert [each["budget_left_ratio"] for each in state] == [pytest.approx(1 - 1 / (0.01 * 25_920)), 1]


def test_a_clock_that_is_set_back_keeps_the_budget_that_was_used() -> None:
    trace = Trace(BOTH)
    for at in range(12):
        trace.then(row(**RTT, **({"lost_forward": 50, "replied": 50} if at == 3 else {})), back(**RTT))
    before = trace.judged()[0]["budget_left_ratio"]
    trace.ledger.begin_anew()
    trace.window = 5
    assert trace.then(row(**RTT), back(**RTT))[0]["budget_left_ratio"] == before < 1


def test_a_snapshot_of_other_windows_is_refused() -> None:
    body = Ledger(2 * WINDOW_NS, 90 * WINDOW_NS).snapshot()
    with pytest.raises(StoreError, match="windows of 20 s"):
        Ledger(WINDOW_NS, 90 * WINDOW_NS).restore(body, BOTH)


@pytest.mark.parametrize("body", [b"", b"rubbish", pack(b"\x80"), pack(b"\x81\xa7version\x01")])
def test_a_damaged_snapshot_is_refused(body: bytes) -> None:
    with pytest.raises(StoreError, match="error budgets"):
        Ledger(WINDOW_NS, 90 * WINDOW_NS).restore(body, BOTH)
