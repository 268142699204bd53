"""Packets that take a longer way are overtaken: told as reordered, and neither lost nor doubled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.probes.network.cable import FAMILIES, joined, link, reply, request
from tests.probes.network.detour import detour
from tests.probes.network.engines import Sink, plan_of, running
from tests.probes.network.tap import Tap, overtaken

pytestmark = pytest.mark.root
INTERVAL_NS, DELAY_NS, EVERY = 10_000_000, 25_000_000, 8
LANES = {1: "out", 2: "back", 3: "neither"}


@pytest.fixture(scope="module")
def overtaking() -> Iterator[tuple[Sink, Tap]]:
    """What near told, and what came to it."""
    out, back = ([match(lane, f) for f in FAMILIES] for match, lane in ((request, 1), (reply, 2)))
    with joined(3) as cable, detour(cable, {"near": out, "far": back}, EVERY, DELAY_NS):
        near, far = (plan_of(end, LANES, INTERVAL_NS) for end in ("near", "far"))
        tap = Tap(cable, "near")
        with running(cable, near, far) as both:
            both.near_sink.wait_for_total([link(lane, family) for lane in LANES for family in FAMILIES], 150)
            both.near_sink.wait_until(lambda: _enough(both.near_sink), "too few packets are overtaken")
        tap.close()
        yield both.near_sink, tap


def _enough(near: Sink) -> bool:
    names = [link(lane, family) for lane, way in LANES.items() if way != "neither" for family in FAMILIES]
    return all(near.total("reordered", name) > 8 for name in names)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lane", LANES)
def test_what_was_overtaken_is_reordered(overtaking: tuple[Sink, Tap], lane: int, family: str) -> None:
    (near, tap), name = overtaking, link(lane, family)
    assert near.answered(name) == near.total("sent", name) > 150
    rows = near.windows()
    extent = int(rows.count("reorder_extent_max")[rows.text("link") == name].max())
    extents = overtaken([seen.seq for seen in tap.replies(name)])
    assert (near.total("reordered", name), extent) == (len(extents), max(extents, default=0))
    if LANES[lane] == "neither":
        assert not extents
    else:  # a packet that nothing followed for a while is not overtaken
        assert 8 < len(extents) <= near.total("sent", name) / EVERY + 1
    for count in ("lost_forward", "lost_backward", "lost_unattributed", "duplicate"):
        assert near.total(count, name) == 0, count
