"""Authenticated probing end to end: the right key is answered, a wrong one is refused and counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.probes.network.cable import FAMILIES, address, joined, link
from tests.probes.network.engines import Sink, plan_of, running

pytestmark = pytest.mark.root
RIGHT, WRONG, NONE = 1, 2, 3
"""Lanes: both have the key; the far end has another; the near end has none."""


@pytest.fixture(scope="module")
def signed() -> Iterator[tuple[Sink, Sink]]:
    lanes = (RIGHT, WRONG, NONE)
    key, other = b"k" * 32, b"o" * 32
    near_keys = {address(lane, family, "far"): key for lane in (RIGHT, WRONG) for family in FAMILIES}
    far_keys = {
        address(lane, family, "near"): other if lane == WRONG else key
        for lane in lanes
        for family in FAMILIES
    }
    with joined(3) as cable:
        near, far = (plan_of(end, lanes, 10_000_000, authenticated=True) for end in ("near", "far"))
        with running(cable, near, far, keys={"near": near_keys, "far": far_keys}) as both:
            probed = [link(lane, family) for lane in (RIGHT, WRONG) for family in FAMILIES]
            both.near_sink.wait_for_total(probed, 150)
        yield both.near_sink, both.far_sink


@pytest.mark.parametrize("family", FAMILIES)
def test_the_right_key_is_answered(signed: tuple[Sink, Sink], family: str) -> None:
    near, name = signed[0], link(RIGHT, family)
    assert near.total("sent", name) > 150
    assert near.answered(name) == near.total("sent", name)
    assert near.total("marks", name) == near.answered(name)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_wrong_key_is_not_answered(signed: tuple[Sink, Sink], family: str) -> None:
    near, name = signed[0], link(WRONG, family)
    assert near.total("sent", name) > 150
    assert near.answered(name) == 0
    assert near.total("lost_unattributed", name) == near.total("sent", name)


def test_refused_packets_are_counted_at_the_reflector(signed: tuple[Sink, Sink]) -> None:
    near, far = signed
    wrong = sum(near.total("sent", link(WRONG, family)) for family in FAMILIES)
    assert far.noted("refused_authentication") == wrong
    assert far.noted("refused_replay") + far.noted("refused_peer") == 0


def test_a_link_without_a_key_is_not_probed(signed: tuple[Sink, Sink]) -> None:
    assert {link(NONE, family) for family in FAMILIES}.isdisjoint(signed[0].windows().text("link"))
