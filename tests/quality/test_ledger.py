"""The ledger against the plain judge of all rows: the same rows give the same verdicts, however they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkgauge.frame import Frame
from linkgauge.judged_tables import SIGNALS
from linkgauge.model import Link, LinkSpec, Tier
from quality.ledger import LEAST_FLOWS_NS, Ledger
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
    windows,
)

PERIOD = 6
SPECS = [
    spec(THERE, mirrored=True),
    spec(BACK, mirrored=True, tier=Tier("own", 3_000, 0.9, 0.01)),
    spec(Link("a", "c", "net"), promised_bps=10**9),
]
COUNT = st.one_of(st.integers(0, 3), st.integers(0, 300), st.sampled_from([0, 70_000]))
DELAYS = st.lists(st.floats(-100, 40_000), max_size=30)
CASE = st.fixed_dictionaries(
    {
        "link": st.sampled_from([*(str(each.link) for each in SPECS), "x>y@net"]),
        "probe": st.sampled_from(["stamp", "stamp", "stamp", "icmp", "tcp", "tls"]),
        "window": st.integers(0, 14),
        "class": st.sampled_from(["0", "0", "0", "46"]),
        "replied": COUNT, "late": st.sampled_from([0, 0, 0, 5, 40]), "lost_forward": COUNT,
        "lost_backward": COUNT, "lost_unattributed": COUNT, "refused": COUNT,
        "unfit": st.sampled_from([0, 0, 0, 4]), "under_test": st.sampled_from([0, 0, 0, 1]),
        "revision": st.sampled_from([0, 0, 1, 2]),
        "rtt_us": DELAYS, "forward_us": DELAYS,
        "one_way_error_us": st.sampled_from([1.0, 499.0, 501.0, 300.0, float("nan")]),
    }
)  # fmt: skip
FLOW = st.fixed_dictionaries(
    {
        "link": st.sampled_from([*(str(each.link) for each in SPECS), "x>y@net"]),
        "flow": st.integers(0, 4), "window": st.integers(0, 33), "unfit": st.sampled_from([0, 0, 4]),
        "replied": COUNT, "lost_forward": COUNT, "lost_backward": COUNT,
        "lost_unattributed": st.sampled_from([0, 0, 9]),
    }
)  # fmt: skip
FATES = ("replied", "late", "lost_forward", "lost_backward", "lost_unattributed", "refused")


def _row(case: dict[str, Any]) -> dict[str, Any]:
    return row(**case, sent=sum(case[fate] for fate in FATES))


def _kept(rows: list[dict[str, Any]], keys: Sequence[str], span_windows: int) -> list[dict[str, Any]]:
    """Of each key the copy of the highest revision, of equals the later, of the span before START_NS."""
    last: dict[tuple[Any, ...], dict[str, Any]] = {}
    for each in rows:
        key = tuple(each[name] for name in keys)
        if key not in last or last[key].get("revision", 0) <= each.get("revision", 0):
            last[key] = each
    oldest_ns = START_NS - (span_windows - 1) * WINDOW_NS
    return [each for each in last.values() if each["start_ns"] >= oldest_ns]


def _plain(rows: list[dict[str, Any]], by_flow: list[dict[str, Any]], specs: Sequence[LinkSpec]) -> Frame:
    """What the judge of rows says; divergence looks back 12 windows, however short the period."""
    tests = throughput([(specs[-1].link, 1, 0, 9.5e8)])
    keys = ("link", "probe", "class", "start_ns")
    period = windows(_kept(rows, keys, PERIOD))
    flow_windows = max(PERIOD, LEAST_FLOWS_NS // WINDOW_NS)
    told = flows(_kept(by_flow, ("link", "flow", "start_ns"), flow_windows))
    longer = judge(windows(_kept(rows, keys, 12)), tests, told, specs, START_NS, WINDOW_NS)
    state = judge(period, tests, told, specs, START_NS, WINDOW_NS)
    return Frame(state.table, {**state.columns, "divergent": longer.columns["divergent"]}, state.rows)


SIGNAL_NAMES = {field.name for field in SIGNALS}
"""Of these test_signals and others hold each against its own twin."""


def same(first: Frame, second: Frame) -> None:
    for name, column in first.columns.items():
        if name in SIGNAL_NAMES:
            continue
        np.testing.assert_array_equal(column, second.columns[name], name)


def _ledger(specs: Sequence[LinkSpec] = SPECS, period: int = PERIOD) -> Ledger:
    made = Ledger(WINDOW_NS, period * WINDOW_NS)
    made.absorb([], [], specs)
    return made


TESTS = throughput([(SPECS[-1].link, 1, 0, 9.5e8)])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CASE, max_size=40), st.lists(FLOW, max_size=30), st.integers(1, 12))
def test_the_same_as_the_judge_of_all_rows(
    cases: list[dict[str, Any]], by_flow: list[dict[str, Any]], batch: int
) -> None:
    rows, flow_rows = [_row(case) for case in cases], [flow_row(**each) for each in by_flow]
    ledger = _ledger()
    for at in range(0, max(len(rows), len(flow_rows)), batch):
        new, news = rows[at : at + batch], flow_rows[at : at + batch]
        ledger.absorb([windows(new)] if new else [], [flows(news)] if news else [], SPECS)
    found, plain = ledger.judge(TESTS, START_NS), _plain(rows, flow_rows, SPECS)
    revised = {each["link"] for each in rows if each["revision"]}
    first_copies = len({(each["link"], each["start_ns"]) for each in rows}) == len(rows)
    if revised or not first_copies:  # of a window that came twice, period_delay_us knows the first copy
        columns = {**found.columns, "period_delay_us": plain.columns["period_delay_us"]}
        found = Frame(found.table, columns, found.rows)
    same(plain, found)
