"""The truth that the two shipped topologies claim, and what a topology refuses."""

from __future__ import annotations

import dataclasses
import ipaddress

import pytest

from lab.places import demo_topology, loopback_topology
from lab.topology import Hub, Member, NetworkPlane, Topology, Trunk
from linkgauge.errors import LabError

_TRUTH_US = [
    ("jinan-1", "jinan-2", "backbone", 300),
    ("jinan-1", "qingdao-1", "backbone", 2_000),
    ("jinan-2", "qingdao-1", "backbone", 2_300),
    ("jinan-2", "qingdao-2", "backbone", 2_600),
    ("qingdao-1", "guiyang-1", "backbone", 15_000),
    ("qingdao-2", "guiyang-2", "backbone", 15_600),
    ("jinan-1", "qingdao-1", "private", 1_000),
    ("jinan-1", "guiyang-1", "private", 10_000),
]


@pytest.mark.parametrize(("src", "dst", "network", "delay_us"), _TRUTH_US)
def test_truth_is_the_sum_of_the_wires_both_ways(src: str, dst: str, network: str, delay_us: int) -> None:
    topology = demo_topology()
    assert topology.true_delay_us(src, dst, network) == delay_us
    assert topology.true_delay_us(dst, src, network) == delay_us


@pytest.mark.parametrize("topology", [demo_topology(), loopback_topology()])
def test_links_are_all_ordered_pairs_of_members(topology: Topology) -> None:
    links = list(topology.links())
    assert len(links) == len(set(links)) == 6 * 5 + 3 * 2
    assert {(dst, src, network) for src, dst, network in links} == set(links)
    assert {src for src, _, network in links if network == "private"} == {"jinan-1", "qingdao-1", "guiyang-1"}


@pytest.mark.parametrize("topology", [demo_topology(), loopback_topology()])
def test_addresses_are_distinct_and_inside_their_network(topology: Topology) -> None:
    addresses = [topology.management_address(node.name) for node in topology.nodes] + [
        topology.center_address
    ]
    for plane in topology.planes:
        own = [member.address for member in plane.members]
        assert all(ipaddress.ip_address(a) in ipaddress.ip_network(plane.prefix) for a in own)
        addresses += own + [hub.address for hub in plane.hubs if hub.address]
        addresses += [a for trunk in plane.trunks for a in (trunk.left_address, trunk.right_address)]
    assert len(addresses) == len(set(addresses))


def test_loopback_has_the_same_links_and_no_delay_or_limit() -> None:
    topology = loopback_topology()
    assert set(topology.links()) == set(demo_topology().links())
    assert {topology.true_delay_us(*link) for link in topology.links()} == {0}
    assert {topology.capacity_bps(plane.name) for plane in topology.planes} == {0}
    assert topology.sites == demo_topology().sites


def test_unknown_things_are_refused_by_name() -> None:
    topology = demo_topology()
    with pytest.raises(LabError, match="no node nowhere: it has jinan-1"):
        topology.management_address("nowhere")
    with pytest.raises(LabError, match="no network exchange"):
        topology.capacity_bps("exchange")
    with pytest.raises(LabError, match="jinan-2 is not on network private"):
        topology.true_delay_us("jinan-1", "jinan-2", "private")
    with pytest.raises(LabError, match="jinan-1 twice"):
        topology.true_delay_us("jinan-1", "jinan-1", "backbone")


def test_topology_refuses_what_cannot_be_built() -> None:
    good = demo_topology()
    with pytest.raises(LabError, match="'Jinan_1' must match"):
        dataclasses.replace(good, nodes=(dataclasses.replace(good.nodes[0], name="Jinan_1"),))
    with pytest.raises(LabError, match="node jinan-1 is named twice"):
        dataclasses.replace(good, nodes=(*good.nodes, good.nodes[0]))
    with pytest.raises(LabError, match="no site atlantis"):
        dataclasses.replace(good, nodes=(dataclasses.replace(good.nodes[0], site="atlantis"),))
    with pytest.raises(LabError, match="no node jinan-1"):
        dataclasses.replace(good, nodes=good.nodes[1:])


def test_plane_refuses_what_cannot_be_built() -> None:
    hubs = (Hub("a", "10.0.0.1"), Hub("b", "10.0.1.1"))
    with pytest.raises(LabError, match="no trunk between"):
        NetworkPlane("n", "routed", "10.0.0.0/8", 0, hubs, ())
    with pytest.raises(LabError, match="no hub c"):
        NetworkPlane("n", "routed", "10.0.0.0/8", 0, hubs[:1], (Member("x", "c", "10.0.0.2", 0),))
    with pytest.raises(LabError, match="negative delay_us"):
        NetworkPlane("n", "routed", "10.0.0.0/8", 0, hubs, (), (Trunk("a", "10.9.0.1", "b", "10.9.0.2", -1),))
    with pytest.raises(LabError, match="bridged and has 2 hubs"):
        NetworkPlane("n", "bridged", "10.0.0.0/8", 0, hubs, ())
