"""Inventories whose meshes are thinned, and those that are too large for a full one."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkgauge.errors import ConfigError
from linkgauge.inventory import Inventory, load
from linkgauge.model import Link


def read(folder: Path, networks: str, sites: int, nodes: int, more: str = "") -> Inventory:
    """`nodes` nodes, node i in site i mod `sites`, all on the network `n`."""
    lines = ["version: 1", "sites:"]
    lines += [f"  - {{name: s{at}, region: r, operator: o}}" for at in range(sites)]
    lines += ["networks:", f"  - {{name: n, kind: private, {networks}}}", "nodes:"]
    lines += [
        f"  - {{name: h{at}, site: s{at % sites}, addresses: {{n: 10.0.{at // 250}.{at % 250 + 1}}}}}"
        for at in range(nodes)
    ]
    path = folder / "inventory.yaml"
    path.write_text("\n".join(lines) + "\n" + more)
    return load(path)


def test_listed_links_stand_beside_those_of_the_mesh(tmp_path: Path) -> None:
    thin = read(tmp_path, "mesh: thinned", 3, 60).links
    assert len(thin) == 3 * 2 * 4 + 3 * 20 * 4
    assert all(spec.mirrored for spec in thin.values())
    absent = next(
        link for at in range(1, 60) if (link := Link("h0", f"h{at}", "n")) not in thin and at % 3 == 1
    )
    there = next(link for link in thin if link.src == "h0")
    listed = f"links: [{{link: {absent}, promised_bps: 7}}, {{link: {there}, tier: hub}}]\n"
    more = read(tmp_path, "mesh: thinned", 3, 60, listed).links
    assert set(more) == {*thin, absent}
    assert (more[absent].promised_bps, more[absent].mirrored) == (7, False)
    assert more[there].tier.name == "hub"
    order = {f"h{at}": at for at in range(60)}
    assert list(more) == sorted(more, key=lambda link: (order[link.src], order[link.dst]))


def test_more_representatives_are_more_links(tmp_path: Path) -> None:
    two, three = (read(tmp_path, f"mesh: thinned, representatives: {k}", 4, 40).links for k in (2, 3))
    assert len(three) == 4 * 3 * 9 + 4 * 10 * 6
    between = {link for link in two if int(link.src[1:]) % 4 != int(link.dst[1:]) % 4}
    assert between <= set(three)  # the highest two are among the highest three


@pytest.mark.parametrize(
    ("networks", "sites", "nodes", "words"),
    [
        (
            "mesh: full", 2, 1_001,
            "line 6: networks[0].mesh: a full mesh of 1001 nodes is 1001000 links, and the file has 1001000 "
            "links, at most 1000000 may be; use thinned",
        ),
        (
            "mesh: thinned, representatives: 8", 150, 1_200,
            "line 154: networks[0].representatives: 8 are too many: the file has 1438800 links, at most "
            "1000000 may be; take fewer",
        ),
    ],
)  # fmt: skip
def test_too_many_links_are_a_fault_with_its_mend(
    tmp_path: Path, networks: str, sites: int, nodes: int, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, networks, sites, nodes)
    assert caught.value.faults == (f"{tmp_path}/inventory.yaml: {words}",)
