"""Which nodes of a network are paired where a full mesh would be too much. Pure.

The rule of a thinned mesh with k representatives:

- For each pair of sites, each of the two is represented by the k of its nodes that score highest for this
  pair (rendezvous hashing); a site with fewer nodes by all of them. All pairs between the representatives of
  the two are measured, in both directions.
- Inside a site its nodes stand in a ring, in the order of a hash; each is paired with the k that follow it,
  in both directions. So every node is measured, and a site of up to 2 k + 1 nodes has all its pairs.

So two sites with k nodes or more each share at least k node pairs without a common node, on every network.
The score depends on nothing but the names of the network, the two sites and the node. A node that comes or
goes therefore changes only links of site pairs that it represents, and those across its place in the ring.

Scores: BLAKE2b (RFC 7693) of the names, 64 bits each, mixed by the finaliser of SplitMix64 (Steele, Lea,
Flood: Fast splittable pseudorandom number generators, 2014). The order of rows in the file has no say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]


def full(members: Sequence[int]) -> Ints:
    """All ordered pairs of different members, (n * (n - 1), 2), in the order of `members`."""
    all_of = np.asarray(members, np.int64)
    pairs = np.stack([np.repeat(all_of, len(all_of)), np.tile(all_of, len(all_of))], axis=1)
    different: Ints = pairs[pairs[:, 0] != pairs[:, 1]]
    return different


def thinned(network: str, sites: Mapping[str, Mapping[str, int]], representatives: int) -> Ints:
    """Ordered pairs of a thinned mesh, (n, 2) int64, sorted. sites: numbers of the nodes by site and name."""
    pairs = [*_between(network, sites, representatives), *_inside(network, sites, representatives)]
    one_way = np.concatenate([np.empty((0, 2), np.int64), *pairs])
    return np.unique(np.concatenate([one_way, one_way[:, ::-1]]), axis=0)


def size_of_full(nodes: int) -> int:
    """Links of a full mesh."""
    return nodes * (nodes - 1)


def size_of_thinned(nodes: Sequence[int], representatives: int) -> int:
    """Links of a thinned mesh of sites with so many nodes each."""
    shown = [min(count, representatives) for count in nodes]
    between = sum(shown) ** 2 - sum(count**2 for count in shown)
    return between + sum(count * min(2 * representatives, count - 1) for count in nodes if count)


def _between(network: str, sites: Mapping[str, Mapping[str, int]], k: int) -> Iterator[Ints]:
    """Pairs of representatives, from the site whose name sorts first."""
    names = sorted(name for name, nodes in sites.items() if nodes)
    keys = {name: _keys("node", network, sites[name]) for name in names}
    own = _keys("site", network, names)
    chosen = {}
    for at, name in enumerate(names):
        pair = _mix(np.maximum(own[at], own) ^ _mix(np.minimum(own[at], own)))  # (sites,), the same for both
        score = _mix(keys[name][None, :] ^ pair[:, None])
        best = np.argsort(score, axis=1, kind="stable")[:, -k:]
        chosen[name] = np.array(list(sites[name].values()), np.int64)[best]
    for at, name in enumerate(names):
        for other in range(at + 1, len(names)):
            mine, theirs = chosen[name][other], chosen[names[other]][at]
            src = np.repeat(mine, len(theirs))
            yield np.stack([src, np.tile(theirs, len(mine))], axis=1)


def _inside(network: str, sites: Mapping[str, Mapping[str, int]], k: int) -> Iterator[Ints]:
    """Each node with those that follow it in its site's ring."""
    for nodes in sites.values():
        ring = np.array(list(nodes.values()), np.int64)[np.argsort(_keys("ring", network, nodes))]
        for step in range(1, min(k, len(ring) - 1) + 1):
            yield np.stack([ring, np.roll(ring, -step)], axis=1)


def _keys(use: str, network: str, names: Sequence[str] | Mapping[str, int]) -> Keys:
    """64 bits for each name."""
    start = hashlib.blake2b(f"{use} {network} ".encode(), digest_size=8)
    digests = []
    for name in names:
        one = start.copy()
        one.update(name.encode())
        digests.append(one.digest())
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _mix(value: Keys) -> Keys:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
