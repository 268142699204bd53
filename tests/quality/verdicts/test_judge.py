"""The judgement of a window, fact by fact, and its sums against a slow scalar twin."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from linkgauge.model import DEFAULT_TIERS, DelayBasis, Link, LinkSpec, Tier, Verdict
from quality.evidence import gather
from quality.objectives import Objectives
from quality.statistics.confidence import VERDICT_CONFIDENCE
from quality.verdicts.period import assess
from tests.quality.plain import judge
from tests.quality.world import (
    BACK,
    START_NS,
    THERE,
    WINDOW_NS,
    flow_row,
    flows,
    row,
    spec,
    throughput,
    values,
    windows,
)

MET, MISSED, UNKNOWN = Verdict.MET, Verdict.MISSED, Verdict.UNKNOWN


def judged(
    rows: list[dict[str, Any]],
    *specs: LinkSpec,
    done: Any = None,
    by_flow: Sequence[dict[str, Any]] = (),
    judged_class: str = "0",
) -> dict[str, Any]:
    """The first STATE row of the window from START_NS."""
    tests, given_flows = done or throughput([]), flows(by_flow)
    told = judge(windows(rows), tests, given_flows, specs or [spec()], START_NS, WINDOW_NS, judged_class)
    return values(told)


def full_period(**each: Any) -> list[dict[str, Any]]:
    """30 windows of 100 packets of 2 ms: 3 000 packets."""
    return [row(window, rtt_us=[4_000.0] * 100, **each) for window in range(30)]


def test_every_expected_link_has_a_row_measured_or_not() -> None:
    specs = [spec(Link(f"n{at}", "z", "net")) for at in range(3)]
    state = judge(windows([row(link="n1>z@net")]), throughput([]), flows([]), specs, START_NS, WINDOW_NS)
    assert state.text("link").tolist() == ["n0>z@net", "n1>z@net", "n2>z@net"]
    assert state.count("measured").tolist() == [0, 1, 0]
    assert set(state.count("start_ns")) == {START_NS}
    assert set(state.count("length_ns")) == {WINDOW_NS}
    assert state.count("verdict").tolist() == [UNKNOWN] * 3
    assert np.isnan(state.real("loss_forward_excess_ratio")).tolist() == [True, False, True]


def test_nothing_expected_and_nothing_measured() -> None:
    assert judge(windows([]), throughput([]), flows([]), [], START_NS, WINDOW_NS).rows == 0
    assert judged([])["measured"] == 0


def test_forward_loss_with_its_bounds() -> None:
    state = judged([row(lost_forward=20, replied=80)])
    assert state["loss_forward_ratio"] == 0.2
    assert state["loss_forward_lower_ratio"] == pytest.approx(0.11559, abs=1e-4)
    assert state["loss_forward_upper_ratio"] == pytest.approx(0.30921, abs=1e-4)
    assert state["loss_forward_excess_ratio"] == state["loss_forward_lower_ratio"] - 0.001
    assert state["loss_backward_excess_ratio"] == -0.001


def test_one_fault_gives_one_finding() -> None:
    lossy = row(lost_backward=20, replied=80)
    both = [spec(THERE, mirrored=True), spec(BACK, mirrored=True)]
    assert judged([lossy])["loss_backward_excess_ratio"] > 0.1
    there = judged([lossy, row(link=str(BACK), lost_forward=20)], *both)
    assert math.isnan(there["loss_backward_excess_ratio"])
    assert there["loss_backward_ratio"] == 0.2


@pytest.mark.parametrize(
    ("owner", "told"),
    [
        ([], True),
        ([row(link=str(BACK), sent=0, replied=0)], True),
        ([row(link=str(BACK), probe="icmp")], True),
        ([row(link=str(BACK))], False),
        ([row(link=str(BACK), unfit=4)], False),
        ([row(1, link=str(BACK))], False),
        ([row(1, link=str(BACK), unfit=4)], False),
    ],
    ids=["silent", "nothing sent", "another probe", "fit", "unfit", "late", "unfit, then late"],
)
def test_backward_loss_is_told_for_an_end_that_does_not_measure_only(
    owner: list[dict[str, Any]], told: bool
) -> None:
    """The owner of the direction tells it; while it is unfit or its rows are late, nobody does."""
    both = [spec(THERE, mirrored=True), spec(BACK, mirrored=True)]
    lossy = [row(at, lost_backward=20, replied=80) for at in range(2)]
    state = judged([*lossy, *owner], *both)
    assert (state["loss_backward_excess_ratio"] > 0.1) == told
    assert math.isnan(state["loss_backward_excess_ratio"]) != told
    assert state["loss_backward_ratio"] == 0.2
    assert state["verdict_loss"] == (MISSED if told else UNKNOWN)


def test_backward_loss_of_a_mirrored_link_is_no_part_of_its_verdict() -> None:
    there = full_period(lost_backward=10, replied=90)
    both = [spec(THERE, mirrored=True), spec(BACK, mirrored=True)]
    back = [{**each, "link": str(BACK), "lost_backward": 0, "lost_forward": 10} for each in there]
    assert judged(there)["verdict_loss"] == MISSED
    state = judge(windows(there + back), throughput([]), flows([]), both, START_NS, WINDOW_NS)
    assert state.count("verdict_loss").tolist() == [MET, MISSED]


def test_a_dead_link_breaches_forward_only() -> None:
    state = judged([row(lost_unattributed=100, replied=0)])
    assert state["loss_forward_ratio"] == 1.0
    assert state["loss_forward_excess_ratio"] > 0.9
    assert math.isnan(state["loss_backward_ratio"])
    assert (state["loss_backward_lower_ratio"], state["loss_backward_upper_ratio"]) == (0.0, 1.0)
    assert state["loss_backward_excess_ratio"] < 0


def test_losses_without_direction_widen_both_bounds() -> None:
    state = judged([row(sent=5_000, lost_forward=5, lost_unattributed=4, replied=4_991)])
    five, nine = (judged([row(sent=5_000, lost_forward=each)]) for each in (5, 9))
    assert math.isnan(state["loss_forward_ratio"])
    assert state["loss_forward_lower_ratio"] == five["loss_forward_lower_ratio"]
    assert state["loss_forward_upper_ratio"] == nine["loss_forward_upper_ratio"]
    assert state["loss_backward_lower_ratio"] == 0.0
    assert state["loss_backward_upper_ratio"] > 0.0008


def test_more_losses_without_direction_than_both_directions_may_lose_break_the_objective() -> None:
    """A dead flow of 16 never tells where its packets are lost; nor does a far end that counts nothing."""
    state = judged([row(window, lost_unattributed=6, replied=94) for window in range(30)])
    assert (state["loss_forward_ratio"], state["verdict_loss"]) == (0.06, MISSED)
    assert state["loss_forward_excess_ratio"] > 0
    assert state["loss_backward_lower_ratio"] == 0.0


@pytest.mark.parametrize(("lost", "verdict"), [(0, MET), (5, UNKNOWN), (10, UNKNOWN), (11, MISSED)])
def test_twice_the_objective_is_the_bound_for_losses_without_direction(lost: int, verdict: Verdict) -> None:
    """3 000 packets, objective 0.1 %: of 11 lost ones the lower bound is 6.2, of 10 it is 5.4; 6 may be."""
    rows = [
        row(at, lost_unattributed=lost if at == 0 else 0, replied=100 - lost * (at == 0)) for at in range(30)
    ]
    assert judged(rows)["verdict_loss"] == verdict


def test_refused_packets_are_no_evidence() -> None:
    state = judged([row(window, refused=100, replied=0) for window in range(30)])
    assert state["measured"] == 1
    assert math.isnan(state["loss_forward_ratio"])
    assert math.isnan(state["loss_forward_excess_ratio"])
    assert state["verdict"] == UNKNOWN
    assert state["availability_ratio"] == 0.0


def test_an_unfit_agent_is_no_network_trouble() -> None:
    state = judged([row(lost_forward=50, replied=50, unfit=4, rtt_us=[90_000.0] * 50)])
    assert (state["measured"], state["fit"], state["delay_basis"]) == (1, 0, DelayBasis.NONE)
    unknown = [name for name, value in state.items() if isinstance(value, float) and math.isnan(value)]
    assert {
        "loss_forward_excess_ratio",
        "loss_backward_excess_ratio",
        "delay_us",
        "delay_excess_us",
        "availability_ratio",
        "loss_forward_ratio",
    } <= set(unknown)
    assert judged(full_period(lost_forward=50, replied=50, unfit=1))["verdict"] == UNKNOWN


def test_an_unfit_far_end_is_no_network_trouble() -> None:
    lossy = row(lost_forward=20, replied=80)
    assert judged([lossy])["loss_forward_excess_ratio"] > 0
    both = [spec(THERE, mirrored=True), spec(BACK, mirrored=True)]
    state = judged([lossy, row(link=str(BACK), replied=100, unfit=4)], *both)
    assert math.isnan(state["loss_forward_excess_ratio"])
    assert state["loss_forward_ratio"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("error_us", "basis", "delay_us"),
    [(499.0, DelayBasis.ONE_WAY, 3_000), (501.0, DelayBasis.HALF_ROUND_TRIP, 2_000),
     (math.nan, DelayBasis.HALF_ROUND_TRIP, 2_000)],
)  # fmt: skip
def test_delay_is_one_way_where_the_clocks_allow(error_us: float, basis: DelayBasis, delay_us: int) -> None:
    each = row(rtt_us=[4_000.0] * 100, forward_us=[3_000.0] * 100, one_way_error_us=error_us)
    state = judged([each])
    assert state["delay_basis"] == basis
    assert state["delay_us"] == pytest.approx(delay_us, rel=0.01)
    assert state["delay_excess_us"] == state["delay_us"] - 5_000
    assert state["period_delay_us"] == state["delay_us"]


def test_delay_of_a_window_with_a_throughput_test_is_not_judged() -> None:
    state = judged([row(under_test=1, rtt_us=[90_000.0] * 100), row(1, rtt_us=[4_000.0] * 100)])
    assert math.isnan(state["delay_us"])
    assert state["period_delay_us"] == pytest.approx(2_000, rel=0.01)
    assert state["loss_forward_ratio"] == 0.0


def test_delay_is_judged_at_the_quantile_of_the_tier() -> None:
    delays = [2_000.0] * 80 + [30_000.0] * 20
    for quantile, delay_us in ((0.5, 1_000), (0.9, 15_000)):
        tier = Tier("own", 5_000, quantile, 0.001)
        state = judged([row(rtt_us=delays)], spec(tier=tier))
        assert state["delay_us"] == pytest.approx(delay_us, rel=0.01)


def test_late_packets_are_slower_than_every_sample() -> None:
    mostly_late = judged(full_period(late=300, sent=400))
    assert (mostly_late["verdict_loss"], mostly_late["verdict_delay"]) == (MET, MISSED)
    assert math.isnan(mostly_late["delay_us"])
    assert judged(full_period(late=10, sent=110))["verdict_delay"] == MET
    all_late = judged([row(at, replied=0, late=100) for at in range(30)])
    assert (all_late["delay_basis"], all_late["verdict"]) == (DelayBasis.HALF_ROUND_TRIP, MISSED)


def test_met_needs_enough_packets() -> None:
    clean = full_period()
    assert judged(clean)["verdict"] == MET
    assert judged(clean)["period_loss_upper_ratio"] <= 0.001
    few = judged(clean[:29])
    assert (few["verdict_loss"], few["verdict_delay"], few["verdict"]) == (UNKNOWN, MET, UNKNOWN)
    one_lost = [{**clean[0], "lost_forward": 1, "replied": 99}, *clean[1:]]
    assert judged(one_lost)["verdict_loss"] == UNKNOWN


@given(st.integers(0, 2_994), st.integers(1, 60))
def test_never_met_below_the_packets_that_tell(packets: int, in_windows: int) -> None:
    share, left = divmod(packets, in_windows)
    counts = [share + (at < left) for at in range(in_windows)]
    rows = [row(at, sent=n, replied=n, rtt_us=[4_000.0] * n) for at, n in enumerate(counts)]
    assert judged(rows)["verdict"] != MET


def test_missed_loss_needs_its_packets_too() -> None:
    assert judged([row(sent=10, lost_forward=1, replied=9)])["verdict_loss"] == MISSED
    assert judged([row(sent=100, lost_forward=1, replied=99)])["verdict_loss"] == UNKNOWN
    assert judged(full_period(lost_forward=1, replied=99))["verdict_loss"] == MISSED


@pytest.mark.parametrize(
    ("delays", "verdict"),
    [([9_000.0] * 5, UNKNOWN), ([9_000.0] * 6, MET), ([11_000.0] * 6, MISSED),
     ([9_000.0] * 50 + [11_000.0] * 50, UNKNOWN), ([10_000.0] * 100, UNKNOWN)],
)  # fmt: skip
def test_delay_verdict_by_the_interval_of_the_quantile(delays: list[float], verdict: Verdict) -> None:
    assert judged([row(rtt_us=delays)])["verdict_delay"] == verdict


@pytest.mark.parametrize(
    ("done", "verdict"),
    [
        ([], UNKNOWN),
        ([(THERE, 1, 0, 9.0e8)], MET),
        ([(THERE, 1, 0, 8.9e8)], MISSED),
        ([(THERE, 9, 0, 1e8), (THERE, 2, 0, 9.5e8)], MET),
        ([(THERE, 2, 0, 9.5e8), (THERE, 9, 0, 1e8)], MET),
        ([(THERE, 2, 0, 9.5e8), (THERE, 1, 3, math.nan)], MET),
        ([(THERE, -1, 0, 9.5e8), (BACK, 1, 0, 9.5e8)], UNKNOWN),
    ],
)
def test_throughput_against_the_promise(done: list[tuple[Link, int, int, float]], verdict: Verdict) -> None:
    state = judged([], spec(promised_bps=10**9), done=throughput(done))
    assert state["verdict_throughput"] == verdict
    assert state["promised_bps"] == 1e9


def test_without_a_promise_throughput_is_unknown_and_prevents_nothing() -> None:
    state = judged(full_period(), done=throughput([(THERE, 1, 0, 1e3)]))
    assert (state["verdict_throughput"], state["verdict"]) == (UNKNOWN, MET)
    assert math.isnan(state["promised_bps"])


def test_any_missed_objective_makes_the_link_missed() -> None:
    slow = throughput([(THERE, 1, 0, 1e8)])
    assert judged(full_period(), spec(promised_bps=10**9), done=slow)["verdict"] == MISSED
    late = judged([row(rtt_us=[90_000.0] * 100)])
    assert (late["verdict_loss"], late["verdict_delay"], late["verdict"]) == (UNKNOWN, MISSED, MISSED)


def test_availability_is_the_share_of_windows_with_less_than_half_lost() -> None:
    rows = [row(at, lost_forward=lost, replied=100 - lost) for at, lost in enumerate((0, 49, 50, 100))]
    assert judged([*rows, row(4, lost_forward=99, unfit=1)])["availability_ratio"] == 0.5


COUNT = st.integers(0, 40)
CASE = st.fixed_dictionaries(
    {
        "link": st.sampled_from([str(THERE), str(BACK), "x>y@net"]),
        "probe": st.sampled_from(["stamp", "stamp", "icmp"]),
        "window": st.integers(-1, 3),
        "replied": COUNT, "late": COUNT, "lost_forward": COUNT, "lost_backward": COUNT,
        "lost_unattributed": COUNT, "refused": COUNT,
        "unfit": st.sampled_from([0, 0, 1]), "under_test": st.sampled_from([0, 0, 1]),
        "rtt_us": st.lists(st.floats(100, 30_000), max_size=10),
    }
)  # fmt: skip


def _twin(rows: list[dict[str, Any]], link: Link) -> dict[str, float]:
    """Sums of a link the slow way: fit windows, bounds of forward loss, samples of delay."""
    chosen: dict[int, dict[str, Any]] = {}
    for each in rows:
        mine = each["link"] == str(link) and each["probe"] == "stamp" and each["sent"] > 0
        if mine and each["start_ns"] <= START_NS:
            chosen[each["start_ns"]] = each
    fit = [each for each in chosen.values() if each["unfit"] == 0]
    trials = least = most = available = 0
    for each in fit:
        n = each["sent"] - each["refused"]
        silent = each["replied"] + each["late"] == 0
        unknown = each["lost_unattributed"]
        trials, most = trials + n, most + each["lost_forward"] + unknown
        least += each["lost_forward"] + (unknown if silent else 0)
        back = n - each["lost_forward"]
        parts = ((each["lost_forward"] + unknown, n), (each["lost_backward"] + unknown, back))
        lost = max((part / whole for part, whole in parts if whole > 0), default=1.0)
        available += lost < 0.5
    both_may_lose = 2 * DEFAULT_TIERS["region"].loss_ratio
    if most and binom.sf(most - 1, trials, both_may_lose) < 1 - VERDICT_CONFIDENCE:
        least = most
    return {"windows": len(fit), "trials": trials, "least": least, "most": most, "available": available}


@settings(max_examples=60)
@given(st.lists(CASE, max_size=12))
def test_sums_against_the_twin(cases: list[dict[str, Any]]) -> None:
    rows = []
    for case in cases:
        fates = ("replied", "late", "lost_forward", "lost_backward", "lost_unattributed", "refused")
        rows.append(row(**case, sent=sum(case[fate] for fate in fates)))
    specs = [spec(THERE), spec(BACK)]
    objectives = Objectives.of(specs)
    evidence = gather(windows(rows), objectives, START_NS + WINDOW_NS, "0")
    period = assess(evidence, np.full(2, np.nan), objectives)
    for at, each in enumerate(specs):
        twin = _twin(rows, each.link)
        assert period.windows[at] == twin["windows"]
        assert period.forward.trials[at] == twin["trials"]
        assert period.forward.least[at] == twin["least"]
        assert period.forward.most[at] == twin["most"]
        if twin["windows"]:
            assert period.availability_ratio[at] == twin["available"] / twin["windows"]
        else:
            assert math.isnan(period.availability_ratio[at])


def test_many_links_are_judged_in_time() -> None:
    """2 000 links; the bound is far above what it takes (a tenth of a second): machines are busy."""
    links = [Link(f"n{at}", "z", "net") for at in range(2_000)]
    specs = [spec(link, tier=DEFAULT_TIERS["hub"]) for link in links]
    one = row(rtt_us=np.linspace(1_000, 9_000, 40))
    rows = [
        {**one, "link": str(link), "start_ns": START_NS - at * WINDOW_NS} for at in range(5) for link in links
    ]
    period = windows(rows)
    began = time.process_time()
    state = judge(period, throughput([]), flows([]), specs, START_NS, WINDOW_NS)
    assert time.process_time() - began < 5
    assert state.rows == 2_000


def test_bad_flows_are_told_beside_the_verdict() -> None:
    by_flow = [flow_row(flow, at, lost_forward=100 * (flow < 3)) for flow in range(32) for at in range(5)]
    told = judged([row()], by_flow=by_flow)
    assert (told["flows"], told["flows_bad"], told["flows_bad_loss_ratio"]) == (32, 3, 1.0)
    none = judged([row()])
    assert (none["flows"], none["flows_bad"]) == (0, 0)
    assert math.isnan(none["flows_bad_loss_ratio"])


def test_a_link_that_the_reverse_link_tells_of_has_no_bad_flow_backward() -> None:
    by_flow = [flow_row(flow, lost_backward=100 * (flow < 3)) for flow in range(32)]
    there_and_back = [row(), row(link=str(BACK))]
    alone, both = [spec()], [spec(mirrored=True), spec(BACK, mirrored=True)]
    assert judged(there_and_back, *alone, by_flow=by_flow)["flows_bad"] == 3
    assert judged(there_and_back, *both, by_flow=by_flow)["flows_bad"] == 0


def test_the_class_that_is_judged_is_handed_in() -> None:
    rows = [row(lost_forward=100, replied=0), {**row(), "class": "46"}]
    by_flow = [{**flow_row(flow), "class": "46"} for flow in range(4)]
    best_effort, voice = (judged(rows, by_flow=by_flow, judged_class=name) for name in ("0", "46"))
    assert (best_effort["loss_forward_ratio"], best_effort["flows"]) == (1.0, 0)
    assert (voice["loss_forward_ratio"], voice["flows"]) == (0.0, 4)


def test_probes_that_disagree_are_told() -> None:
    rows = [row(at) for at in range(12)]
    rows += [row(at, probe="icmp", sent=5, replied=0, lost_unattributed=5) for at in range(12)]
    assert judged(rows)["divergent"] == 2
    assert judged(rows[:12])["divergent"] == 0
