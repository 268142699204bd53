"""Windows into one result: sums, last revisions, unknown values, and JSON without NaN."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from console.probe.result import Result, echo, flows, packets, ways
from linkgauge.frame import Frame, concat
from linkgauge.schema import FLOW, PATH, WINDOW
from probes.echo import EchoRound, Fate, window_frame
from tests.console.probe.frames import RTT_US, SIZES, flow, window


def test_windows_add_up_by_class() -> None:
    frames = [window(0), window(1, lost_forward=2, replied=23), window(0, dscp=46)]
    best_effort, expedited = packets(SIZES, concat(WINDOW, frames))
    assert (best_effort.dscp, best_effort.sent, best_effort.replied, best_effort.lost) == (0, 50, 48, 2)
    assert (expedited.dscp, expedited.sent, expedited.size_bytes) == (46, 25, 72)
    assert best_effort.rtt_min_us == best_effort.rtt_max_us == RTT_US
    assert best_effort.rtt_p50_us == pytest.approx(RTT_US, rel=0.01)
    assert math.isnan(best_effort.rtt_p99_us)
    assert math.isnan(best_effort.forward_p50_us)


def test_the_99th_percentile_needs_its_samples() -> None:
    [made] = packets(SIZES, concat(WINDOW, [window(start) for start in range(12)]))
    assert made.rtt_p99_us == pytest.approx(RTT_US, rel=0.01)


def test_percentiles_lie_between_the_smallest_and_the_largest() -> None:
    [made] = packets(SIZES, window(0, rtt_min_us=RTT_US * 1.004, rtt_max_us=RTT_US * 1.004))
    assert made.rtt_min_us == made.rtt_p50_us == made.rtt_max_us


def test_of_a_window_that_came_again_the_last_revision_counts() -> None:
    first = window(0, replied=20, lost_unattributed=5)
    again = window(0, replied=20, late=5, revision=1)
    for frames in ([first, again], [again, first]):
        [made] = packets(SIZES, concat(WINDOW, frames))
        assert (made.sent, made.replied, made.late, made.lost) == (25, 20, 5, 0)


def test_unfitness_is_joined_and_the_most_frequent_mark_is_told() -> None:
    frames = [window(0, unfit=1), window(1, unfit=8), window(2, dscp_forward=0.0), window(3)]
    [made] = packets(SIZES, concat(WINDOW, [*frames, *(window(at, dscp_forward=46.0) for at in (4, 5))]))
    assert made.unfit == 9
    assert made.dscp_forward == 46.0


def test_nothing_sent_is_no_packets() -> None:
    assert packets(SIZES, concat(WINDOW, [])) == []


def test_flows_add_up_by_port() -> None:
    one, other = flows(SIZES, concat(FLOW, [flow(4001, 10, 1), flow(4002, 10, 0), flow(4001, 10, 2)]))
    assert (one.port, one.sent, one.lost) == (4001, 20, 3)
    assert (other.port, other.sent, other.lost) == (4002, 10, 0)
    assert math.isnan(one.rtt_min_us)


def test_other_probes_in_one_line() -> None:
    made = EchoRound.unsent(["l"] * 4, 5)
    made.fate[:] = [Fate.REPLIED, Fate.LOST, Fate.REFUSED, Fate.SEND_FAILED]
    made.rtt_ns[0] = 2e6
    told = echo("icmp", window_frame([made], "icmp", 0, 10, 0))
    assert (told.sent, told.answered, told.lost, told.refused, told.send_failed) == (3, 1, 1, 1, 1)
    assert told.rtt_min_us == told.rtt_max_us == 2_000.0
    nothing = echo("icmp", concat(WINDOW, []), "no permission")
    assert (nothing.sent, nothing.unavailable) == (0, "no permission")
    assert math.isnan(nothing.rtt_p50_us)


def test_ways_and_json() -> None:
    row = {
        "link": "l",
        "class": "46",
        "flow": "0",
        "start_ns": 0,
        "reached": 1,
        "path": "10.0.0.1 * 10.0.0.9",
    }
    way = Frame.of(PATH, {name: [value] for name, value in row.items()})
    result = Result(packets(SIZES, window(0)), [], [], ways(way))
    told = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert told["ways"][0]["path"] == "10.0.0.1 * 10.0.0.9"
    assert told["ways"][0]["mtu_bytes"] is None
    assert told["packets"][0]["sent"] == 25
    assert told["packets"][0]["one_way_error_us"] is None
    assert np.isfinite(told["packets"][0]["rtt_p50_us"])
