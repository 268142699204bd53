"""Signals of a window, each on traces with a known truth: what must be told, and what must not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from linkgauge.model import Link, Verdict
from tests.quality.traces import ALONE, BOTH, RTT, TIER, Trace, back
from tests.quality.world import THERE, WINDOW_NS, flow_row, flows, row, spec, throughput

DEAD: dict[str, Any] = {
    "replied": 0, "lost_unattributed": 100, "unanswered": 100, "unanswered_s": 10.0, "heard": 0.0
}  # fmt: skip
HALF_DEAD: dict[str, Any] = {
    "replied": 50, "lost_unattributed": 50, "unanswered": 50, "unanswered_s": 5.0, "heard": 100.0
}  # fmt: skip


def one(**columns: Any) -> dict[str, Any]:
    """STATE of a link alone after one window."""
    return Trace().then(row(**columns))[0]


def test_a_healthy_link_is_answered() -> None:
    assert one(unanswered_s=0.0)["unanswered_s"] == 0
    assert one(unanswered=9, unanswered_s=0.9, replied=91)["unanswered_s"] == 0


def test_a_link_that_died_in_the_middle_of_the_window_is_told_at_once() -> None:
    assert one(**HALF_DEAD)["unanswered_s"] == 5.0


@pytest.mark.parametrize("columns", [{"unfit": 4}, {"sent": 0, "replied": 0, "lost_unattributed": 0}])
def test_what_no_fit_agent_measured_is_unknown(columns: dict[str, Any]) -> None:
    told = one(**{**DEAD, **columns, "pdv_us": 9e9, "marks": 100, "ce_forward": 100, "remarked_forward": 100})
    for name in ("unanswered_s", "pdv_us", "ce_forward_excess_ratio", "remarked_forward_ratio"):
        assert math.isnan(told[name]), name
    assert (told["good"], told["bad"]) == (0, 0)


def test_a_slow_link_is_told_when_ten_packets_had_no_answer() -> None:
    trace = Trace()
    slow: dict[str, Any] = {
        "sent": 4,
        "replied": 0,
        "lost_unattributed": 4,
        "unanswered": 4,
        "unanswered_s": 10.0,
    }
    begins: dict[str, Any] = {
        **slow,
        "replied": 3,
        "lost_unattributed": 1,
        "unanswered": 1,
        "unanswered_s": 2.0,
    }
    told = [trace.then(row(**each))[0]["unanswered_s"] for each in (begins, slow, slow, slow)]
    assert told == [0, 0, 0, 32.0]
    assert trace.then(row(sent=4, replied=4))[0]["unanswered_s"] == 0
    assert trace.then(row(**slow))[0]["unanswered_s"] == 0


def test_a_tail_goes_on_in_the_next_window() -> None:
    trace = Trace()
    assert [trace.then(row(**each))[0]["unanswered_s"] for each in (HALF_DEAD, DEAD)] == [5.0, 15.0]
    assert trace.judged(0)[0]["unanswered_s"] == 5.0


def test_after_a_restart_the_windows_before_are_looked_at() -> None:
    trace = Trace()
    slow: dict[str, Any] = {
        "sent": 4,
        "replied": 0,
        "lost_unattributed": 4,
        "unanswered": 4,
        "unanswered_s": 10.0,
    }
    for _ in range(2):
        trace.window += 1
        trace.absorb([row(**slow) | {"start_ns": trace.start_ns}])
    assert trace.then(row(**slow))[0]["unanswered_s"] == 30.0


def test_a_direction_that_is_dead_is_told_in_its_own_direction_only() -> None:
    """Replies and probes from b to a are gone; b hears all that a sends."""
    trace = Trace(BOTH)
    for _ in range(2):
        there, reverse = trace.then(row(**DEAD), back(**{**DEAD, "heard": 100.0}))
    assert there["unanswered_s"] == 0
    assert reverse["unanswered_s"] == 20.0
    assert not there["loss_forward_excess_ratio"] > 0
    assert reverse["loss_forward_excess_ratio"] > 0.9
    assert (there["verdict_loss"], reverse["verdict_loss"]) == (Verdict.UNKNOWN, Verdict.MISSED)
    assert (there["bad"], reverse["bad"]) == (0, 1)
    assert (there["availability_ratio"], reverse["availability_ratio"]) == (1.0, 0.0)


@pytest.mark.parametrize(("heard_of_there", "told"), [(100.0, False), (50.0, True), (math.nan, True)])
def test_the_window_in_which_a_direction_dies_is_told_by_what_was_heard(
    heard_of_there: float, told: bool
) -> None:
    """The far end's count covers the whole window: what was answered before does not make the end well."""
    there, _ = Trace(BOTH).then(row(**HALF_DEAD), back(**{**HALF_DEAD, "heard": heard_of_there}))
    assert (there["unanswered_s"] == 5.0) == told
    assert math.isnan(there["unanswered_s"]) != told
    assert (there["loss_forward_excess_ratio"] > 0) == told


