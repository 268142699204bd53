"""Faults as values, the texts they become, their truth, and what is refused before anything is run."""

from __future__ import annotations

import pytest

from lab.faults import nft, truths
from lab.faults.fault import KINDS, Fault
from lab.places import demo_topology, drill_topology
from linkgauge.errors import LabError

_LINK = ("jinan-1", "guiyang-1", "backbone")


def _rules(fault: Fault) -> str:
    return nft.table(nft.at_target(fault, "10.0.0.1", "10.0.0.2", [4001]))


def test_loss_names_one_ordered_pair_and_its_share() -> None:
    text = _rules(Fault("loss", _LINK, magnitude=0.2))
    assert "ip saddr 10.0.0.1 ip daddr 10.0.0.2 numgen random mod 1000000 < 200000 counter drop" in text
    assert text.count("drop") == 1


def test_all_is_a_share_too() -> None:
    assert "ip saddr 10.0.0.1 ip daddr 10.0.0.2  counter drop" in _rules(Fault("blackhole", _LINK))


def test_one_flow_is_one_port() -> None:
    assert "udp sport { 4001 } counter drop" in _rules(Fault("flow-blackhole", _LINK))


def test_no_rule_is_no_table() -> None:
    assert nft.table([]) == "table ip lab_fault\ndelete table ip lab_fault\n"


@pytest.mark.parametrize("ratio", [-0.1, 1.01, float("nan")])
def test_a_magnitude_is_within_its_kind(ratio: float) -> None:
    with pytest.raises(LabError, match="give a ratio of 0 to 1"):
        Fault("loss", _LINK, magnitude=ratio)


def test_what_is_not_there_is_refused_by_name() -> None:
    topology = demo_topology()
    with pytest.raises(LabError, match="no fault 'gremlin': choose one of loss, "):
        Fault("gremlin", _LINK)
    with pytest.raises(LabError, match="node-down is on a node: name it"):
        Fault("node-down", _LINK)
    with pytest.raises(LabError, match="jinan-2 is not on network private"):
        truths.truth(topology, Fault("loss", ("jinan-1", "jinan-2", "private")))
    with pytest.raises(LabError, match="does not cross mid-a"):
        truths.truth(
            drill_topology(2), Fault("path-blackhole", ("jinan-1", "qingdao-1", "backbone"), "mid-a")
        )
    with pytest.raises(LabError, match="does not cross a trunk east-mars"):
        truths.truth(drill_topology(), Fault("congest", _LINK, "east-mars"))


def test_the_truth_of_a_link_is_the_link_and_who_measures_round_trips_over_it() -> None:
    truth = truths.truth(demo_topology(), Fault("delay", _LINK))
    assert truth.links == {_LINK}
    assert truth.also == {("guiyang-1", "jinan-1", "backbone")}
    assert truth.places == set()
    assert truth.must == {"link-delay", "delay-step"}


def test_a_trunk_that_all_share_is_the_trouble_of_one_direction_of_all() -> None:
    truth = truths.truth(drill_topology(), Fault("congest", _LINK, "east-west"))
    east, west = ("jinan-1", "jinan-2", "qingdao-1"), ("guiyang-1", "guiyang-2", "zunyi-1")
    assert truth.links == {(a, b, "backbone") for a in east for b in west}
    assert truth.also == {(b, a, "backbone") for a in east for b in west}
    assert {("hop", "10.210.120.1"), ("hop", "10.210.120.2")} <= truth.places


def test_a_bad_way_of_two_touches_the_links_that_may_take_it() -> None:
    truth = truths.truth(drill_topology(2), Fault("path-blackhole", _LINK, "mid-b"))
    assert len(truth.links) == 9
    assert truth.places == {("hop", "10.210.131.2"), ("hop", "10.210.141.1")}


def test_a_dead_node_and_a_dead_site() -> None:
    node = truths.truth(drill_topology(), Fault("node-down", _LINK, "guiyang-1"))
    assert len(node.links) == 10
    assert node.places == {("node", "guiyang-1")}
    site = truths.truth(drill_topology(), Fault("site-down", _LINK, "guiyang"))
    assert len(site.links) == 16
    assert ("site", "guiyang") in site.places
    lonely = truths.truth(drill_topology(), Fault("node-down", _LINK, "zunyi-1"))
    assert lonely.places == {("node", "zunyi-1"), ("site", "zunyi")}


def test_a_port_that_alters_packets_is_at_its_node() -> None:
    cut = truths.truth(drill_topology(), Fault("mtu-cut", _LINK))
    assert cut.places == {("node", "guiyang-1")}
    assert len(cut.links) == len(cut.also) == 5
    port = Fault("port-remark", _LINK, "zunyi-1", magnitude=46)
    told = truths.truth(drill_topology(), port)
    assert told.places == {("node", "zunyi-1"), ("site", "zunyi")}
    assert {dst for _, dst, _ in told.links} == {"zunyi-1"}
    assert nft.in_node(port, "net0") == [("prerouting", 'iifname "net0" counter ip dscp set 46')]


def test_every_kind_can_be_seen() -> None:
    assert all(kind.must or kind.seen_in for kind in KINDS.values())
    assert all(kind.least <= kind.magnitude <= kind.most for kind in KINDS.values())
