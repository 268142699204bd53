"""Backtest: the alerts of the evaluator, with their times, for one bound and another."""

from __future__ import annotations

from alerts.backtest import Backtest, Firing, Trial, narrowed
from alerts.evaluation.evaluate import Window
from linkgauge.frame import Frame, concat
from linkgauge.schema import PLACE, STATE
from tests.alerts.world import FIRST_NS, WINDOW_NS, rule, series, specs

LINKS = specs(2)
BAD, OK, NAN = 0.13, -0.001, float("nan")


def at(window: int) -> int:
    return FIRST_NS + window * WINDOW_NS


def test_fires_and_ends_as_the_rule_says_and_with_another_bound_it_does_not() -> None:
    loss = rule("link-loss", hold_windows=3, clear_windows=6)
    test = Backtest([loss, loss.model_copy(update={"above": 0.2})])
    excesses = [OK, BAD, BAD, BAD, *[OK] * 6, BAD, BAD, BAD, BAD]
    frames = series(excesses, LINKS)
    test.take(concat(STATE, frames[:5]))
    for frame in frames[5:]:
        test.take(frame)
    own, other = test.trials(at(-100), at(100))
    links = [str(each.link) for each in LINKS]
    expected = [Firing(link, "forward", at(1), at(4), at(10)) for link in links]
    expected += [Firing(link, "forward", at(10), at(13)) for link in links]
    assert list(own.firings) == expected
    assert (own.things, own.lengths_s, own.from_ns, own.to_ns) == (2, [10, 10, 60, 60], at(0), at(14))
    assert own.per_day == 4 * 86_400 / 140, "of the time of which there are windows"
    assert other.firings == ()
    assert (test.rows, test.windows) == (28, 14)


def test_what_is_not_known_any_more_ends_as_unjudged() -> None:
    loss = rule("link-loss", hold_windows=1, clear_windows=2, unknown_windows=3)
    test = Backtest([loss])
    for frame in series([BAD, NAN, NAN, NAN, NAN]):
        test.take(frame)
    (trial,) = test.trials(at(0), at(5))
    assert [(each.fired_ns, each.ended_ns, each.unjudged) for each in trial.firings] == [(at(1), at(4), True)]


def test_a_place_without_a_row_is_well_in_the_windows_that_were_judged() -> None:
    cause = rule("common-cause", hold_windows=1, clear_windows=2)
    test = Backtest([cause])
    named = {"place": ["jinan"], "kind": ["site"], "network": ["n"], "direction": ["both"], "site": ["jinan"]}
    row = Frame.of(
        PLACE,
        {**named, "start_ns": [at(1)], "length_ns": [WINDOW_NS], "links_bad": [9], "links_judged": [9],
         "explained_ratio": [1.0], "sure_ratio": [1.0]},
        1,
    )  # fmt: skip
    test.take(row, [Window(at(window), WINDOW_NS) for window in range(4)])
    test.take(concat(PLACE, []), [Window(at(window), WINDOW_NS) for window in range(4, 6)])
    (trial,) = test.trials(at(0), at(9))
    assert [(each.fired_ns, each.ended_ns) for each in trial.firings] == [(at(2), at(4))]
    assert (test.rows, test.windows, trial.to_ns) == (1, 6, at(6))


def test_how_many_fire_at_a_time() -> None:
    firings = (Firing("a", "-", 0, 10, 20), Firing("b", "-", 0, 15, None))
    trial = Trial(rule("link-loss"), firings, 0, 40)
    assert trial.firing_at([0, 10, 16, 20, 30, 40]) == [0, 2, 2, 1, 1]


def test_only_the_columns_of_the_rule_are_read() -> None:
    names = [field.name for field in narrowed(STATE, rule("link-loss")).fields]
    assert "loss_forward_spread_ratio" in names
    assert "loss_backward_spread_ratio" in names
    assert "fit" in names
    assert "delay_step_us" not in names
