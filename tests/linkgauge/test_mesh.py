"""Thinned meshes: what is covered, that load is spread, and that a change stays where it happens."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgauge import mesh

Pairs = set[tuple[str, str]]
SITES = st.dictionaries(
    st.sampled_from([f"s{at}" for at in range(7)]),
    st.sets(st.integers(0, 30), min_size=1, max_size=9),
    min_size=1,
)

EXPECTED = {
    "x": [("a-2", "b-1"), ("a-2", "b-2"), ("a-3", "b-1"), ("a-3", "b-2")],
    "y": [("a-1", "b-1"), ("a-1", "b-2"), ("a-3", "b-1"), ("a-3", "b-2")],
}


def _named(sites: dict[str, set[int]]) -> dict[str, list[str]]:
    return {site: [f"{site}-{number}" for number in sorted(numbers)] for site, numbers in sites.items()}


def _pairs(sites: dict[str, list[str]], k: int = 2, network: str = "net") -> Pairs:
    """Links of the thinned mesh by name."""
    names = [name for nodes in sites.values() for name in nodes]
    number = {name: at for at, name in enumerate(names)}
    found = mesh.thinned(network, {site: {n: number[n] for n in nodes} for site, nodes in sites.items()}, k)
    made = {(names[src], names[dst]) for src, dst in found.tolist()}
    assert len(made) == len(found)
    return made


def _site(name: str) -> str:
    return name.partition("-")[0]


@given(SITES, st.integers(2, 8))
def test_every_pair_of_sites_is_covered_by_disjoint_pairs_of_nodes(
    drawn: dict[str, set[int]], k: int
) -> None:
    sites = _named(drawn)
    links = _pairs(sites, k)
    assert len(links) == mesh.size_of_thinned([len(nodes) for nodes in sites.values()], k)
    assert all((dst, src) in links and src != dst for src, dst in links)
    for one, other in combinations(sites, 2):
        between = [(a, b) for a, b in links if (_site(a), _site(b)) == (one, other)]
        mine, theirs = {a for a, _ in between}, {b for _, b in between}
        assert len(mine) == min(k, len(sites[one]))
        assert len(theirs) == min(k, len(sites[other]))
        assert len(between) == len(mine) * len(theirs)  # all pairs: min(len) of them have no common node


@given(SITES)
def test_every_node_that_is_not_alone_is_measured(drawn: dict[str, set[int]]) -> None:
    sites = _named(drawn)
    measured = {src for src, _ in _pairs(sites)}
    nodes = {name for names in sites.values() for name in names}
    assert measured == (nodes if len(nodes) > 1 else set())
    for site, names in sites.items():
        inside = {(a, b) for a, b in _pairs(sites) if _site(a) == _site(b) == site}
        if len(names) <= 5:
            assert len(inside) == mesh.size_of_full(len(names))


@given(SITES, st.data(), st.integers(2, 4))
def test_a_node_that_leaves_changes_only_what_it_stood_for(
    drawn: dict[str, set[int]], data: st.DataObject, k: int
) -> None:
    sites = _named(drawn)
    site = data.draw(st.sampled_from(sorted(sites)))
    gone = data.draw(st.sampled_from(sites[site]))
    before = _pairs(sites, k)
    after = _pairs({name: [n for n in nodes if n != gone] for name, nodes in sites.items()}, k)
    assert {link for link in before - after if gone not in link} == set()
    represented = {_site(dst) for src, dst in before if src == gone} - {site}
    for src, dst in after - before:
        assert site in (_site(src), _site(dst))
        assert {_site(src), _site(dst)} - {site} <= represented
    assert sum(_site(a) == _site(b) for a, b in after - before) <= 2 * k  # the ring closes behind it


@given(SITES, st.randoms(use_true_random=False))
def test_the_order_in_the_file_has_no_say(drawn: dict[str, set[int]], random: Random) -> None:
    sites = _named(drawn)
    mixed = {
        site: random.sample(sites[site], len(sites[site])) for site in random.sample(list(sites), len(sites))
    }
    assert _pairs(mixed) == _pairs(sites)


def test_the_choice_never_changes() -> None:
    """These links would move with another hash, and with them what a year of windows is about."""
    sites = {"a": ["a-1", "a-2", "a-3"], "b": ["b-1", "b-2", "b-3"]}
    chosen = {network: sorted(p for p in _pairs(sites, 2, network) if p[0] < p[1]) for network in ("x", "y")}
    between = {network: [p for p in pairs if p[0][0] != p[1][0]] for network, pairs in chosen.items()}
    assert between == EXPECTED


def test_load_is_spread() -> None:
    """100 sites of 20 nodes: each site stands in 99 pairs with 2 nodes, so a node in 9.9 on average."""
    sites = {f"s{at}": [f"s{at}-{n}" for n in range(20)] for at in range(100)}
    pairs = {(src, _site(dst)) for src, dst in _pairs(sites) if _site(src) != _site(dst)}
    per_node = Counter(src for src, _ in pairs)
    counts = np.array([per_node[name] for names in sites.values() for name in names])
    assert counts.mean() == pytest.approx(2 * 99 / 20)
    assert counts.max() <= 3 * counts.mean()  # of 2 000 draws like a Poisson one's the highest is about 23
    assert counts.std() <= 1.2 * np.sqrt(counts.mean())


def test_a_full_mesh_is_all_ordered_pairs() -> None:
    assert mesh.full([3, 1, 2]).tolist() == [[3, 1], [3, 2], [1, 3], [1, 2], [2, 3], [2, 1]]
    assert len(mesh.full(range(20))) == mesh.size_of_full(20)
    assert mesh.full([]).shape == mesh.thinned("net", {}, 2).shape == (0, 2)
