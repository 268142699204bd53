"""Delays against the truth of each packet, to the stamps' resolution, with numpy as the judge."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from linkgauge.histogram import RELATIVE_ERROR, value_of
from probes.stamp.packet import error_ns
from tests.probes.simulation.course import ERROR, INTERVAL_NS, MS, Course
from tests.probes.simulation.play import TURN_NS
from tests.probes.simulation.runs import JITTER_NS, Run, run
from tests.probes.simulation.told import OWN_ERROR_NS
from tests.probes.simulation.truth import NEVER_NS
from tests.probes.simulation.way import HostClock, Way

RESOLUTION_US = 0.002
LEAST = {0.95: 59, 0.99: 299}
"""Samples that a percentile needs."""
Ints = NDArray[np.int64]


def columns(made: Run) -> tuple[Ints, Ints, Ints]:
    """Round trip, way out and way back of every packet by the hosts' stamps, ns; of use where replied."""
    truth = made.truth
    out, back = truth.t2_ns - truth.t1_ns, truth.t4_ns - truth.t3_ns
    return out + back, out, back


def rows(made: Run) -> Iterator[tuple[tuple[int, int], NDArray[np.intp]]]:
    """Each window and group, and its packets that were replied in time."""
    course, groups = made.course, made.course.sessions // 2
    key = np.where(made.truth.replied, course.window_of * groups + course.group_of, -1)
    order = np.argsort(key, kind="stable")
    for at in range(course.windows * groups):
        first, end = np.searchsorted(key[order], [at, at + 1])
        yield divmod(at, groups), order[first:end]


def exact(made: Run) -> NDArray[np.bool_]:
    """Replied packets whose T1 is the kernel's; all of a session and window in which none is."""
    course, truth = made.course, made.truth
    key = course.window_of * course.sessions + np.arange(course.packets) % course.sessions
    some = np.bincount(key[truth.replied & truth.stamped], minlength=int(key.max()) + 1) > 0
    told: NDArray[np.bool_] = truth.replied & (truth.stamped | ~some[key])
    return told


