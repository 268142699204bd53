"""A window judged again because of one link's late row says of the others what it said before, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from linkgauge.model import Link
from quality.signals.burn import SLOT_NS
from tests.quality.traces import TIER, Trace, certificate, event
from tests.quality.world import START_NS, WINDOW_NS, row, spec

LINKS = [Link("a", "b", "net"), Link("b", "a", "net"), Link("a", "c", "net"), Link("c", "a", "net")]
SPECS = [spec(link, mirrored=True, tier=TIER) for link in LINKS]
WINDOWS = 34


def _noisy(link: Link, chance: np.random.Generator) -> dict[str, Any]:
    """A row of a link of which anything may be wrong."""
    lost = int(chance.choice([0, 0, 0, 1, 30, 100]))
    tail = int(chance.choice([0, lost]))
    replied = 100 - lost
    return row(
        link=str(link), replied=replied, lost_unattributed=lost, unanswered=tail, unanswered_s=tail / 10,
        heard=float(chance.choice([0, 50, 100])), unfit=int(chance.choice([0, 0, 0, 4])), marks=replied,
        ce_forward=int(replied * chance.choice([0, 0, 0.3])), pdv_us=chance.exponential(1_500),
        forward_min_us=2_000 + chance.exponential(100), backward_min_us=2_000 + chance.exponential(100),
        one_way_error_us=chance.exponential(50), rtt_us=chance.exponential(9_000, replied),
    )  # fmt: skip


@pytest.mark.parametrize(("seed", "late"), [(1, WINDOWS - 2), (2, WINDOWS - 3), (3, WINDOWS - 12)])
def test_the_others_stay_as_they_were(seed: int, late: int) -> None:
    chance, trace, told = np.random.default_rng(seed), Trace(SPECS, period=50), []
    for at in range(WINDOWS):
        given_rows = [_noisy(link, chance) for link in LINKS]
        others: dict[str, Any] = {}
        if at % 7 == 0:
            others = {"certificates": [certificate(at, 20 - at / 8_640 + chance.normal(0, 1e-3))]}
            others |= {"events": [event("path", at)]}
        told.append(trace.then(*(given_rows[:2] if at == late else given_rows), **others))
    window = {"start_ns": START_NS + late * WINDOW_NS, "unfit": 0}
    missing = [_noisy(link, chance) | window for link in LINKS[2:]]
    trace.absorb(missing)
    assert WINDOWS * WINDOW_NS > SLOT_NS
    for before, after in zip(told[late][:2], trace.judged(late)[:2], strict=True):
        np.testing.assert_equal(after, before)