@pytest.mark.parametrize(("heard", "well"), [(100.0, True), (70.0, False), (math.nan, False)])
def test_a_flow_of_which_no_reply_comes_back_is_told_in_the_direction_that_lost_it(
    heard: float, well: bool
) -> None:
    """Three flows of ten: their loss has no direction, but the far end heard them, or did not."""
    trace = Trace(BOTH)
    lossy = row(replied=70, lost_unattributed=30)
    by_flow = [flow_row(at, lost_unattributed=100 * (at < 3)) for at in range(10)]
    trace.ledger.absorb([], [flows(by_flow)], BOTH)
    told = trace.then(lossy, back(heard=heard))[0]
    assert (told["loss_forward_excess_ratio"] > 0) != well
    assert told["flows_bad"] == (0 if well else 3)
    assert told["unanswered_s"] == 0
    for _ in range(2):  # and later, while its flows are still compared
        assert trace.then(row(), back())[0]["flows_bad"] == (0 if well else 3)


@pytest.mark.parametrize(("heard", "well"), [(200.0, True), (150.0, True), (100.0, False)])
def test_what_is_heard_of_all_classes_must_cover_the_one_that_is_judged(heard: float, well: bool) -> None:
    there, _ = Trace(BOTH, classes=2).then(row(**DEAD), back(heard=heard))
    assert there["unanswered_s"] == (0 if well else 10)


def test_it_does_not_matter_in_which_order_both_ends_report() -> None:
    trace = Trace(BOTH)
    trace.then(row(**DEAD))
    trace.absorb([back(**{**DEAD, "heard": 100.0})])
    there = trace.judged()[0]
    assert there["unanswered_s"] == 0
    assert not there["loss_forward_excess_ratio"] > 0
    trace.absorb([row(**DEAD, revision=1)])
    assert trace.judged()[0]["loss_forward_excess_ratio"] == pytest.approx(
        there["loss_forward_excess_ratio"], nan_ok=True
    )


def test_both_directions_dead_are_told_on_both() -> None:
    there, reverse = Trace(BOTH).then(row(**DEAD), back(**DEAD))
    assert (there["unanswered_s"], reverse["unanswered_s"]) == (10.0, 10.0)


def test_a_dead_node_is_told_by_the_others() -> None:
    assert Trace(BOTH).then(row(**DEAD))[0]["unanswered_s"] == 10.0


def test_a_far_end_whose_report_is_late_is_not_blamed_until_it_came() -> None:
    """The way from a to b dies, and a reports late."""
    trace = Trace(BOTH)
    trace.then(row(), back())
    told = [trace.then(back(**DEAD))[1]["unanswered_s"]]
    told += [each["unanswered_s"] for each in trace.then(row(**{**DEAD, "heard": 100.0}), back(**DEAD))]
    assert math.isnan(told[0])
    assert told[1:] == [10.0, 0.0]
    trace.absorb([row(**{**DEAD, "heard": 100.0}, window=-1)])
    assert [each["unanswered_s"] for each in trace.judged(1)] == [10.0, 0.0]


