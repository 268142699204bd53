"""From a plan to sessions: links, classes and flows on their ports, and plans that cannot be carried out."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from linkgauge.errors import ConfigError
from linkgauge.plan import Plan, PlanLink
from probes.engine.flights import Flights
from probes.engine.plan_sessions import CHEAP_STAMPS_PPS, Staffed, staff
from probes.sockets.raw_name import address_of
from tests.probes.loopback import FAR4, HOME4, MS, Listener, stamp_plan

FAR = ("127.64.210.2", "127.64.210.3", "127.64.210.4")
KEYS = {peer: peer.encode() for peer in FAR}
CHEAP_NS = 10**9 // CHEAP_STAMPS_PPS
Make = Callable[..., Staffed]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Staffed] = []

    def staffed(plan: Plan, keys: dict[str, bytes] | None = None, **more: Any) -> Staffed:
        made.append(staff(plan, keys or {}, 0, Flights(plan.stamp_port, 44, {}), **more))
        return made[-1]

    yield staffed
    for one in made:
        one.sender.close()


def descriptors() -> int:
    gc.collect()  # what earlier tests left in cycles is closed only now
    return len(os.listdir("/proc/self/fd"))


def sessions_of(made: Staffed) -> list[tuple[str, str, int, str]]:
    """Link, class, flow and far end of each session."""
    groups, ends = made.groups, made.sender.sessions.ends
    return sorted(
        (groups.names[g], groups.classes[g], int(flow), address_of(name))
        for g, flow, name in zip(groups.of.tolist(), groups.flow.tolist(), ends.names, strict=True)
    )


def test_every_flow_of_every_class_of_every_link_is_a_session(make: Make) -> None:
    made = make(stamp_plan(7, FAR, classes=[10, 0, 46], flows=4))
    assert sessions_of(made) == sorted(
        (f"n1>n{at}@net", klass, flow, peer)
        for at, peer in enumerate(FAR, 2)
        for klass in ("10", "0", "46")
        for flow in range(4)
    )
    groups = made.groups
    assert len(groups) == 9
    assert [groups.names[first] for first in groups.first_class] == groups.names
    assert {groups.classes[first] for first in groups.first_class} == {"10"}
    assert [str(dscp) for dscp in groups.dscp] == [groups.classes[g] for g in groups.of]
    assert groups.stateful.all()
    ssid = made.sender.sessions.ends.ssid.tolist()
    assert len(set(ssid)) == 36
    assert not set(ssid) & {0, 0xFFFF}


def test_a_flow_has_a_source_port_of_its_own_shared_by_all_links_and_classes(make: Make) -> None:
    made = make(stamp_plan(7, FAR, classes=[0, 46], flows=3))
    ports = {flow: {int(p) for p in made.groups.port[made.groups.flow == flow]} for flow in range(3)}
    assert [len(one) for one in ports.values()] == [1, 1, 1]
    assert len(set.union(*ports.values())) == 3
    assert [port.flow for port in made.sender.ports] == [0, 1, 2]


def test_each_local_address_has_ports_of_its_own(make: Make) -> None:
    links = [PlanLink("a>b@net", HOME4, FAR4), PlanLink("a>b@six", "::1", "::1")]
    made = make(stamp_plan(7, links=links, flows=2))
    assert Counter((port.local, port.flow) for port in made.sender.ports) == Counter(
        [(HOME4, 0), (HOME4, 1), ("::1", 0), ("::1", 1)]
    )
    assert [port.socket.v6 for port in made.sender.ports] == [False, False, True, True]


@pytest.mark.parametrize(
    ("size", "of_link", "expected"), [(0, 0, 72), (500, 0, 500), (500, 1200, 1200), (73, 0, 76), (0, 60, 72)]
)
def test_sizes(make: Make, size: int, of_link: int, expected: int) -> None:
    listener = Listener()
    plan = stamp_plan(listener.port, size_bytes=size)
    plan = msgspec.structs.replace(plan, links=[msgspec.structs.replace(plan.links[0], size_bytes=of_link)])
    sender = make(plan).sender
    sender.ports[0].transmit(0, 1, 0)
    got = listener.socket.receive()
    assert got is not None
    assert got.length.tolist() == [expected]
    listener.close()


def test_classes_are_sent_with_their_dscp_and_ect(make: Make) -> None:
    listener = Listener()
    made = make(stamp_plan(listener.port, classes=[0, 46, 10]))
    port = made.sender.ports[0]
    port.transmit(0, len(port.session), 0)
    got = listener.socket.receive()
    assert got is not None
    expected = sorted(int(dscp) << 2 | 2 for dscp in made.groups.dscp.repeat(made.sender.wheel.train))
    assert sorted(got.tos.tolist()) == expected
    ssid = got.data[:, 14:16].copy().view(">u2")[:, 0]
    dscp_of = dict(zip(made.sender.sessions.ends.ssid.tolist(), made.groups.dscp.tolist(), strict=True))
    assert [tos >> 2 for tos in got.tos.tolist()] == [dscp_of[int(one)] for one in ssid]
    assert (got.data[:, 48] >> 2).tolist() == [tos >> 2 for tos in got.tos.tolist()], "DSCP1 of the reply"
    assert set(got.ttl.tolist()) == {255}
    listener.close()


def light(count: int, peer: str = FAR4) -> list[PlanLink]:
    return [PlanLink(f"a>b{at}@net", HOME4, peer, "twamp-light") for at in range(count)]


def test_twamp_light_has_one_class_and_no_two_links_to_a_peer_share_a_port(make: Make) -> None:
    made = make(stamp_plan(7, links=[*light(3), *light(1, FAR[1])], classes=[0, 46], flows=2))
    ends = made.sender.sessions.ends
    assert made.groups.classes == ["0"] * 4
    assert ends.anonymous.all()
    assert not made.groups.stateful.any()
    where = [(port, name.tobytes()) for port, name in zip(ends.socket.tolist(), ends.names, strict=True)]
    assert len(set(where)) == len(where) == 8


def test_a_stateless_far_end_tells_no_direction(make: Make) -> None:
    links = [PlanLink("a>b@net", HOME4, FAR4, "stateless"), PlanLink("a>c@net", HOME4, FAR[1])]
    made = make(stamp_plan(7, links=links))
    stateful = dict(zip(made.groups.of.tolist(), made.groups.stateful.tolist(), strict=True))
    assert [stateful[made.groups.names.index(name)] for name in ("a>b@net", "a>c@net")] == [False, True]


def test_links_without_a_key_are_left_out_and_named(make: Make) -> None:
    keys = {peer: key for peer, key in KEYS.items() if peer != FAR[1]}
    made = make(stamp_plan(7, FAR, authenticated=True), keys)
    assert made.keyless == ("n1>n3@net",)
    assert made.groups.names == ["n1>n2@net", "n1>n4@net"]
    assert make(stamp_plan(7, FAR[1:2], authenticated=True), keys).groups.names == []
    assert make(stamp_plan(7, FAR)).keyless == ()


def test_far_ends_may_listen_at_another_port(make: Make) -> None:
    made = make(stamp_plan(7, FAR), port_of={FAR[0]: 4000})
    names = made.sender.sessions.ends.names
    ports = {address_of(name): int(name[2]) << 8 | int(name[3]) for name in names}
    assert ports == {FAR[0]: 4000, FAR[1]: 7, FAR[2]: 7}


@pytest.mark.parametrize(
    ("wanted", "interval_ns", "stamps"),
    [
        ("auto", CHEAP_NS, True),
        ("auto", CHEAP_NS - 1_000, False),
        ("on", CHEAP_NS - 1_000, True),
        ("off", 100 * MS, False),
    ],
)
def test_transmit_stamps_up_to_a_rate(make: Make, wanted: str, interval_ns: int, stamps: bool) -> None:
    made = make(stamp_plan(7, transmit_stamps=wanted, stamp_interval_ns=interval_ns))
    assert made.sender.ports[0].socket.stamping is stamps
    assert made.sender.sessions.stamping is stamps


def test_poisson_sends_no_trains(make: Make) -> None:
    assert make(stamp_plan(7, stamp_interval_ns=MS)).sender.wheel.train > 1
    assert make(stamp_plan(7, stamp_interval_ns=MS, poisson=True)).sender.wheel.train == 1


def test_too_many_sessions_are_refused_with_the_mend() -> None:
    plan = stamp_plan(7, ["10.0.0.1"] * 120, classes=[0, 46], flows=256)
    before = descriptors()
    with pytest.raises(ConfigError, match=r"61440 STAMP sessions .* at most 60000; take fewer classes"):
        staff(plan, {}, 0, Flights(7, 44, {}))
    assert descriptors() == before


def test_an_address_that_is_not_here_is_said_and_nothing_stays_open() -> None:
    links = [PlanLink("a>b@net", HOME4, FAR4), PlanLink("a>c@net", "192.0.2.1", FAR4)]
    before = descriptors()
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1 is no address of this host"):
        staff(stamp_plan(7, links=links, flows=3), {}, 0, Flights(7, 44, {}))
    assert descriptors() == before


def test_a_plan_without_links_has_no_sessions(make: Make) -> None:
    made = make(stamp_plan(7, peers=[]))
    assert len(made.sender.sessions) == len(made.groups) == len(made.sender.ports) == 0


def test_rows_of_the_table_are_in_the_order_of_sending(make: Make) -> None:
    made = make(stamp_plan(7, FAR, flows=4, stamp_interval_ns=100 * MS))
    begin, ends = made.sender.wheel.begin, made.sender.sessions.ends
    for slot in range(made.sender.wheel.slots):
        assert (np.diff(ends.socket[begin[slot] : begin[slot + 1]]) >= 0).all()
    owned = np.concatenate([port.session for port in made.sender.ports])
    assert sorted(set(owned.tolist())) == list(range(12))


def test_an_error_estimate_stands_in_the_packets_that_follow(make: Make) -> None:
    listener = Listener()
    sender = make(stamp_plan(listener.port)).sender
    sender.set_error(0x8042)
    sender.ports[0].transmit(0, 1, 0)
    got = listener.socket.receive()
    assert got is not None
    assert got.data[0, 12:14].tolist() == [0x80, 0x42]
    listener.close()
