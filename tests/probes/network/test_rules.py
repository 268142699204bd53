"""What routers do to packets, done by nft, each on a lane of its own: marks changed, refused, doubled."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from tests.probes.network.cable import (
    DEVICE,
    FAMILIES,
    Cable,
    address,
    joined,
    link,
    reply,
    request,
)
from tests.probes.network.engines import Sink, plan_of, running

pytestmark = pytest.mark.root
INTERVAL_NS = 20_000_000
BEST_EFFORT, EXPEDITED, CS1 = 0, 46, 8
CLASSES = (BEST_EFFORT, EXPEDITED)

MARKS = {
    1: ("near", "dscp ef", "dscp set cs1", {"remarked_forward"}),
    2: ("far", "dscp ef", "dscp set cs1", {"remarked_backward"}),
    3: ("near", "dscp ef", "ecn set not-ect", {"bleached_forward"}),
    4: ("far", "dscp ef", "ecn set not-ect", {"bleached_backward"}),
    5: ("near", "dscp ef", "ecn set ce", {"ce_forward"}),
    6: ("far", "dscp ef", "ecn set ce", {"ce_backward"}),
    7: ("near", "dscp cs7", "ecn set ce", set()),
}
"""Lane: where, which class, what is done to it, and the columns that must say so."""
ERRORS = {8: "port-unreachable", 9: "admin-prohibited", 10: "host-unreachable"}
DOUBLED = {11: "near", 12: "far"}
COLUMNS = {
    f"{what}_{way}" for what in ("remarked", "bleached", "ce") for way in ("forward", "backward")
}  # fmt: skip


def _rules(cable: Cable) -> None:
    pairs = [(lane, family) for lane in range(1, 13) for family in FAMILIES]
    outgoing: dict[str, list[str]] = {"near": [], "far": []}
    refusing = []
    for lane, family in pairs:
        ip = "ip" if family == "v4" else "ip6"
        if lane in MARKS:
            end, of_class, change, _ = MARKS[lane]
            packets = (request if end == "near" else reply)(lane, family)
            outgoing[end].append(f"{packets} {ip} {of_class} {ip} {change}")
        elif lane in ERRORS:
            refusing.append(f"{request(lane, family)} counter name l{lane}{family} {_error(lane, family)}")
        else:
            end = DOUBLED[lane]
            match, to = (request, "far") if end == "near" else (reply, "near")
            rule = f"{match(lane, family)} dup to {address(lane, family, to)} device {DEVICE}"
            chain = f"chain twice {{ type filter hook output priority 0; {rule}; }}"
            cable.run(end, "nft", "-f", "-", text=f"table {ip} lgt{lane} {{ {chain} ; }}\n")
    cable.rules("near", outgoing=outgoing["near"])
    cable.rules("far", incoming=refusing, outgoing=outgoing["far"])


def _error(lane: int, family: str) -> str:
    kind = ERRORS[lane]
    if family == "v4":
        return f"reject with icmp type {kind}"
    return f"reject with icmpv6 type {'addr-unreachable' if kind == 'host-unreachable' else kind}"


@pytest.fixture(scope="module")
def ruled() -> Iterator[tuple[Sink, dict[str, int]]]:
    lanes = range(1, 13)
    with joined(12) as cable:
        _rules(cable)
        near, far = (plan_of(end, lanes, INTERVAL_NS, CLASSES) for end in ("near", "far"))
        with running(cable, near, far) as both:
            both.near_sink.wait_for_total([link(*pair) for pair in product(lanes, FAMILIES)], 80, CLASSES)
        yield both.near_sink, cable.counters("far")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lane", MARKS)
def test_a_changed_mark_is_told_in_its_direction_and_class_and_nowhere_else(
    ruled: tuple[Sink, dict[str, int]], lane: int, family: str
) -> None:
    near, (_, of_class, change, wanted) = ruled[0], MARKS[lane]
    for dscp in CLASSES:
        answered = near.answered(link(lane, family), dscp)
        assert answered == near.total("sent", link(lane, family), dscp) > 80
        assert near.total("marks", link(lane, family), dscp) == answered
        for column in COLUMNS:
            changed = dscp == EXPEDITED and column in wanted
            assert near.total(column, link(lane, family), dscp) == (answered if changed else 0), column
    rows = near.windows()
    mine = (rows.text("link") == link(lane, family)) & (rows.text("class") == str(EXPEDITED))
    for way in ("forward", "backward"):
        remarked = f"remarked_{way}" in wanted and change == "dscp set cs1" and of_class == "dscp ef"
        assert set(rows.real(f"dscp_{way}")[mine]) == {CS1 if remarked else EXPEDITED}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dscp", CLASSES)
def test_a_closed_port_refuses_and_a_router_that_cannot_deliver_loses(
    ruled: tuple[Sink, dict[str, int]], dscp: int, family: str
) -> None:
    near, counters = ruled
    for lane, kind in ERRORS.items():
        name = link(lane, family)
        sent = near.total("sent", name, dscp)
        assert sent > 80
        assert near.answered(name, dscp) == 0
        closed = kind == "port-unreachable"
        assert near.total("refused", name, dscp) == (sent if closed else 0), kind
        assert near.total("unreachable", name, dscp) == (0 if closed else sent), kind
        assert near.total("lost_forward", name, dscp) == (0 if closed else sent), kind
        assert near.total("lost_backward", name, dscp) + near.total("lost_unattributed", name, dscp) == 0
        both = sum(near.total("sent", name, each) for each in CLASSES)
        assert counters[f"l{lane}{family}"] == both


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lane", DOUBLED)
def test_doubled_packets_are_told_in_their_direction(
    ruled: tuple[Sink, dict[str, int]], lane: int, family: str
) -> None:
    near, name = ruled[0], link(lane, family)
    answered = near.answered(name)
    here, there = ("forward", "backward") if lane == 11 else ("backward", "forward")
    assert answered == near.total("sent", name) > 80
    assert near.total(f"duplicate_{here}", name) == answered
    assert near.total(f"duplicate_{there}", name) == 0
    assert near.total("duplicate", name) == answered
    assert near.total("lost_forward", name) + near.total("lost_backward", name) == 0
    assert near.total("reordered", name) == 0