def test_a_far_end_that_never_tells_is_blamed_with_the_second_window() -> None:
    trace = Trace(BOTH)
    trace.then(row(), back())
    told = [trace.then(back(**DEAD))[1]["unanswered_s"] for _ in range(3)]
    assert math.isnan(told[0])
    assert told[1:] == [20.0, 30.0]


def test_who_was_silent_before_is_silent_though_its_report_is_late() -> None:
    trace = Trace(BOTH)
    trace.then(row(), back())
    trace.then(row(**DEAD), back(**DEAD))
    assert trace.then(back(**DEAD))[1]["unanswered_s"] == 20.0


@pytest.mark.parametrize(("other", "late"), [(DEAD, False), ({}, True)])
def test_a_node_that_answers_nobody_needs_no_report_to_be_blamed(other: dict[str, Any], late: bool) -> None:
    """b and c measure a, whose report is not there; either nobody is answered, or c is."""
    ways = [spec(Link(src, dst, "net"), mirrored=True) for src, dst in ("ab", "ba", "ac", "ca")]
    trace = Trace(ways)
    trace.then(*(row(link=str(each.link)) for each in ways))
    told = trace.then(back(**DEAD), row(link="c>a@net", **other))
    assert math.isnan(told[1]["unanswered_s"]) == late
    assert told[3]["unanswered_s"] == (0.0 if late else 10.0)


def test_a_far_end_that_was_not_fit_is_not_dead() -> None:
    there, _ = Trace(BOTH).then(row(**DEAD), back(unfit=16))
    assert math.isnan(there["unanswered_s"])
    assert there["bad"] == 0


def test_variation_against_the_tier() -> None:
    told = one(pdv_us=2_500.0)
    assert told["pdv_us"] == pytest.approx(2_500, rel=0.01)
    assert told["pdv_excess_us"] == told["pdv_us"] - TIER.pdv_us


@pytest.mark.parametrize("columns", [{"replied": 58}, {"under_test": 1}, {"pdv_us": math.nan}])
def test_variation_of_few_packets_or_of_full_queues_of_our_own_is_unknown(columns: dict[str, Any]) -> None:
    told = one(**{"pdv_us": 90_000.0, **columns})
    assert math.isnan(told["pdv_us"])
    assert math.isnan(told["pdv_excess_us"])


def test_marks_are_told_beyond_chance() -> None:
    few, many = (one(marks=100, ce_forward=marked) for marked in (3, 20))
    assert (few["ce_forward_ratio"], many["ce_forward_ratio"]) == (0.03, 0.2)
    assert few["ce_forward_excess_ratio"] < 0 < many["ce_forward_excess_ratio"]
    none = one(marks=100)
    assert none["ce_forward_ratio"] == 0
    assert math.isnan(none["ce_forward_excess_ratio"])
    assert math.isnan(one(ce_forward=20)["ce_forward_ratio"])
    assert math.isnan(one(marks=100, ce_forward=20, under_test=1)["ce_forward_excess_ratio"])


def test_marks_of_replies_are_told_once() -> None:
    marked = row(ce_backward=50, remarked_backward=50)
    alone, there = Trace(ALONE).then(marked)[0], Trace(BOTH).then(marked, back(marks=100, ce_forward=50))
    assert alone["ce_backward_excess_ratio"] > 0.3
    assert alone["remarked_backward_ratio"] == 0.5
    assert math.isnan(there[0]["ce_backward_excess_ratio"])
    assert math.isnan(there[0]["remarked_backward_ratio"])
    assert there[1]["ce_forward_excess_ratio"] > 0.3


