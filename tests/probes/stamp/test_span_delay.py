"""Delay of a window: round trip less dwell, one way with its bound, against values put in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.stamp import span_delay
from probes.stamp.fate import Fates, gather
from probes.stamp.packet import error_estimate, error_ns
from probes.stamp.sessions import Sessions
from tests.probes.stamp.table import MS, SYNCED, T0, TIMEOUT, WINDOW, Reply, send, table, take

UNSYNCED = error_estimate(10_000, synchronised=False)
OWN_NS = 7_000.0


def fates_of(sessions: Sessions) -> Fates:
    n = len(sessions)
    return gather(sessions, np.zeros(n, np.int64), sessions.next_seq, np.ones(n, np.bool_), np.arange(n))


def told(
    sessions: Sessions, group_of: list[int] | None = None, own_ns: float = OWN_NS, tai_s: int = 0
) -> dict[str, Any]:
    groups = np.zeros(len(sessions), np.int64) if group_of is None else np.array(group_of)
    return span_delay.columns(sessions, fates_of(sessions), groups, own_ns, tai_s, int(groups.max()) + 1)


def one(*replies: Reply, **more: Any) -> dict[str, Any]:
    sessions = table(1)
    send(sessions, len(replies))
    take(sessions, *replies)
    return told(sessions, **more)


def test_round_trip_is_less_the_dwell_and_one_way_has_both_errors() -> None:
    made = one(Reply(0, 0, out_ns=3 * MS, dwell_ns=40 * MS, back_ns=5 * MS))
    expected = {"rtt_p50_us": 8000, "forward_p50_us": 3000, "backward_min_us": 5000, "dwell_p50_us": 40_000}
    for name, value in expected.items():
        assert made[name].tolist() == pytest.approx([value], abs=0.01)
    far_ns = float(error_ns(np.array([SYNCED], np.uint16))[0])
    assert made["one_way_error_us"].tolist() == pytest.approx([(far_ns + OWN_NS) / 1000])
    assert made["one_way_negative"].tolist() == [0]


@given(st.integers(-10 * MS, 10 * MS), st.integers(0, 9 * MS), st.integers(0, 9 * MS), st.integers(0, 9 * MS))
def test_a_clock_offset_moves_one_way_and_not_the_round_trip(
    offset_ns: int, out_ns: int, dwell_ns: int, back_ns: int
) -> None:
    made = one(Reply(0, 0, out_ns=out_ns + offset_ns, dwell_ns=dwell_ns, back_ns=back_ns - offset_ns))
    assert made["rtt_p50_us"][0] == pytest.approx((out_ns + back_ns) / 1000, abs=0.01)
    assert made["forward_min_us"][0] == pytest.approx((out_ns + offset_ns) / 1000, abs=0.01)
    assert made["backward_min_us"][0] == pytest.approx((back_ns - offset_ns) / 1000, abs=0.01)
    clear = min(abs(out_ns + offset_ns), abs(back_ns - offset_ns)) > 2  # stamps are rounded to 0.25 ns
    if clear:
        assert made["one_way_negative"][0] == int(out_ns + offset_ns < 0 or back_ns - offset_ns < 0)
    assert made["forward_ns"][0].total == made["backward_ns"][0].total == 1


@pytest.mark.parametrize(("error", "own_ns"), [(UNSYNCED, OWN_NS), (SYNCED, float("nan"))])
def test_one_way_is_withheld_between_clocks_that_are_not_synchronised(error: int, own_ns: float) -> None:
    made = one(Reply(0, 0), Reply(0, 1, error=error), own_ns=own_ns)
    for name in (
        "forward_min_us",
        "forward_p50_us",
        "backward_min_us",
        "backward_p50_us",
        "one_way_error_us",
    ):
        assert np.isnan(made[name]).all()
    assert made["rtt_p50_us"].tolist() == pytest.approx([6000], abs=0.01)
    assert made["forward_ns"][0].total == 2


def test_the_worst_error_of_a_group_bounds_it() -> None:
    rough = error_estimate(5 * MS, synchronised=True)
    made = one(Reply(0, 0), Reply(0, 1, error=rough), Reply(0, 2))
    worst_ns = float(error_ns(np.array([rough], np.uint16))[0])
    assert made["one_way_error_us"].tolist() == pytest.approx([(worst_ns + OWN_NS) / 1000])


def test_ptp_stamps_count_tai() -> None:
    """The reply's Z bit says PTP: its seconds are 37 ahead of UTC, its fraction is ns."""
    sessions = table(1)
    send(sessions, 1)
    take(sessions, Reply(0, 0, error=SYNCED | 0x4000))
    for name, after_ns in (("t2", 3 * MS), ("t3", 4 * MS)):
        second, ns = divmod(T0 + after_ns, 10**9)
        sessions.reply[name][0, 0] = (second + 37) << 32 | ns
    made = told(sessions, tai_s=37)
    assert made["forward_p50_us"].tolist() == [3000]
    assert made["rtt_p50_us"].tolist() == [6000]


