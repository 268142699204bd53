"""Windows and sweeps together: shifts of delay become reroutes or changes below IP."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from linkgauge.frame import Frame
from linkgauge.schema import WINDOW
from probes.path.probe import PathProber
from tests.probes.path.net import S, path_plan
from tests.probes.path.prober import Clock, fixed, prober

LINK = "n1>m0@n"
pytestmark = pytest.mark.usefixtures("quick")


def windows(path: PathProber, clock: Clock, delays_us: Sequence[float]) -> list[tuple[str, str, str]]:
    """Let windows of 10 s pass, one for each smallest round trip; returns the events told."""
    told = []
    for delay_us in delays_us:
        row = {"link": [LINK], "probe": ["stamp"], "class": ["0"], "start_ns": [clock.now().wall_ns]}
        clock.ahead_ns += 10 * S
        counts = {"length_ns": [10 * S], "sent": [100], "replied": [100], "rtt_min_us": [delay_us]}
        frame = path.observe(Frame.of(WINDOW, row | counts))
        told += list(zip(frame.text("kind"), frame.text("before"), frame.text("after"), strict=True))
    return told


def test_a_shift_of_delay_and_another_way_are_a_reroute() -> None:
    net, clock = fixed("10.0.0.1"), Clock()
    path = prober(net, path_plan(), clock)
    path.round()
    assert windows(path, clock, [1000.0] * 30) == []
    path.round()
    net.way = lambda flight, hop: ["10.0.0.2"]
    assert windows(path, clock, [1500.0] * 4) == []
    path.round()
    assert windows(path, clock, [1500.0]) == [("reroute", "10.0.0.1 10.9.1.0", "10.0.0.2 10.9.1.0")]
    assert windows(path, clock, [1500.0] * 30) == []


def test_a_shift_of_delay_on_the_same_way_is_below_ip() -> None:
    clock = Clock()
    path = prober(fixed("10.0.0.1"), path_plan(), clock)
    path.round()
    assert windows(path, clock, [1000.0] * 30 + [1500.0] * 4) == []
    path.round()
    assert windows(path, clock, [1500.0]) == [("below-ip", "1000 us", "1500 us")]


def test_windows_of_other_probes_or_of_an_unfit_agent_tell_nothing() -> None:
    path = prober(fixed("10.0.0.1"), path_plan())
    path.round()
    for at in range(1, 60):
        rows = {
            "link": [LINK] * 2,
            "probe": ["icmp", "stamp"],
            "class": ["0"] * 2,
            "start_ns": [at * 10 * S] * 2,
        }
        counts = {"sent": [9] * 2, "replied": [9] * 2, "rtt_min_us": [100.0 * at] * 2, "unfit": [0, 1]}
        assert path.observe(Frame.of(WINDOW, rows | counts)).rows == 0
    assert path.counts().shifts_untold == 0
