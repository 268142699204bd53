"""The prober against a network in memory: ways, silence, changes, balancers, MTU, pace."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest

from linkgauge.clock import SystemClock
from linkgauge.wire import Batch, decode, encode
from probes.engine.flight import Flight
from probes.path.probe import MOST_PPS, THOROUGH_ROUNDS
from probes.path.sweep import ATTEMPTS
from tests.probes.path.net import Net, S, path_plan
from tests.probes.path.prober import events, fixed, prober

pytestmark = pytest.mark.usefixtures("quick")


def test_a_sweep_tells_hops_round_trips_and_mtu() -> None:
    frame = prober(fixed("10.0.0.1 10.0.1.1"), path_plan()).round()
    assert frame.rows == 1
    assert frame.text("path")[0] == "10.0.0.1 10.0.1.1 10.9.1.0"
    assert frame.text("hop_rtt_us")[0] == "2000.0 4000.0 6000.0"
    assert frame.text("mpls")[0] == "- - -"
    counts = {name: int(frame.count(name)[0]) for name in ("reached", "hops", "silent", "changed")}
    assert counts == {"reached": 1, "hops": 3, "silent": 0, "changed": 0}
    assert frame.real("mtu_bytes")[0] == 1500


def test_a_plan_without_links_has_nothing_to_sweep() -> None:
    path = prober(fixed(""), path_plan(0))
    assert path.round().rows == 0
    assert events(path) == []


def test_rows_travel() -> None:
    frame = prober(fixed("10.0.0.1 *"), path_plan(2)).round()
    batch = decode(encode(Batch("n1", "b", 1, 1, {"path": frame})))
    assert batch.frames["path"].text("path").tolist() == frame.text("path").tolist()


def test_a_way_of_ipv6_is_told() -> None:
    plan = path_plan()
    link = msgspec.structs.replace(plan.links[0], local="fd00::1", peer="fd00::9")
    net = Net(lambda flight, hop: ["10.0.0.1"])
    net.mtu = 1280 - 20  # the network in memory counts IPv4 headers
    frame = prober(net, msgspec.structs.replace(plan, links=[link])).round()
    assert frame.text("path")[0].endswith(" fd00::9")
    assert frame.real("mtu_bytes")[0] == 1280


def test_a_silent_hop_is_asked_more_often_until_it_is_known_to_be_silent() -> None:
    net = fixed("10.0.0.1 * 10.0.2.1")
    path = prober(net, path_plan())
    frame = path.round()
    assert frame.text("path")[0] == "10.0.0.1 * 10.0.2.1 10.9.1.0"
    assert frame.count("silent")[0] == 1
    assert [hop for hop, _ in net.sent].count(2) == ATTEMPTS
    net.sent.clear()
    path.round()
    assert [hop for hop, _ in net.sent].count(2) == 1


def test_a_router_that_limits_its_answers_is_not_asked_again() -> None:
    net = fixed("10.0.0.1 10.0.1.1")
    path = prober(net, path_plan(12))
    path.round()
    asked = itertools.count()
    net.way = lambda flight, hop: ["10.0.0.1" if hop != 1 or next(asked) % 6 == 0 else "*", "10.0.1.1"]
    net.sent.clear()
    frame = path.round()
    assert [hop for hop, _ in net.sent].count(1) == 12
    assert frame.count("silent").sum() == 10
    assert frame.count("changed").sum() == 0


def test_a_few_silent_packets_are_asked_again() -> None:
    net = fixed("10.0.0.1 10.0.1.1")
    path = prober(net, path_plan(12))
    path.round()
    asked = itertools.count()
    net.way = lambda flight, hop: ["10.0.0.1" if hop != 1 or next(asked) % 6 else "*", "10.0.1.1"]
    assert path.round().count("silent").sum() == 0


@pytest.mark.parametrize(("links", "copies"), [(2, 6), (40, 3)])
def test_many_changes_at_once_are_confirmed_with_fewer_packets(links: int, copies: int) -> None:
    net = fixed("10.0.0.1 10.0.1.1")
    path = prober(net, path_plan(links))
    path.round()
    net.way = lambda flight, hop: ["10.0.0.1", "10.0.7.1"]
    net.sent.clear()
    assert path.round().count("changed").sum() == links
    assert [hop for hop, _ in net.sent].count(2) == links * (1 + copies)
    assert [hop for hop, _ in net.sent].count(1) == links


def test_a_hop_that_falls_silent_is_no_change_and_keeps_the_fingerprint() -> None:
    net = fixed("10.0.0.1 10.0.1.1")
    path = prober(net, path_plan())
    first = path.round()
    net.way = lambda flight, hop: ["10.0.0.1", "*"]
    second = path.round()
    assert second.text("path")[0] == "10.0.0.1 * 10.9.1.0"
    assert second.count("fingerprint")[0] == first.count("fingerprint")[0]
    assert second.count("changed")[0] == 0


def test_an_outage_is_no_change_and_ends_the_sweep() -> None:
    net = fixed("10.0.0.1 10.0.1.1")
    path = prober(net, path_plan())
    path.round()
    net.way, net.dead = (lambda flight, hop: ["10.0.0.1"] + ["*"] * 40), True
    net.sent.clear()
    frame = path.round()
    assert (frame.text("path")[0], frame.count("reached")[0], frame.count("changed")[0]) == ("10.0.0.1", 0, 0)
    assert np.isnan(frame.real("mtu_bytes")[0])
    assert max(hop for hop, _ in net.sent) <= 20


def test_a_long_way_is_followed_to_its_end() -> None:
    way = " ".join(f"10.0.{at}.1" for at in range(20))
    net = fixed(way)
    path = prober(net, path_plan())
    assert path.round().count("hops")[0] == 21
    net.sent.clear()
    assert path.round().count("hops")[0] == 21
    assert max(hop for hop, size in net.sent if size < 1000) == 21


def test_a_change_is_told_with_before_and_after() -> None:
    net = fixed("10.0.0.1 10.0.1.1")
    path = prober(net, msgspec.structs.replace(path_plan(flows=4), window_ns=1))
    before = path.round()
    net.way = lambda flight, hop: ["10.0.0.1", "10.0.7.1"]
    after = path.round()
    assert after.count("changed").tolist() == [1] * 4
    assert set(after.text("path_before")) == {"10.0.0.1 10.0.1.1 10.9.1.0"}
    assert set(after.text("path")) == {"10.0.0.1 10.0.7.1 10.9.1.0"}
    assert after.count("fingerprint")[0] != before.count("fingerprint")[0]
    assert events(path) == [("path", "10.0.0.1 10.0.1.1 10.9.1.0", "10.0.0.1 10.0.7.1 10.9.1.0")]
    assert path.round().count("changed").tolist() == [0] * 4
    assert events(path) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_balancer_that_sprays_packets_does_not_flap(seed: int) -> None:
    random = np.random.default_rng(seed)
    net = Net(lambda flight, hop: ["10.0.0.1", f"10.0.1.{random.integers(2)}", "10.0.2.1"])
    path = prober(net, msgspec.structs.replace(path_plan(2, flows=4), window_ns=1))
    frames = [path.round() for _ in range(12)]
    assert sum(int(frame.count("changed").sum()) for frame in frames) == 0
    assert path.counts().unconfirmed > 0
    assert events(path) == []


def test_flows_on_two_ways_have_two_fingerprints_and_all_have_their_turn() -> None:
    net = Net(lambda flight, hop: ["10.0.0.1", f"10.0.1.{flight.flow % 2}"])
    path = prober(net, path_plan(flows=8, sample=2))
    frames = [path.round() for _ in range(4)]
    assert sorted(flow for frame in frames for flow in frame.text("flow")) == [str(at) for at in range(8)]
    assert len({number for frame in frames for number in frame.count("fingerprint").tolist()}) == 2


def test_other_classes_come_in_turn() -> None:
    path = prober(fixed("10.0.0.1"), path_plan(flows=2, sample=2, classes=(0, 34, 46)))
    assert [path.round().text("class").tolist() for _ in range(2)] == [["0", "0", "34"], ["0", "0", "46"]]


@pytest.mark.parametrize("tells_mtu", [True, False], ids=["told", "black hole"])
def test_a_cut_of_the_mtu_is_found_in_the_next_round_and_told(tells_mtu: bool) -> None:
    net = fixed("10.0.0.1")
    path = prober(net, path_plan())
    assert path.round().real("mtu_bytes")[0] == 1500
    net.mtu, net.tells_mtu = 1400, tells_mtu
    assert path.round().real("mtu_bytes")[0] == 1400
    assert events(path) == [("mtu", "1500", "1400")]
    assert path.round().real("mtu_bytes")[0] == 1400
    assert events(path) == []


def test_a_larger_mtu_is_found_by_the_next_full_search() -> None:
    net = fixed("10.0.0.1")
    path = prober(net, path_plan())
    path.round()
    net.mtu = 9000
    found = [path.round().real("mtu_bytes")[0] for _ in range(THOROUGH_ROUNDS - 1)]
    assert found == [1500] * (THOROUGH_ROUNDS - 2) + [9000]
    assert events(path) == [("mtu", "1500", "9000")]


def test_the_pace_is_kept_and_what_does_not_fit_is_postponed() -> None:
    net = fixed("10.0.0.1 10.0.1.1 10.0.2.1")
    clock, path = SystemClock(), prober(net, path_plan(150, flows=1))
    start_ns = clock.now().mono_ns
    frame = path.round()
    packets = sum(size < 1000 for _, size in net.sent)
    took_s = (clock.now().mono_ns - start_ns) / S
    assert packets <= MOST_PPS * took_s + 20
    assert 0 < frame.rows < 150
    assert path.counts().postponed == 150 - frame.rows


def test_a_round_that_is_stopped_ends_soon() -> None:
    path = prober(fixed("10.0.0.1"), path_plan(150))
    path.stop()
    assert path.round().rows == 0


def test_answers_to_nobody_are_counted() -> None:
    net = fixed("10.0.0.1")
    path = prober(net, path_plan())
    path.round()
    stray = Flight("10.9.0.1", 0, "10.9.1.0", 0, np.array([7]), np.array([1], np.uint8), np.array([44]))
    net.sweep(stray)
    path.round()
    assert path.counts().foreign == 2  # its departure and the error about it
