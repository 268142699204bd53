"""Summaries: the judge's arithmetic over spans of any length, as values and as JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from linkgauge.frame import Frame, concat
from linkgauge.model import DelayBasis, Verdict
from linkgauge.schema import WINDOW
from quality.verdicts.scores import as_dict, summarise
from tests.quality.plain import judge
from tests.quality.world import BACK, START_NS, THERE, WINDOW_NS, flows, row, spec, throughput, windows


def _span() -> Frame:
    delays = np.linspace(1_000, 4_000, 100)
    rows = [row(at, lost_forward=1, lost_backward=2, replied=97, rtt_us=delays) for at in range(5)]
    busy = row(5, under_test=1, rtt_us=[90_000.0] * 100)
    return windows([*rows, busy, row(6, unfit=1, lost_forward=90, replied=10)])


def test_counts_are_of_what_fit_agents_measured() -> None:
    (summary,) = summarise(_span(), throughput([]), [spec()])
    assert (summary.link, summary.network, summary.tier) == ("a>b@net", "net", "region")
    assert (summary.windows, summary.unfit_windows) == (6, 1)
    assert (summary.sent, summary.replied) == (600, 5 * 97 + 100)
    assert (summary.lost_forward, summary.lost_backward, summary.lost_unattributed) == (5, 10, 0)
    assert summary.loss_forward_ratio == 5 / 600
    assert summary.loss_backward_ratio == 10 / 595
    assert summary.loss_forward_lower_ratio < 5 / 600 < summary.loss_forward_upper_ratio
    assert summary.availability_ratio == 1.0


def test_percentiles_come_from_the_merged_histogram_without_our_own_load() -> None:
    (summary,) = summarise(_span(), throughput([]), [spec()])
    assert summary.rtt_p50_us == pytest.approx(2_500, rel=0.02)
    assert summary.rtt_p95_us == pytest.approx(3_850, rel=0.02)
    assert summary.rtt_p99_us == pytest.approx(3_970, rel=0.02)
    assert summary.delay_basis is DelayBasis.HALF_ROUND_TRIP
    assert summary.delay_us == summary.rtt_p50_us / 2
    assert summary.delay_lower_us < summary.delay_us < summary.delay_upper_us


def test_percentiles_that_too_few_samples_tell_are_left_out() -> None:
    (summary,) = summarise(windows([row(rtt_us=[4_000.0] * 100)]), throughput([]), [spec()])
    assert summary.rtt_p95_us == pytest.approx(4_000, rel=0.01)
    assert math.isnan(summary.rtt_p99_us)


def test_a_link_without_measurements_is_unknown_and_fits_json() -> None:
    summaries = summarise(concat(WINDOW, []), throughput([]), [spec(), spec(BACK)])
    assert [summary.link for summary in summaries] == [str(THERE), str(BACK)]
    plain = json.loads(json.dumps(as_dict(summaries[0]), allow_nan=False))
    assert (plain["verdict"], plain["delay_basis"], plain["sent"]) == ("unknown", "none", 0)
    assert plain["rtt_p50_us"] is None


def test_summary_and_judgement_agree() -> None:
    span, done, specs = _span(), throughput([(THERE, 1, 0, 5e8)]), [spec(promised_bps=10**9)]
    (summary,) = summarise(span, done, specs)
    state = judge(span, done, flows([]), specs, START_NS, WINDOW_NS)
    assert summary.verdict == Verdict(state.count("verdict")[0]) == Verdict.MISSED
    assert summary.delay_us == state.real("period_delay_us")[0]
    assert summary.availability_ratio == state.real("availability_ratio")[0]
    assert summary.received_bps == state.real("received_bps")[0] == 5e8
    worse = max(summary.loss_forward_upper_ratio, summary.loss_backward_upper_ratio)
    assert worse == state.real("period_loss_upper_ratio")[0]
