"""Packets that take a longer way are overtaken: told as reordered, and neither lost nor doubled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.probes.network.cable import FAMILIES, joined, link, reply, request
from tests.probes.network.detour import detour
from tests.probes.network.engines import Sink, plan_of, running

pytestmark = pytest.mark.root
INTERVAL_NS, DELAY_NS, EVERY = 10_000_000, 25_000_000, 8
LANES = {1: "out", 2: "back", 3: "neither"}


@pytest.fixture(scope="module")
def overtaken() -> Iterator[Sink]:
    out, back = ([match(lane, f) for f in FAMILIES] for match, lane in ((request, 1), (reply, 2)))
    with joined(3) as cable, detour(cable, {"near": out, "far": back}, EVERY, DELAY_NS):
        near, far = (plan_of(end, LANES, INTERVAL_NS) for end in ("near", "far"))
        with running(cable, near, far) as both:
            both.near_sink.wait_for(2)
        yield both.near_sink


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lane", LANES)
def test_what_was_overtaken_is_reordered(overtaken: Sink, lane: int, family: str) -> None:
    name = link(lane, family)
    replied, reordered = overtaken.total("replied", name), overtaken.total("reordered", name)
    assert replied == overtaken.total("sent", name) > 150
    rows = overtaken.windows()
    extent = int(rows.count("reorder_extent_max")[rows.text("link") == name].max())
    if LANES[lane] == "neither":
        assert (reordered, extent) == (0, 0)
    else:
        assert reordered == pytest.approx(replied / EVERY, abs=4)
        assert 0 < extent <= 20  # 2 or 3, and more where the machine makes the longer way longer
    for count in ("lost_forward", "lost_backward", "lost_unattributed", "duplicate"):
        assert overtaken.total(count, name) == 0, count
