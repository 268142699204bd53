"""The demo's configuration is what the real readers accept, and it says what the lab is."""

from __future__ import annotations

from pathlib import Path

from console.demo import files
from lab.places import demo_topology, loopback_topology
from linkgauge import inventory
from linkgauge.model import Link


def test_the_inventory_has_the_labs_links_tiers_and_promises(tmp_path: Path) -> None:
    topology = demo_topology()
    path = files.write_yaml(tmp_path / "inventory.yaml", files.inventory(topology, files.NAMESPACE_PORTS))
    made = inventory.load(path)
    assert set(made.links) == {Link(*link) for link in topology.links()}
    assert len({site.region for site in made.sites.values()}) == 2
    assert len(made.nodes) == 6
    by_tier = {spec.tier.name: spec for spec in made.links.values()}
    assert set(by_tier) == {"metro", "region", "hub"}
    for link, spec in made.links.items():
        assert topology.true_delay_us(link.src, link.dst, link.network) < spec.tier.delay_us
        assert spec.promised_bps == 0.8 * topology.capacity_bps(link.network)
        assert spec.mirrored


def test_loopback_promises_nothing(tmp_path: Path) -> None:
    text = files.inventory(loopback_topology(), files.LOOPBACK_PORTS)
    made = inventory.load(files.write_yaml(tmp_path / "inventory.yaml", text))
    assert {spec.promised_bps for spec in made.links.values()} == {0}


def test_the_fault_is_on_a_link_between_regions() -> None:
    for topology in (demo_topology(), loopback_topology()):
        link = files.fault_link(topology)
        regions = {topology.site(topology.node(name).site).region for name in (link.src, link.dst)}
        assert len(regions) == 2
        assert link.network == "backbone"
