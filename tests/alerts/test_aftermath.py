"""What looks back on an outage, or on announced work, is not told when that is over."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from alerts.delivery.book import Book
from alerts.engine import AlertEngine
from alerts.roll.silences import Listed
from alerts.roll.subject import Subjects
from alerts.rule import load_rules
from linkgauge.clock import NS_PER_S
from linkgauge.maintenance import Maintenance, Scope
from quality.signals.burn import BUDGET_NS, Burn
from tests.alerts.world import FIRST_NS, WINDOW_NS, FakeClock, lossy, rule, spec, state

GOOD = {**lossy(-0.001), "unanswered_s": 0.0}
DARK = {**lossy(0.9), "unanswered_s": 8.0}
OUTAGE = 20
"""Windows."""


@pytest.mark.parametrize("phase", [0, 13])
def test_an_outage_is_told_once_and_not_its_budget_when_it_is_over(tmp_path: Path, phase: int) -> None:
    burn, good_ratio, one = Burn(WINDOW_NS, 10 * WINDOW_NS), np.array([0.999]), np.arange(1)
    engine = AlertEngine(load_rules(), Subjects([spec()]), Book(tmp_path / "book"), [], FakeClock())
    first_ns = FIRST_NS - FIRST_NS % BUDGET_NS
    begins, told, burnt = 360 + phase, [], []
    for at in range(begins + OUTAGE + 100):
        bad = begins <= at < begins + OUTAGE
        burn.count(first_ns + at * WINDOW_NS, one, np.array([not bad]), np.array([bad]), 1)
        if at < begins - 5:
            continue
        burns = burn.at(first_ns + at * WINDOW_NS, good_ratio)
        burnt.append(burns.fast_ratio[0])
        signals = {"burn_fast_ratio": burns.fast_ratio[0], "burn_slow_ratio": burns.slow_ratio[0]}
        row = {**(DARK if bad else GOOD), **signals, "budget_left_ratio": 0.5}
        told += [event.id.split("/")[0] for event in engine.observe({"state": state([row], at)}).events]
    assert max(burnt) > rule("burn-fast").bound
    assert told == ["link-unreachable"] * 2


@pytest.mark.parametrize("period_s", [900, 3_600])
def test_events_of_announced_work_are_not_told_after_it(tmp_path: Path, period_s: int) -> None:
    work = Maintenance(Scope(links=frozenset({str(spec().link)})), FIRST_NS, FIRST_NS + 20 * WINDOW_NS, "x")
    silences = Listed(lambda: SimpleNamespace(maintenance=(work,), silences=()))  # type: ignore[arg-type, return-value] # all of an inventory that is asked for
    engine = AlertEngine(
        load_rules(), Subjects([spec()]), Book(tmp_path / "book"), [], FakeClock(),
        silences=silences, events_ns=period_s * NS_PER_S,
    )  # fmt: skip
    told, span = [], period_s // 10
    for at in range(40 + span):
        row = dict(GOOD)
        if 5 <= at < 5 + span:
            row |= {"path_changes": 5.0, "delay_step_us": 3_000.0}
        told += engine.observe({"state": state([row], at)}).events
    assert told == []
