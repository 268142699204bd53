"""What is told to the kernel, read from the texts: the wires carry the truth, names fit."""

from __future__ import annotations

import re

from lab import names
from lab.blueprint import Blueprint
from lab.ether import netem_script
from lab.places import demo_topology


def test_wires_are_the_delays_of_the_topology() -> None:
    topology = demo_topology()
    wanted = [member.delay_us for plane in topology.planes for member in plane.members if member.delay_us]
    wanted += [trunk.delay_us for plane in topology.planes for trunk in plane.trunks]
    wires = Blueprint(topology, "lg00aa").wires
    assert sorted(wire.delay_us for wire in wires) == sorted(wanted)
    assert len({end for wire in wires for end in (wire.left, wire.right)}) == 2 * len(wires)


def test_every_namespace_is_of_the_world_and_has_a_script() -> None:
    blueprint = Blueprint(demo_topology(), "lg00aa")
    assert len(blueprint.namespaces) == 6 + 3 + 1 + 2
    assert all(names.belongs(name, "lg00aa") for name in blueprint.namespaces)
    assert set(blueprint.scripts()) == set(blueprint.namespaces)
    assert set(re.findall(r"netns add (\S+)", blueprint.creation())) == set(blueprint.namespaces)


def test_interfaces_are_made_in_place_with_names_that_fit() -> None:
    lines = [
        line for line in Blueprint(demo_topology(), "lg00aa").creation().splitlines() if "link add" in line
    ]
    ends = [end for line in lines for end in re.findall(r"(?:add|name) (\S+) netns (\S+)", line)]
    assert len(ends) == 2 * len(lines) == len(set(ends))
    assert all(len(interface) <= 15 for interface, _ in ends)


def test_limits_stand_on_the_nodes_only() -> None:
    topology = demo_topology()
    scripts = Blueprint(topology, "lg00aa").scripts()
    for name, script in scripts.items():
        limits = re.findall(r"root tbf rate (\d+)bit", script)
        node = name.removeprefix("lg00aa-node-")
        on = [p for p in topology.planes if any(m.node == node for m in p.members)]
        assert [int(rate) for rate in limits] == [plane.capacity_bps for plane in on]


def test_netem_delays_each_end_of_each_wire() -> None:
    wires = Blueprint(demo_topology(), "lg00aa").wires
    script = netem_script(wires)
    for wire in wires:
        for end in (wire.left, wire.right):
            assert re.search(rf"qdisc add dev {end} root netem delay {wire.delay_us}us ", script)
    bridges = re.findall(r"link set w\d+[ab] master (b\d+)", script)
    assert all(bridges.count(bridge) == 2 for bridge in bridges)
    assert len(bridges) == 2 * len(wires)
