"""The inventory: what a good file means, and the exact sentences that a bad one earns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from linkgauge.errors import ConfigError
from linkgauge.inventory import Inventory, load
from linkgauge.model import DEFAULT_TIERS, Link, NetworkKind, Node

GOOD = """\
version: 1
sites:
  - {name: jinan, region: shandong, operator: op, latitude_deg: 36.7, longitude_deg: 117.0}
  - {name: qingdao, region: shandong, operator: op}
  - {name: guiyang, region: guizhou, operator: op}
networks:
  - {name: backbone, kind: backbone, promised_bps: 10000000}
  - {name: private, kind: private, mesh: listed}
nodes:
  - {name: j1, site: jinan, addresses: {backbone: 10.0.0.1, private: "fd00::1"}}
  - {name: j2, site: jinan, addresses: {backbone: 10.0.0.2}}
  - {name: q1, site: qingdao, addresses: {backbone: 10.0.0.3, private: "fd00:0::3"}}
  - {name: g1, site: guiyang, addresses: {backbone: 10.0.0.4}, compute_id: "a:b:c:super:x"}
links:
  - {link: j1>q1@private, tier: metro, promised_bps: 5000}
  - {link: j1>g1@backbone, promised_bps: 7}
"""

NAME_RULE = "string should match pattern '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'"

BAD: list[tuple[str, str, str, list[str]]] = [
    (
        "unknown key",
        "version: 1\n",
        "version: 1\ndelay_objektive: 3\n",
        ["delay_objektive: there is no such key; remove it or correct its name"],
    ),
    (
        "unknown key inside",
        "{name: qingdao,",
        "{name: qingdao, city: x,",
        ["sites[1].city: there is no such key; remove it or correct its name"],
    ),
    ("missing key", "site: jinan, addresses: {backbone: 10.0.0.2}", "site: jinan",
     ["nodes[1].addresses: this key is missing; add it"]),
    ("other version", "version: 1", "version: 2", ["version: input should be 1, got 2"]),
    (
        "duplicate node",
        "name: j2",
        "name: j1",
        ["nodes[1].name: node j1 is already at nodes[0]; remove or rename one"],
    ),
    (
        "duplicate site and what no longer exists",
        "name: qingdao, region: shandong",
        "name: jinan, region: shandong",
        [
            "sites[1].name: site jinan is already at sites[0]; remove or rename one",
            "nodes[2].site: qingdao is not among sites; add it there or correct the name",
        ],
    ),
    (
        "duplicate link",
        "links:\n",
        "links:\n  - {link: j1>g1@backbone}\n",
        ["links[2].link: link j1>g1@backbone is already at links[0]; remove or rename one"],
    ),
    (
        "link to a node that is not on the network",
        "j1>q1@private",
        "j1>g1@private",
        ["links[0].link: node g1 is not on network private; give it an address there"],
    ),
    (
        "link to nobody",
        "j1>q1@private",
        "j1>x@private",
        ["links[0].link: there is no node x; add it to nodes"],
    ),
    (
        "link on no network",
        "j1>q1@private",
        "j1>q1@dark",
        ["links[0].link: there is no network dark; add it to networks"],
    ),
    (
        "link of another form",
        "j1>q1@private",
        "j1-q1",
        ["links[0].link: link 'j1-q1' is not of the form src>dst@network with two different nodes"],
    ),
    (
        "address twice",
        "backbone: 10.0.0.2",
        "backbone: 10.0.0.1",
        [
            "nodes[1].addresses.backbone: 10.0.0.1 is already that of node j1 on backbone; "
            "each address may stand once"
        ],
    ),
    (
        "IPv6 address twice in two spellings",
        "fd00:0::3",
        "fd00:0:0::0:1",
        [
            "nodes[2].addresses.private: fd00::1 is already that of node j1 on private; "
            "each address may stand once"
        ],
    ),
    (
        "no host's address",
        "backbone: 10.0.0.2",
        "backbone: 224.0.0.2",
        [
            "nodes[1].addresses.backbone: 224.0.0.2 is no host's address; "
            "give the address that the node has there"
        ],
    ),
    (
        "no address",
        "backbone: 10.0.0.2",
        "backbone: 10.0.0.256",
        [
            "nodes[1].addresses.backbone: must be an IPv4 or IPv6 address, written as text, "
            "got '10.0.0.256'"
        ],
    ),
    (
        "a number for an address",
        "backbone: 10.0.0.2",
        "backbone: 7",
        ["nodes[1].addresses.backbone: must be an IPv4 or IPv6 address, written as text, got 7"],
    ),
    (
        "unknown site",
        "site: guiyang",
        "site: guyang",
        ["nodes[3].site: guyang is not among sites; add it there or correct the name"],
    ),
    (
        "unknown network",
        "{backbone: 10.0.0.2}",
        "{bakbone: 10.0.0.2}",
        ["nodes[1].addresses.bakbone: there is no such network; add it to networks"],
    ),
    (
        "unknown tier",
        "tier: metro",
        "tier: metre",
        ["links[0].tier: there is no tier metre; it may be one of metro, region, hub"],
    ),
    (
        "bad name",
        "{name: qingdao, region: shandong",
        "{name: qingdao, region: Shan Dong",
        [f"sites[1].region: {NAME_RULE}, got 'Shan Dong'"],
    ),
    (
        "bad name as a key",
        "{backbone: 10.0.0.2}",
        "{Back Bone: 10.0.0.2}",
        [f"nodes[1].addresses.Back Bone: {NAME_RULE}, got 'Back Bone'"],
    ),
    (
        "bad compute identifier",
        "a:b:c:super:x",
        "a:b:c:super",
        [
            "nodes[3].compute_id: compute identifier 'a:b:c:super' has 4 parts, but needs five: "
            "owner:industry:location:type:specification"
        ],
    ),
    (
        "period shorter than a window",
        "version: 1\n",
        "version: 1\nperiod_s: 5\n",
        ["period_s: 5 is shorter than one window of 10; make it longer"],
    ),
    (
        "not a number",
        "version: 1\n",
        "version: 1\nprobing: {stamp: {rate_pps: 0}}\n",
        ["probing.stamp.rate_pps: input should be greater than or equal to 0.001, got 0"],
    ),
    (
        "class twice",
        "version: 1\n",
        "version: 1\nprobing: {stamp: {classes: [0, 46, 0]}}\n",
        ["probing.stamp.classes: a class stands twice; remove one"],
    ),
    (
        "TWAMP-Light with keys",
        'super:x"}\nlinks:\n',
        'super:x", reflector: twamp-light}\nprobing: {stamp: {authenticated: true}}\nlinks:\n',
        [
            "nodes[3].reflector: TWAMP-Light cannot be authenticated;"
            " set probing.stamp.authenticated to false"
        ],
    ),
    (
        "no such reflector",
        "{backbone: 10.0.0.2}}\n",
        "{backbone: 10.0.0.2}, reflector: mirror}\n",
        ["nodes[1].reflector: input should be 'stateful', 'stateless' or 'twamp-light', got 'mirror'"],
    ),
    (
        "class that is no DSCP",
        "version: 1\n",
        "version: 1\nprobing: {stamp: {classes: [64]}}\n",
        ["probing.stamp.classes[0]: input should be less than or equal to 63, got 64"],
    ),
    (
        "duplicate YAML key",
        "version: 1\n",
        "version: 1\nwindow_s: 5\nwindow_s: 6\n",
        ["key 'window_s' stands twice; remove one"],
    ),
    (
        "not YAML",
        "version: 1\n",
        "version: [1\n",
        ["not valid YAML: did not find expected ',' or ']'"],
    ),
]  # fmt: skip


def without_lines(faults: Iterable[str]) -> list[str]:
    return [re.sub(r"(\.yaml: )line \d+: ", r"\1", fault) for fault in faults]


def read(folder: Path, text: str) -> Inventory:
    path = folder / "inventory.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


@pytest.mark.parametrize(("old", "new", "faults"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_file(tmp_path: Path, old: str, new: str, faults: list[str]) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, GOOD.replace(old, new))
    assert without_lines(caught.value.faults) == [f"{tmp_path}/inventory.yaml: {fault}" for fault in faults]


@pytest.mark.parametrize(
    ("written", "told"), [("on", "on"), ("off", "off"), ("auto", "auto"), ('"on"', "on")]
)
def test_a_switch_is_written_as_the_readme_spells_it(tmp_path: Path, written: str, told: str) -> None:
    text = f"{GOOD}\nprobing: {{stamp: {{transmit_stamps: {written}}}}}\n"
    assert read(tmp_path, text).probing.stamp.transmit_stamps == told


def test_all_faults_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("name: j2", "name: j1").replace("site: guiyang", "site: x").replace(
        "tier: metro", "tier: y"
    )  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text.replace("10.0.0.3", "10.0.0.4"))
    assert [fault.partition(": ")[2] for fault in without_lines(caught.value.faults)] == [
        "nodes[1].name: node j1 is already at nodes[0]; remove or rename one",
        "nodes[3].site: x is not among sites; add it there or correct the name",
        "nodes[3].addresses.backbone: 10.0.0.4 is already that of node q1 on backbone; "
        "each address may stand once",
        "links[0].tier: there is no tier y; it may be one of metro, region, hub",
    ]


def test_links_of_full_mesh_and_listed_networks(tmp_path: Path) -> None:
    links = read(tmp_path, GOOD).links
    assert [str(link) for link in links] == [
        "j1>j2@backbone", "j1>q1@backbone", "j1>g1@backbone",
        "j2>j1@backbone", "j2>q1@backbone", "j2>g1@backbone",
        "q1>j1@backbone", "q1>j2@backbone", "q1>g1@backbone",
        "g1>j1@backbone", "g1>j2@backbone", "g1>q1@backbone",
        "j1>q1@private",
    ]  # fmt: skip


def test_a_link_knows_its_tier_promise_and_mirror(tmp_path: Path) -> None:
    links = read(tmp_path, GOOD).links
    assert links[Link("j1", "j2", "backbone")].tier == DEFAULT_TIERS["metro"]
    assert links[Link("j1", "q1", "backbone")].tier == DEFAULT_TIERS["region"]
    assert links[Link("q1", "g1", "backbone")].tier == DEFAULT_TIERS["hub"]
    assert links[Link("j1", "g1", "backbone")].promised_bps == 7
    assert links[Link("g1", "j1", "backbone")].promised_bps == 10_000_000
    private = links[Link("j1", "q1", "private")]
    assert (private.tier.name, private.promised_bps, private.mirrored) == ("metro", 5000, False)
    assert links[Link("j1", "g1", "backbone")].mirrored
    assert private.tags == {
        "link": "j1>q1@private", "src": "j1", "dst": "q1", "src_site": "jinan", "dst_site": "qingdao",
        "src_region": "shandong", "dst_region": "shandong", "network": "private", "tier": "metro",
    }  # fmt: skip


def test_values_of_a_good_file(tmp_path: Path) -> None:
    inventory = read(tmp_path, GOOD + "tiers: {gold: {delay_us: 400}}\nprobing: {icmp: null}\n")
    assert (inventory.window_s, inventory.period_s) == (10, 900)
    assert inventory.tiers["gold"].delay_us == 400
    assert inventory.tiers["hub"] == DEFAULT_TIERS["hub"]
    assert inventory.sites["jinan"].latitude_deg == 36.7
    assert inventory.networks["private"].kind is NetworkKind.PRIVATE
    assert inventory.probing.icmp is None
    assert inventory.probing.tcp is not None
    assert inventory.nodes["q1"] == Node("q1", "qingdao", {"backbone": "10.0.0.3", "private": "fd00::3"})
    assert str(inventory.nodes["g1"].compute_id) == "a:b:c:super:x"
    assert [node.name for node in inventory.members("private")] == ["j1", "q1"]


def test_what_follows_from_a_fault_alone_is_not_told(tmp_path: Path) -> None:
    """A wrong name, address or time is told once; what hangs on it is no fault of the file."""
    text = GOOD.replace("10.0.0.1,", "10.0.0.x,").replace(
        "{name: qingdao, region", "{name: qingdao, kind: a, region"
    )
    work = "maintenance:\n  - {from: x, until: 2026-11-22T02:00:00+08:00, reason: a, site: [jinan]}\n"
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text + work)
    assert [fault.split(": ")[1:3] for fault in caught.value.faults] == [
        ["line 4", "sites[1].kind"],
        ["line 10", "nodes[0].addresses.backbone"],
        ["line 18", "maintenance[0].from"],
        ["line 18", "maintenance[0].site"],
    ]