def test_round_trip_and_one_way_values_are_those_of_numpy(each_run: Run) -> None:
    told = each_run.told
    rtt, out, back = columns(each_run)
    judged = {
        f"rtt_{name}_us": (rtt, q) for name, q in (("min", 0.0), ("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }
    judged |= {"rtt_max_us": (rtt, 1.0), "forward_min_us": (out, 0.0), "forward_p50_us": (out, 0.5)}
    judged |= {"backward_min_us": (back, 0.0), "backward_p50_us": (back, 0.5)}
    tables = {name: told.table(name) for name in (*judged, "rtt_mean_us", "pdv_us", "rtt_p999_us")}
    good = exact(each_run)
    for at, replied in rows(each_run):
        packets = replied[good[replied]]
        for name, (values, q) in judged.items():
            known = replied if values is back else packets
            if len(known) < LEAST.get(q, 1):
                assert np.isnan(tables[name][at])
                continue
            want = np.quantile(values[known], q, method="inverted_cdf") / 1e3
            assert abs(tables[name][at] - want) <= RESOLUTION_US, (name, at)
        assert abs(tables["rtt_mean_us"][at] - rtt[packets].mean() / 1e3) <= RESOLUTION_US
        highest = "rtt_p99_us" if len(packets) >= LEAST[0.99] else "rtt_p95_us"
        spread = tables[highest][at] - tables["rtt_min_us"][at]
        assert tables["pdv_us"][at] == pytest.approx(spread)
        assert np.isnan(tables["rtt_p999_us"][at])  # 500 samples do not tell it


def test_histograms_are_within_their_stated_error(each_run: Run) -> None:
    values = dict(zip(("rtt_ns", "forward_ns", "backward_ns"), columns(each_run), strict=True))
    good = exact(each_run)
    for at, packets in rows(each_run):
        for name, of_all in values.items():
            bucket, count = each_run.told.histogram(name, at)
            true = np.sort(of_all[packets if name == "backward_ns" else packets[good[packets]]])
            shown = np.repeat(value_of(bucket), count)
            assert len(shown) == len(true)
            assert (np.abs(shown - true) <= RELATIVE_ERROR * np.abs(true) + 2).all(), (name, at)


def test_negative_one_way_values_are_kept_and_counted(each_run: Run) -> None:
    _, out, back = columns(each_run)
    negative = each_run.truth.replied & ((out < 0) | (back < 0))
    assert np.array_equal(each_run.told.counts("one_way_negative"), each_run.truth.table(negative))
    assert negative.any() == (each_run.name == "clocks apart")
    bound = each_run.told.table("one_way_error_us")
    assert bound == pytest.approx((error_ns(np.array([ERROR], np.uint16))[0] + OWN_ERROR_NS) / 1e3)


def test_stamps_by_the_kernel_are_counted(each_run: Run) -> None:
    truth = each_run.truth
    stamped = truth.table(truth.replied & truth.stamped)
    assert np.array_equal(each_run.told.counts("sent_stamped"), stamped)
    assert not each_run.told.counts("reply_stamped").any()


def test_jitter_is_that_of_a_slow_twin(each_run: Run) -> None:
    course, truth = each_run.course, each_run.truth
    rtt, good = columns(each_run)[0], exact(each_run)
    told = each_run.told.table("jitter_us")
    for window in range(course.windows):
        of_flows = []
        for session in (0, 1):
            mine = (np.arange(course.packets) % course.sessions == session) & (course.window_of == window)
            packets = np.flatnonzero(mine & good)
            ordered = rtt[packets[np.argsort(truth.t4_ns[packets])]].tolist()
            jitter = 0.0
            for before, now in pairwise(ordered):
                jitter += (abs(now - before) - jitter) / 16
            of_flows.append(jitter / 1e3)
        assert told[window, 0] == pytest.approx(np.mean(of_flows), abs=0.01)


def test_the_round_trip_is_the_time_on_the_way_whatever_the_clocks_show() -> None:
    drift_ppb = 40_000
    near, far = HostClock(-5 * MS, drift_ppb), HostClock(3 * 3600 * 1_000 * MS, -drift_ppb)
    course = Course(30, Way(jitter_ns=JITTER_NS), Way(jitter_ns=JITTER_NS), near, far, ticks=500)
    made = run("drift", course)
    rtt = columns(made)[0]
    truth = made.truth
    tick = np.arange(course.packets) // course.sessions
    left_ns = tick * INTERVAL_NS + np.arange(course.packets) % course.sessions * 2_000
    elapsed_ns = truth.first_ns - left_ns
    on_the_way_ns = elapsed_ns - (truth.t3_ns - truth.t2_ns)
    assert (truth.first_ns < NEVER_NS).all()
    allowed_ns = elapsed_ns * drift_ppb / 1e9 + TURN_NS * drift_ppb / 1e9 + 3
    assert (np.abs(rtt - on_the_way_ns) <= allowed_ns).all()


def test_the_far_kernels_stamps_take_the_place_of_what_the_replies_say() -> None:
    course = Course(31, Way(jitter_ns=JITTER_NS), Way(jitter_ns=JITTER_NS), ticks=500, follow_up=True)
    made = run("follow up", course)
    told, truth = made.told, made.truth
    stamped = told.counts("reply_stamped")
    for at, packets in rows(made):
        if stamped[at] == len(packets):
            rtt = np.sort(columns(made)[0][packets])
            assert abs(told.table("rtt_p50_us")[at] * 1e3 - rtt[(len(rtt) - 1) // 2]) <= 2
    # nothing follows the last packet; of two that the reflector got at once only the second is told of
    assert 0 <= truth.replied.sum() - stamped.sum() <= course.sessions + course.packets // 500
    assert (stamped == truth.table(truth.replied))[0].mean() > 0.3