def test_late_replies_have_no_delay_here() -> None:
    made = one(Reply(0, 0), Reply(0, 1, back_ns=TIMEOUT))
    assert made["rtt_ns"][0].total == 1
    assert made["rtt_max_us"].tolist() == pytest.approx([6000], abs=0.01)


def test_transmit_stamps_are_used_and_counted() -> None:
    sessions = table(1)
    send(sessions, 3)
    sessions.stamped(np.array([0]), np.array([1]), np.array([T0 + 10 * MS + 500_000]))
    take(
        sessions, Reply(0, 0, number=0), Reply(0, 1, number=1, follow_up=(0, T0 + 4 * MS + 200_000)),
        Reply(0, 2, number=2, follow_up=(1, T0 + 14 * MS + 300_000), back_ns=TIMEOUT),
    )  # fmt: skip
    made = told(sessions)
    assert made["sent_stamped"].tolist() == [1]
    assert made["reply_stamped"].tolist() == [2]
    # only packet 1 left and was answered at known times
    assert made["rtt_min_us"].tolist() == made["rtt_max_us"].tolist() == pytest.approx([5200], abs=0.01)


def test_statistics_are_of_each_group() -> None:
    sessions = table(3)
    send(sessions, 70)
    for session, out_ns in enumerate((MS, 2 * MS, 3 * MS)):
        take(sessions, *(Reply(session, seq, out_ns=out_ns + seq * 1_000, back_ns=0) for seq in range(70)))
    made = told(sessions, [0, 1, 0])
    assert made["rtt_min_us"].tolist() == pytest.approx([1000, 2000], abs=0.01)
    assert made["rtt_max_us"].tolist() == pytest.approx([3069, 2069], abs=0.01)
    assert made["rtt_p95_us"].tolist() == pytest.approx([3062, 2066], abs=0.01)  # ranks 133 and 67
    assert np.isnan(made["rtt_p99_us"]).all()
    assert made["pdv_us"].tolist() == pytest.approx([2062, 66], abs=0.01)
    assert [row.total for row in made["rtt_ns"]] == [140, 70]


def test_jitter_is_of_each_flow_and_the_mean_over_a_links_flows() -> None:
    """RFC 3550 section 6.4.1 by hand: a flow that alternates by D reaches D / 16 after one step."""
    sessions = table(2)
    send(sessions, 2)
    take(sessions, Reply(0, 0, back_ns=0), Reply(0, 1, back_ns=MS), Reply(1, 0), Reply(1, 1))
    assert told(sessions)["jitter_us"].tolist() == pytest.approx([1000 / 16 / 2], abs=0.01)
    assert told(sessions, [0, 1])["jitter_us"].tolist() == pytest.approx([1000 / 16, 0], abs=0.01)


def test_no_replies() -> None:
    sessions = table(2)
    send(sessions, 2)
    made = told(sessions, [0, 1])
    for name in ("rtt_p50_us", "jitter_us", "pdv_us", "dwell_p50_us", "one_way_error_us"):
        assert np.isnan(made[name]).all()
    assert [row.total for row in made["rtt_ns"]] == [0, 0]


def test_round_trips_of_packets() -> None:
    sessions = table(2)
    send(sessions, 3)
    take(sessions, Reply(1, 2, out_ns=4 * MS), Reply(0, 0), Reply(0, 1, back_ns=WINDOW))
    session, rtt_ns = span_delay.round_trips(fates_of(sessions), 0)
    assert session.tolist() == [0, 1]
    assert rtt_ns.tolist() == pytest.approx([6 * MS, 7 * MS], abs=2)
