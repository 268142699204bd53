"""One flow of a link is dropped by its source port: the rows of flows show it, and the judge names it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from linkgauge.frame import Frame, concat
from linkgauge.schema import FLOW, WINDOW
from probes.engine.engine import Engine
from quality.verdicts.flows import FlowCounts, unequal
from tests.probes.network.cable import FAMILIES, Cable, joined, link, reply, request
from tests.probes.network.engines import Sink, plan_of, running

pytestmark = pytest.mark.root
FLOWS, INTERVAL_NS = 8, 2_000_000
VICTIMS = {1: "forward", 2: "backward"}
"""Lane: in which direction one of its flows is dropped."""
VICTIM = 3


@dataclass
class Dropping:
    """Drops flow VICTIM of each lane, whose port is known only when the sockets are bound."""

    cable: Cable
    ports: dict[tuple[int, str], int] = field(default_factory=dict)
    counted: dict[str, dict[str, int]] = field(default_factory=dict)
    """Packets dropped at each end, by counter."""

    def __call__(self, near: Engine) -> None:
        for port in near._senders[0].ports:
            if port.flow == VICTIM:
                lane = int(port.local.split(":")[1] if ":" in port.local else port.local.split(".")[2])
                self.ports[lane, "v6" if ":" in port.local else "v4"] = port.socket.port
        out = [f"{request(1, f)} udp sport {self.ports[1, f]} counter name {f}a drop" for f in FAMILIES]
        back = [f"{reply(2, f)} udp dport {self.ports[2, f]} counter name {f}b drop" for f in FAMILIES]
        self.cable.rules("far", incoming=out)
        self.cable.rules("near", incoming=back)


@pytest.fixture(scope="module")
def flows() -> Iterator[tuple[Frame, Sink, Dropping]]:
    with joined(2) as cable:
        near, far = (plan_of(end, VICTIMS, INTERVAL_NS, flows=FLOWS) for end in ("near", "far"))
        dropping = Dropping(cable)
        with running(cable, near, far, prepare=dropping) as both:
            both.near_sink.wait_until(
                lambda: _enough(both.near_sink), "too few packets were sent while fit", 180
            )
        dropping.counted = {end: cable.counters(end) for end in ("near", "far")}
        told = [frames["flow"] for frames in both.near_sink.frames if "flow" in frames]
        yield concat(FLOW, told), both.near_sink, dropping


def _enough(near: Sink) -> bool:
    """Whether each flow sent many packets in windows that are fit: of others flows tell nothing."""
    rows = concat(WINDOW, [frames["window"] for frames in near.frames])
    rows = rows.take((rows.count("unfit") == 0) & (rows.count("revision") == 0))
    names = [link(lane, family) for lane in VICTIMS for family in FAMILIES]
    return all(rows.count("sent")[rows.text("link") == name].sum() > 60 * FLOWS for name in names)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lane", VICTIMS)
def test_the_dropped_flow_is_shown_and_named(
    flows: tuple[Frame, Sink, Dropping], lane: int, family: str
) -> None:
    rows, _, dropping = flows
    mine = rows.take(np.flatnonzero(rows.text("link") == link(lane, family)))
    flow = mine.text("flow").astype(np.int64)
    assert set(flow) == set(range(FLOWS))
    assert set(mine.count("port")[flow == VICTIM]) == {dropping.ports[lane, family]}
    lost = mine.count("lost_forward") + mine.count("lost_backward") + mine.count("lost_unattributed")
    assert (mine.count("replied")[flow == VICTIM] == 0).all()
    assert (lost[flow == VICTIM] == mine.count("sent")[flow == VICTIM]).all()
    assert not lost[flow != VICTIM].any()
    assert (mine.count("replied")[flow != VICTIM] == mine.count("sent")[flow != VICTIM]).all()
    sent, missing = (np.bincount(flow, each, FLOWS).astype(np.int64) for each in (mine.count("sent"), lost))
    assert sent.min() > 30
    judged = unequal(FlowCounts(np.zeros(FLOWS, np.intp), sent, missing, 1))
    assert np.flatnonzero(judged.is_bad).tolist() == [VICTIM]
    assert judged.bad_loss_ratio[0] == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_the_window_of_the_link_has_the_share_of_the_flow(
    flows: tuple[Frame, Sink, Dropping], family: str
) -> None:
    _, near, dropping = flows
    for lane in VICTIMS:
        name = link(lane, family)
        lost = sum(near.total(f"lost_{way}", name) for way in ("forward", "backward", "unattributed"))
        end, counter = ("far", f"{family}a") if lane == 1 else ("near", f"{family}b")
        assert lost == dropping.counted[end][counter]
        assert 0 < lost < near.total("sent", name) / (FLOWS / 2)
