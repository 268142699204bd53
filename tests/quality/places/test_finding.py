"""Which place explains the trouble, on topologies whose faults are known."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.places import RIGHT, WRONG, Noise, outcome, scene, sights
from benchmarks.roads import Roads, Way, grid, star
from quality.places.finding import Finding, locate
from quality.places.sights import FlowSight

GRID = Roads(grid(3, 3), hops=star)
TWO_NETWORKS = Roads(grid(3, 2), ("backbone", "private"))


def into(roads: Roads, node: str, network: str = "") -> list[Way]:
    return [way for way in roads.ways if way[1] == node and network in ("", way[2])]


def out_of(roads: Roads, node: str, network: str = "") -> list[Way]:
    return [way for way in roads.ways if way[0] == node and network in ("", way[2])]


def between(roads: Roads, src: str, dst: str) -> list[Way]:
    """Ways from one site to another; "*": any other."""
    return [
        way
        for way in roads.ways
        if way[0][0] != way[1][0] and src in ("*", way[0][0]) and dst in ("*", way[1][0])
    ]


def told(findings: tuple[Finding, ...]) -> list[tuple[str, str, str, str, bool]]:
    return [(each.kind, each.place, each.network, each.direction, each.sure) for each in findings]


def test_nothing_is_wrong() -> None:
    assert GRID.find() == ()


def test_one_link_alone_tells_no_place() -> None:
    assert GRID.find([("a1", "b1", "net")]) == ()
    assert GRID.find([("a1", "b1", "net"), ("b1", "a1", "net")]) == ()
    assert GRID.find((), [("a1", "b1", "net"), ("b1", "a1", "net")]) == ()


def test_a_bad_receiver() -> None:
    [found] = GRID.find(into(GRID, "b1"))
    assert told((found,)) == [("node", "b1", "net", "in", True)]
    assert found.explains == {f"{src}>{dst}@net" for src, dst, _ in into(GRID, "b1")}
    assert (found.links_bad, found.links_judged, found.site) == (8, 8, "b")


def test_a_bad_transmitter() -> None:
    assert told(GRID.find(out_of(GRID, "b1"))) == [("node", "b1", "net", "out", True)]


def test_a_dead_node_whose_agent_is_silent() -> None:
    found = GRID.find((), into(GRID, "b1"), out_of(GRID, "b1"), whole=True)
    assert told(found) == [("node", "b1", "net", "both", True)]


def test_a_dead_node_that_hears_nobody_but_still_reports() -> None:
    found = GRID.find((), into(GRID, "b1") + out_of(GRID, "b1"), whole=True)
    assert told(found) == [("node", "b1", "net", "both", True)]
    assert found[0].links_bad == 16


def test_a_node_dead_on_all_networks_and_on_one() -> None:
    roads = TWO_NETWORKS
    assert told(roads.find((), into(roads, "b1"), out_of(roads, "b1"))) == [("node", "b1", "", "both", True)]
    one = roads.find((), into(roads, "b1", "private"))
    assert told(one) == [("node", "b1", "private", "in", True)]


def test_a_dead_site_uplink_by_direction() -> None:
    out, back = between(GRID, "b", "*"), between(GRID, "*", "b")
    assert told(GRID.find(out)) == [("site", "b", "net", "out", True)]
    assert told(GRID.find(back)) == [("site", "b", "net", "in", True)]
    assert told(GRID.find(out + back)) == [("site", "b", "net", "both", True)]
    assert told(GRID.find((), out + back)) == [("site", "b", "net", "both", True)]


def test_a_site_with_one_node_is_not_told_from_it() -> None:
    roads = Roads(grid(4, 1))
    [found] = roads.find(into(roads, "b1"))
    assert told((found,)) == [("node", "b1", "net", "in", False)]
    assert found.others == ("site b",)


def test_a_congested_trunk_in_one_direction() -> None:
    assert told(GRID.find(between(GRID, "a", "b"))) == [("hop", "t-a-b", "net", "in", True)]
    unswept = Roads(grid(3, 3))
    assert told(unswept.find(between(unswept, "a", "b"))) == [("trunk", "a>b", "net", "out", True)]


def test_a_trunk_cut_in_both_directions() -> None:
    ways = between(GRID, "a", "b") + between(GRID, "b", "a")
    assert told(GRID.find(ways)) == [("trunk", "a<>b", "net", "both", True)]
    assert told(GRID.find((), ways, whole=True)) == [("trunk", "a<>b", "net", "both", True)]


def test_two_faults_at_once() -> None:
    ways = into(GRID, "b1") + between(GRID, "c", "a")
    assert told(GRID.find(ways)) == [("hop", "t-c-a", "net", "in", True), ("node", "b1", "net", "in", True)]


def test_silent_agents_leave_it_open() -> None:
    """All agents of site b but b1 are silent, and nothing is known of links to them: the node or the site."""
    hidden = [way for way in GRID.ways if "b2" in way or "b3" in way]
    bad = [way for way in into(GRID, "b1") if way not in hidden]
    [found] = GRID.find(bad, (), hidden)
    assert told((found,)) == [("node", "b1", "net", "in", False)]
    assert found.others == ("site b",)


def test_an_earlier_finding_stays_while_it_explains_as_much() -> None:
    roads = Roads(grid(4, 1))
    evidence = roads.evidence(into(roads, "b1"))
    [found] = locate(roads.crossings, evidence, [("site", "b")])
    assert (found.kind, found.place, found.others) == ("site", "b", ("node b1",))


def test_a_gateway() -> None:
    roads = Roads(grid(3, 3), gateways={"net": ["b1"]})
    dead = between(roads, "b", "*") + between(roads, "*", "b") + into(roads, "b1") + out_of(roads, "b1")
    assert told(roads.find(dead)) == [("gateway", "b1", "net", "both", True)]
    uplink = between(roads, "b", "*") + between(roads, "*", "b")
    assert told(roads.find(uplink)) == [("site", "b", "net", "both", True)]


def _ecmp(way: Way) -> list[tuple[str, ...]]:
    """Four flows, two over each of two equal paths."""
    src, dst, network = way
    if src[0] == dst[0]:
        return [(f"{dst}.{network}",)]
    return [(f"r-{src[0]}", f"p{flow % 2}-{src[0]}-{dst[0]}", f"{dst}.{network}") for flow in range(4)]


def test_a_bad_equal_cost_path() -> None:
    roads = Roads(grid(3, 2), hops=_ecmp)
    flows = [
        FlowSight(roads.row[way], hops, hops[1] == "p1-a-b")
        for way in between(roads, "a", "b")
        for hops in _ecmp(way)
    ]
    [found] = roads.find(flows=flows)
    assert told((found,)) == [("hop", "p1-a-b", "net", "in", True)]
    assert (found.links_bad, found.links_judged) == (4, 4)


def test_one_path_of_two_does_not_explain_a_dead_link() -> None:
    """Every link from a is dead; a hop that half of the flows cross cannot be why."""
    roads = Roads(grid(3, 2), hops=_ecmp)
    assert told(roads.find(between(roads, "a", "b"), whole=True)) == [("trunk", "a>b", "net", "out", True)]


def test_backward_trouble_of_links_without_a_reverse() -> None:
    roads = Roads(grid(3, 3), mirrored=False)
    ways = [(a, b, "net") for a in roads.nodes for b in roads.nodes if a != b]
    assert told(roads.find([way for way in ways if way[1] == "b2"])) == [("node", "b2", "net", "in", True)]
    assert told(roads.find([way for way in ways if way[0] == "b2"])) == [("node", "b2", "net", "out", True)]


def test_one_wrong_sight_does_not_clear_a_place_that_many_accuse() -> None:
    roads = Roads(grid(3, 8))
    bad = into(roads, "b1")[:-1]
    assert told(roads.find(bad)) == [("node", "b1", "net", "in", True)]


def test_the_whole_network() -> None:
    assert told(GRID.find(GRID.ways)) == [("network", "net", "net", "both", True)]


def _chain(way: Way) -> list[tuple[str, ...]]:
    """Sites a and b are behind router east, c and d behind west; each site has a router."""
    src, dst, network = way
    side = {"a": "east", "b": "east", "c": "west", "d": "west"}
    one, other = side[src[0]], side[dst[0]]
    hops = [f"r-{src[0]}"]
    if src[0] != dst[0]:
        hops += [f"{one}-from-{src[0]}", *([f"{other}-from-{one}"] if one != other else [])]
        hops += [f"r-{dst[0]}-from-{other}"]
    return [(*hops, f"{dst}.{network}")]


def test_a_trunk_that_several_sites_share() -> None:
    roads = Roads(grid(4, 2), hops=_chain)
    ways = [way for way in roads.ways if way[0][0] in "ab" and way[1][0] in "cd"]
    assert told(roads.find(ways)) == [("hop", "west-from-east", "net", "in", True)]


def test_hops_of_a_sites_edge_are_the_site() -> None:
    roads = Roads(grid(4, 2), hops=_chain)
    assert told(roads.find(between(roads, "c", "*"))) == [("site", "c", "net", "out", True)]
    both = between(roads, "c", "*") + between(roads, "*", "c")
    assert told(roads.find((), both, whole=True)) == [("site", "c", "net", "both", True)]


def test_of_hops_in_a_row_the_first_is_named() -> None:
    def hops(way: Way) -> list[tuple[str, ...]]:
        [(first, *rest)] = _chain(way)
        at = next((at for at, hop in enumerate(rest) if hop == "west-from-east"), None)
        return [(first, *rest[:at], "a-further-port", *rest[at:])] if at is not None else [(first, *rest)]

    roads = Roads(grid(4, 2), hops=hops)
    ways = [way for way in roads.ways if way[0][0] in "ab" and way[1][0] in "cd"]
    [found] = roads.find(ways)
    assert (found.place, found.sure, found.others) == ("a-further-port", False, ("hop west-from-east",))


@given(st.integers(0, 10**9))
@settings(max_examples=150, deadline=None)
def test_a_wrong_place_is_never_sure(seed: int) -> None:
    """Whatever is unknown, late or silent: what is seen may be too little, and is never held to be enough."""
    chance = Random(seed)
    one = scene(chance)
    noise = Noise(unknown=chance.choice((0.0, 0.1, 0.2)), late=chance.choice((0.0, 0.2)), cleared=0, others=0)
    found = locate(one.roads.crossings, sights(chance, one, noise))
    assert outcome(one, found) != WRONG, (one.fault.kind, one.fault.name, found)


@given(st.integers(0, 10**9))
@settings(max_examples=50, deadline=None)
def test_what_is_seen_in_full_is_found(seed: int) -> None:
    chance = Random(seed)
    one = scene(chance)
    found = locate(one.roads.crossings, sights(chance, one, Noise(0, 0, 0, 0, 0)))
    assert outcome(one, found) == RIGHT or not one.identifiable


def test_a_stretch_that_no_sweep_has_seen_is_told_as_the_network() -> None:
    roads = Roads(grid(4, 2))
    ways = [way for way in roads.ways if way[0][0] in "ab" and way[1][0] in "cd"]
    [found] = roads.find(ways)
    assert told((found,)) == [("network", "net", "net", "both", False)]
    assert set(found.others) == {"trunk a>c", "trunk a>d", "trunk b>c", "trunk b>d"}
    assert len(found.explains) == len(ways)


def test_a_site_without_power_is_one_finding() -> None:
    roads = Roads(grid(3, 3))
    ways = [way for way in roads.ways if "b" in (way[0][0], way[1][0])]
    assert told(roads.find((), ways, whole=True)) == [("site", "b", "net", "both", True)]
