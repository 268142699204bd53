"""Loss by direction against the counters of nft, which does the dropping."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.probes.network.cable import FAMILIES, Cable, joined, link, reply, request
from tests.probes.network.engines import Sink, plan_of, running

pytestmark = pytest.mark.root
LANES = {1: (1, 10), 2: (10, 1)}
"""Lane: percent dropped out, percent dropped back."""
INTERVAL_NS = 1_000_000


@pytest.fixture(scope="module")
def dropped() -> Iterator[tuple[Sink, Sink, dict[str, int]]]:
    """Drops begin after the first window and end a window before the last: so replies stand on both sides."""
    with joined(len(LANES)) as cable:
        pairs = [(lane, family) for lane in LANES for family in FAMILIES]
        with running(cable, plan_of("near", LANES, INTERVAL_NS), plan_of("far", LANES, INTERVAL_NS)) as both:
            both.near_sink.wait_for(1)
            for end, match, way in (("far", request, 0), ("near", reply, 1)):
                rules = [
                    f"{match(*pair)} numgen random mod 100 < {LANES[pair[0]][way]} "
                    f"counter name {end}{pair[0]}{pair[1]} drop"
                    for pair in pairs
                ]
                cable.rules(end, incoming=rules)
            both.near_sink.wait_for(3)
            both.near_sink.wait_until(lambda: _enough(cable), "too few packets are dropped")
            for end in ("far", "near"):
                cable.lift(end)
            both.near_sink.wait_for(len(both.near_sink.frames) + 2)
        yield both.near_sink, both.far_sink, cable.counters("far") | cable.counters("near")


def _enough(cable: Cable) -> bool:
    """Whether each rule dropped some packets, and those of a tenth many."""
    dropped = {**cable.counters("far"), **cable.counters("near")}
    pairs = [(dropped[f"far{lane}{f}"], dropped[f"near{lane}{f}"]) for lane in LANES for f in FAMILIES]
    return all(min(pair) > 5 and max(pair) > 100 for pair in pairs)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lane", LANES)
def test_loss_by_direction_agrees_with_nft(
    dropped: tuple[Sink, Sink, dict[str, int]], lane: int, family: str
) -> None:
    near, far, counters = dropped
    assert near.noted("receive_dropped") + far.noted("receive_dropped") == 0
    out, back = counters[f"far{lane}{family}"], counters[f"near{lane}{family}"]
    assert near.total("lost_forward", link(lane, family)) == out
    assert near.total("lost_backward", link(lane, family)) == back
    assert near.total("lost_unattributed", link(lane, family)) == 0
    sent = near.total("sent", link(lane, family))
    assert (
        near.total("replied", link(lane, family)) + near.total("late", link(lane, family))
        == sent - out - back
    )