def test_remarks_are_absent_where_there_are_none_or_few_packets() -> None:
    assert one(marks=100, remarked_forward=100)["remarked_forward_ratio"] == 1
    assert math.isnan(one(marks=100)["remarked_forward_ratio"])
    assert math.isnan(one(marks=9, remarked_forward=9)["remarked_forward_ratio"])


@pytest.mark.parametrize(
    ("received_bps", "ratio"), [(9e8, 0.0), (4.5e8, 0.5), (9.9e8, -0.1), (math.nan, math.nan)]
)
def test_throughput_below_what_was_promised(received_bps: float, ratio: float) -> None:
    trace = Trace([spec(promised_bps=10**9)], tests=throughput([(THERE, 0, 0, received_bps)]))
    assert trace.then(row())[0]["throughput_shortfall_ratio"] == pytest.approx(ratio, abs=1e-9, nan_ok=True)
    unpromised = Trace([spec()], tests=throughput([(THERE, 0, 0, received_bps)]))
    assert math.isnan(unpromised.then(row())[0]["throughput_shortfall_ratio"])


@pytest.mark.parametrize(
    ("columns", "good", "bad"),
    [
        (RTT, 1, 0),
        ({}, 0, 0),  # delay is not known
        ({**RTT, "lost_forward": 1, "replied": 99}, 1, 0),  # by chance
        ({**RTT, "lost_forward": 10, "replied": 90}, 0, 1),
        ({**RTT, **DEAD}, 0, 1),
        ({"rtt_us": [11_000.0] * 100}, 0, 1),
        ({"rtt_us": [11_000.0] * 5}, 1, 0),  # five samples prove nothing
        ({"rtt_us": [11_000.0] * 100, "under_test": 1}, 0, 0),
        ({**RTT, "refused": 100, "replied": 0}, 0, 0),
    ],
)
def test_good_and_bad_windows(columns: dict[str, Any], good: int, bad: int) -> None:
    told = one(**columns)
    assert (told["good"], told["bad"]) == (good, bad)


def test_an_excused_window_is_neither_good_nor_bad() -> None:
    trace = Trace(BOTH)
    rows = row(**RTT), back(**RTT)
    assert [each["good"] for each in trace.then(*rows)] == [1, 1]
    trace.ledger.excuse(trace.start_ns + WINDOW_NS, np.array([True, False]))
    assert [each["good"] for each in trace.then(*rows)] == [0, 1]
    assert [each["good"] for each in trace.then(*rows)] == [1, 1]


def test_signals_follow_their_links_when_the_inventory_changes() -> None:
    trace = Trace(BOTH)
    trace.then(row(**HALF_DEAD), back(**RTT))
    trace.specs = [BOTH[1]]
    assert math.isnan(trace.judged()[0]["pdv_us"])
    trace.specs = [spec(THERE, tier=TIER), BOTH[1]]
    assert trace.then(row(**DEAD), back(**DEAD))[1]["unanswered_s"] == 10.0


@pytest.mark.parametrize(
    ("tests", "low"),
    [
        ([8e8], math.nan),  # one low test may have met a neighbour's transfer
        ([8e8, 8.1e8], 0.1),
        ([8.1e8, 4.5e8], 0.1),
        ([8.1e8, 9.9e8], -0.1),
        ([9.9e8, 4.5e8], -0.1),
        ([3.6e8], 0.6),  # a neighbour leaves half
        ([3.6e8, 9.9e8], 0.6),
        ([9.9e8], -0.1),
    ],
)
def test_throughput_is_low_in_two_tests_or_in_one_far_below(tests: list[float], low: float) -> None:
    """Tests with the last one first."""
    rows = [(THERE, at, 0, received_bps) for at, received_bps in enumerate(tests)]
    trace = Trace([spec(promised_bps=10**9)], tests=throughput(rows))
    found = trace.then(row())[0]
    assert found["throughput_low_ratio"] == pytest.approx(low, abs=1e-9, nan_ok=True)
    assert found["received_bps"] == tests[0]
