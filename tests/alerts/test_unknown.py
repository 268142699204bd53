"""Alerts whose field stays unknown: they end in a stated time, over restarts, and say why."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from alerts.evaluate import Evaluator
from alerts.event import Fired, Resolved
from tests.alerts.test_evaluate import BAD, OK, changes
from tests.alerts.world import FIRST_NS, NAN, WINDOW_NS, lossy, rule, series, spec, state


@pytest.mark.parametrize(
    ("excesses", "expected"),
    [
        ([BAD, BAD, *[NAN] * 5, OK, OK], [(1, "fired"), (8, "resolved")]),
        ([BAD, BAD, *[NAN] * 6, OK, OK, OK], [(1, "fired"), (7, "resolved")]),
        ([BAD, BAD, *[NAN] * 40], [(1, "fired"), (7, "resolved")]),
        ([BAD, BAD, *[*[NAN] * 5, BAD] * 9], [(1, "fired")]),
        ([BAD, BAD, *[*[NAN] * 5, OK, BAD] * 9], [(1, "fired")]),
        ([BAD, BAD, *[NAN] * 6, BAD, NAN, BAD], [(1, "fired"), (7, "resolved"), (10, "fired")]),
        ([*[NAN] * 9, BAD, BAD], [(10, "fired")]),
        ([BAD, *[NAN] * 9], []),
    ],
)
def test_an_alert_that_nobody_judges_any_more_ends(
    excesses: list[float], expected: list[tuple[int, str]]
) -> None:
    evaluator = Evaluator([rule("link-loss", unknown_windows=6)], [spec()])
    assert changes(excesses, evaluator) == expected


def test_what_an_alert_says_when_it_is_no_longer_judged() -> None:
    evaluator = Evaluator([rule("link-loss", unknown_windows=2)], [spec()])
    fired, resolved = (event for frame in series([BAD, BAD, NAN, NAN]) for event in evaluator.step(frame))
    assert isinstance(resolved, Resolved)
    assert (resolved.fired, resolved.at_ns) == (fired, FIRST_NS + 4 * WINDOW_NS)
    assert resolved.summary == (
        "jinan-1>guiyang-1@backbone forward is no longer judged from here by rule link-loss: unknown since "
        "12:03:20 UTC; its alert ends, which does not say that the trouble is over"
    )
    assert np.isnan(resolved.numbers["loss_lower_ratio"])
    assert evaluator.active() == []


def test_unfit_windows_and_windows_without_a_value_are_unknown_alike() -> None:
    evaluator = Evaluator([rule("link-loss", unknown_windows=4)], [spec()])
    unfit, unmeasured = {**lossy(BAD), "fit": 0}, {"measured": 0, "fit": 0}
    rows = [lossy(BAD), lossy(BAD), unfit, lossy(NAN), unmeasured, unfit]
    events = [(at, event) for at, row in enumerate(rows) for event in evaluator.step(state([row], at))]
    assert [(at, type(event)) for at, event in events] == [(1, Fired), (5, Resolved)]


def test_time_in_which_nothing_was_stepped_ends_no_alert() -> None:
    """The collector was away for longer than `unknown_windows`; agents' rows come soon after it is back."""
    evaluator = Evaluator([rule("link-loss", unknown_windows=3)], [spec()])
    told = [event for at in (0, 1) for event in evaluator.step(state([lossy(BAD)], at))]
    told += [event for at in (100, 101) for event in evaluator.step(state([lossy(NAN)], at))]
    told += evaluator.step(state([lossy(BAD)], 102))
    assert [type(event) for event in told] == [Fired]


def test_a_snapshot_without_unknown_windows_is_understood() -> None:
    """Those that were written before they were counted."""
    before = Evaluator([rule("link-loss")], [spec()])
    for frame in series([BAD, BAD, NAN]):
        before.step(frame)
    memory = msgspec.msgpack.decode(before.snapshot())
    assert [entry.pop("unknown") for entry in memory["entries"]] == [1]
    after = Evaluator([rule("link-loss")], [spec()])
    assert after.restore(msgspec.msgpack.encode(memory)) == []
    assert len(after.active()) == 1
