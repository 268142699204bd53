"""Losses in a direction that the far end has yet to tell, through the ledger."""

from __future__ import annotations

import math

from linkgauge.frame import concat
from linkgauge.schema import THROUGHPUT
from quality.ledger import Ledger
from tests.quality.world import BACK, START_NS, THERE, WINDOW_NS, row, spec, windows

MIRRORED = (spec(THERE, mirrored=True), spec(BACK, mirrored=True))
LOSSES = {"sent": 400, "replied": 300, "lost_unattributed": 100}


def excess(late: int, of: int = 6) -> list[float]:
    """How much a dead flow's loss is surely above the objective, by the first verdict of each window; the far
    end's rows come so many windows late."""
    ledger, told = Ledger(WINDOW_NS, 30 * WINDOW_NS), []
    for ago in range(of - 1, -1, -1):
        far = row(ago + late, link=str(BACK), heard=300.0, **LOSSES)
        ledger.absorb([windows([row(ago, **LOSSES), far])], [], MIRRORED)
        state = ledger.judge(concat(THROUGHPUT, []), START_NS - ago * WINDOW_NS)
        told.append(float(state.real("loss_forward_excess_ratio")[0]))
    return told


def test_a_far_end_in_time_keeps_no_loss_from_being_told() -> None:
    assert all(each > 0 for each in excess(late=0))


def test_a_far_end_that_is_late_each_time_is_waited_for_in_one_window_only() -> None:
    first, *others = excess(late=1)
    assert math.isnan(first)
    assert all(each > 0 for each in others)
