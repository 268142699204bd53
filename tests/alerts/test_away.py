"""A collector that was away judges what it missed at once, before agents could hand it over."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.delivery.book import Book
from alerts.engine import LATE_NS, AlertEngine
from alerts.evaluation.evaluate import Evaluator
from alerts.roll.subject import Subjects
from tests.alerts.world import FIRST_NS, NAN, WINDOW_NS, FakeClock, rule, spec, state

UNKNOWN = [{"unanswered_s": NAN}]
ENDS = rule("link-unreachable").unknown_windows


@pytest.mark.parametrize(("late", "kinds"), [(False, ["fires", "unjudged"]), (True, ["fires"])])
def test_unknown_windows_that_are_judged_late_end_nothing(late: bool, kinds: list[str]) -> None:
    evaluator = Evaluator([rule("link-unreachable")])
    changes = evaluator.step({"state": state([{"unanswered_s": 8.0}])})
    for at in range(1, 3 * ENDS):
        changes += evaluator.step({"state": state(UNKNOWN, at)}, late=late)
    assert [change.kind for change in changes] == kinds


def test_an_unknown_window_does_not_breach_and_lets_nothing_come_out() -> None:
    evaluator = Evaluator([rule("link-unreachable")])
    evaluator.step({"state": state([{"unanswered_s": 8.0}])})
    assert [each.breaches_now for each in evaluator.active()] == [True]
    assert evaluator.suspects("state")[0].now.tolist() == [True]
    evaluator.step({"state": state(UNKNOWN, 1)}, late=True)
    assert [each.breaches_now for each in evaluator.active()] == [False]
    assert evaluator.suspects("state")[0].now.tolist() == [False]


def test_late_windows_still_end_what_they_know_to_be_over() -> None:
    evaluator = Evaluator([rule("link-unreachable")])
    evaluator.step({"state": state([{"unanswered_s": 8.0}])})
    changes = [evaluator.step({"state": state([{"unanswered_s": 0.0}], at)}, late=True) for at in range(1, 5)]
    assert [change.kind for each in changes for change in each] == ["over"]


def test_an_alert_outlives_an_absence(tmp_path: Path) -> None:
    clock, due_ns = FakeClock(FIRST_NS + WINDOW_NS), 50 * WINDOW_NS
    engine = AlertEngine(
        [rule("link-unreachable")], Subjects([spec()]), Book(tmp_path / "b"), [], clock, due_ns=due_ns
    )
    engine.observe({"state": state([{"unanswered_s": 8.0}])})
    away = 2 * ENDS
    clock.advance(away * WINDOW_NS + due_ns)
    events = [engine.observe({"state": state(UNKNOWN, at)}).events for at in range(1, away)]
    assert not any(events)
    for at in range(away, away + ENDS):  # in time
        clock.advance(WINDOW_NS)
        events.append(engine.observe({"state": state(UNKNOWN, at)}).events)
    assert [event.summary.count("no longer judged") for each in events for event in each] == [1]
    assert LATE_NS < ENDS * WINDOW_NS
