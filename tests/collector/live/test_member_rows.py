"""How nodes stand on their networks: counts by verdict, gateways, the least and the most that was carried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from collector.live.member_rows import MemberRows
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory
from linkgauge.schema import STATE
from tests.collector.world import inventory


def state(made: Inventory, **columns: Sequence[float]) -> Frame:
    links = [str(link) for link in made.links]
    times = {"start_ns": [10**18] * len(links), "length_ns": [10**10] * len(links)}
    return Frame.of(STATE, {"link": links, **times, **columns})


def row(frame: Frame, node: str, network: str) -> dict[str, float]:
    (at,) = np.flatnonzero((frame.text("node") == node) & (frame.text("network") == network))
    return {f.name: float(np.asarray(frame.columns[f.name])[at]) for f in frame.table.fields}


def test_every_node_stands_once_on_each_of_its_networks(tmp_path: Path) -> None:
    made = inventory(tmp_path)
    frame = MemberRows(lambda: made).rows(state(made))
    found = list(zip(*(frame.text(key).tolist() for key in frame.table.keys), strict=True))
    assert found == [(n.name, network, n.site) for n in made.nodes.values() for network in n.addresses]
    assert set(frame.count("start_ns").tolist()) == {10**18}


def test_links_count_where_they_begin(tmp_path: Path) -> None:
    made = inventory(tmp_path)
    links = list(made.links)
    verdict = [at % 3 for at in range(len(links))]
    silent = [9.0 if at % 2 else 0.0 for at in range(len(links))]
    frame = MemberRows(lambda: made).rows(state(made, verdict=verdict, unanswered_s=silent))
    for node in made.nodes:
        for network in made.nodes[node].addresses:
            own = [at for at, link in enumerate(links) if (link.src, link.network) == (node, network)]
            found = row(frame, node, network)
            assert found["links_met"] == sum(verdict[at] == 1 for at in own)
            assert found["links_missed"] == sum(verdict[at] == 2 for at in own)
            assert found["links_unknown"] == sum(verdict[at] == 0 for at in own)
            assert found["links_down"] == sum(silent[at] > 1 for at in own)


def test_the_least_and_the_most_of_what_is_known(tmp_path: Path) -> None:
    made = inventory(tmp_path)
    links = list(made.links)
    node, network = links[0].src, links[0].network
    own = [at for at, link in enumerate(links) if (link.src, link.network) == (node, network)]
    received = [math.nan] * len(links)
    for number, at in enumerate(own[:2]):
        received[at] = 1e6 * (number + 1)
    found = row(MemberRows(lambda: made).rows(state(made, received_bps=received)), node, network)
    assert (found["received_least_bps"], found["received_most_bps"]) == (1e6, 1e6 * min(2, len(own)))
    assert math.isnan(found["promised_bps"])


def test_a_changed_inventory_is_followed(tmp_path: Path) -> None:
    made = inventory(tmp_path)
    now = [made]
    rows = MemberRows(lambda: now[0])
    network = next(iter(made.networks))
    member = made.members(network)[0].name
    assert row(rows.rows(state(made)), member, network)["gateway"] == 0
    networks = {**made.networks, network: replace(made.networks[network], gateways=(member,))}
    now[0] = replace(made, networks=networks)
    assert row(rows.rows(state(now[0])), member, network)["gateway"] == 1
