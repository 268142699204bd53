"""`linkgauge probe` in the lab's network: what it says is what nft dropped, and the path that was built."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lab.places import demo_topology
from lab.world import NamespaceWorld

pytestmark = pytest.mark.root

SRC, DST, NETWORK = "jinan-1", "guiyang-1", "backbone"
MAIN = [sys.executable, "-m", "console.main"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamespaceWorld]:
    """The lab, with a reflector on one node."""
    with NamespaceWorld(demo_topology(), tmp_path_factory.mktemp("worlds")) as made:
        listen = ["--listen", made.topology.address(DST, NETWORK)]
        allow = ["--allow", made.topology.address(SRC, NETWORK)]
        argv = made.command(DST, [*MAIN, "reflector", *allow, *listen])
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as far:
            assert far.stderr is not None
            assert any("answering at" in line for line in far.stderr)
            yield made
            far.terminate()


@pytest.fixture(autouse=True)
def _mended(world: NamespaceWorld) -> None:
    world.clear_faults()


def probe(world: NamespaceWorld, *options: str) -> dict[str, Any]:
    argv = [*MAIN, "probe", world.topology.address(DST, NETWORK), "--json", *options]
    done = subprocess.run(world.command(SRC, argv), capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode in (0, 1), done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_good_link_and_its_path(world: NamespaceWorld) -> None:
    answer = probe(world, "--path", "--icmp", "--dscp", "0,46", "--count", "100", "--rate-pps", "100")
    assert answer["fine"]
    truth_us = 2 * world.topology.true_delay_us(SRC, DST, NETWORK)
    for one in answer["packets"]:
        assert abs(one["rtt_min_us"] - truth_us) <= max(200, truth_us / 10)
        assert (one["dscp_forward"], one["hops_forward"], one["hops_backward"]) == (one["dscp"], 2, 2)
    addresses = answer["ways"][0]["path"].split()
    assert len(addresses) == 3
    assert addresses[-1] == world.topology.address(DST, NETWORK)
    [icmp] = answer["echoes"]
    assert icmp["answered"] == icmp["sent"] > 0


@pytest.mark.parametrize(("src", "dst", "field"), [(SRC, DST, "lost_forward"), (DST, SRC, "lost_backward")])
def test_loss_is_what_was_dropped_in_its_direction(
    world: NamespaceWorld, src: str, dst: str, field: str
) -> None:
    world.inject_loss(src, dst, NETWORK, 0.2)
    answer = probe(world, "--count", "500", "--rate-pps", "250")
    [one] = answer["packets"]
    assert not answer["fine"]
    untold = one["lost_unattributed"]  # of the last packets: no later reply tells which way they were lost
    assert one["lost_forward"] + one["lost_backward"] == one[field] > one["sent"] / 10 > 10
    assert one[field] + untold == world.faults.dropped(dst)
    assert untold < 10
    assert one["sent"] == one["replied"] + one["late"] + one[field] + untold
    way = "out" if field == "lost_forward" else "back"
    assert f"{one[field]} {way}" in answer["judgement"][0]


def test_a_dead_link_has_no_reply(world: NamespaceWorld) -> None:
    world.inject_loss(SRC, DST, NETWORK, 1.0)
    answer = probe(world, "--count", "50", "--rate-pps", "100")
    [one] = answer["packets"]
    assert one["sent"] > 0
    assert answer["judgement"][0].startswith(f"no reply to {one['sent']} packets")
