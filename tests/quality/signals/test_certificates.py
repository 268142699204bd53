"""Until when certificates are valid."""

from __future__ import annotations

import math

import pytest

from tests.quality.traces import BOTH, Trace, certificate
from tests.quality.world import row


def test_seconds_until_it_expires_count_down() -> None:
    trace = Trace(BOTH)
    first = trace.then(row(), certificates=[certificate(0, 14.0)])[0]["certificate_left_s"]
    assert first == 14 * 86_400 - 10
    assert trace.then(row())[0]["certificate_left_s"] == first - 10
    assert math.isnan(trace.judged()[1]["certificate_left_s"])


def test_one_that_has_expired_is_below_zero() -> None:
    assert Trace().then(row(), certificates=[certificate(0, -1.0)])[0]["certificate_left_s"] < -86_400


def test_a_new_one_takes_its_place_and_rows_that_come_late_do_not() -> None:
    trace = Trace()
    trace.then(row(), certificates=[certificate(0, 1.0)])
    told = trace.then(row(), certificates=[certificate(1, 90.0), certificate(-5, 1.0)])[0]
    assert told["certificate_left_s"] == 90 * 86_400 - 10


def test_agents_that_reckon_with_clocks_of_their_own_tell_the_same_end() -> None:
    trace = Trace()
    first = trace.then(row(), certificates=[certificate(0, 30.0)])[0]
    trace.absorb(certificates=[certificate(0, 30.001)])
    assert trace.judged()[0]["certificate_left_s"] == first["certificate_left_s"]


@pytest.mark.parametrize(("presented", "days_left"), [(0, math.nan), (1, math.nan), (0, 3.0)])
def test_where_none_was_shown_nothing_is_known(presented: int, days_left: float) -> None:
    trace = Trace()
    trace.then(row(), certificates=[certificate(0, 5.0)])
    told = trace.then(row(), certificates=[certificate(1, days_left, presented)])[0]
    assert math.isnan(told["certificate_left_s"])


def test_what_was_not_seen_for_a_day_is_not_known() -> None:
    trace = Trace()
    trace.then(row(), certificates=[certificate(0, 5.0)])
    assert math.isnan(trace.judged(8_641)[0]["certificate_left_s"])
