"""Two engines, one meaning: recorded faults through a real InfluxDB and Grafana's semantics, and ours.

A window's rows are there at most LAG_S after it ended. Grafana evaluates every ten seconds, at any phase.
An alert begins and ends there within one evaluation of when it does here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from alerts.evaluation.evaluate import Evaluator, Window
from alerts.evaluation.thing import things
from alerts.grafana.rules import LAG_S, GrafanaRules, tags
from alerts.rule import load_rules, watches
from collector.sinks.influx import InfluxSink
from collector.sinks.influx_transport import connect
from collector.sinks.line_protocol import LineMaker
from collector.sinks.link_tags import link_tags
from collector.sinks.sink import Delivery
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from tests.alerts.grafana import recording
from tests.alerts.grafana.engine import Engine, Labels, Series
from tests.dashboards.world import WINDOW_NS, inventory
from tests.influxd import Influxd

pytestmark = pytest.mark.influx

DATABASE = "engines"
WINDOW_S, EVERY_S = WINDOW_NS // NS_PER_S, 10
RULES = load_rules()
WATCHES = watches(RULES)

Interval = tuple[int, int]
Fired = dict[tuple[str, str], list[Interval]]
"""By uid of the rule in Grafana and thing: when an alert fired, seconds since the first window."""


def write(influxd: Influxd, windows: list[dict[str, Frame]], database: str = DATABASE) -> None:
    """All rows through the collector's own sink."""
    world = inventory()
    sink = InfluxSink(
        lambda: connect(influxd.address(database)),
        LineMaker(link_tags(lambda: world), lambda: world),
    )
    sink.write([Delivery(at, "@collector", "boot", at, frames) for at, frames in enumerate(windows, 1)])
    sink.close()


def here(windows: list[dict[str, Frame]], first_ns: int) -> Fired:
    """What the evaluator finds; an alert begins and ends when the window's rows are there."""
    evaluator, fired = Evaluator(RULES), Fired()
    for at, frames in enumerate(windows):
        for change in evaluator.step(frames, Window(first_ns + at * WINDOW_NS, WINDOW_NS)):
            watch = change.watch
            uid = f"linkgauge-{watch.rule.name}{'-' if watch.direction else ''}{watch.direction}"
            _note(
                fired,
                (uid, change.thing),
                change.kind == "fires",
                (change.at_ns - first_ns) // NS_PER_S + LAG_S,
            )
    return fired


def there(ask: Callable[[str], list[Series]], first_ns: int, phase_s: int, windows: int) -> Fired:
    """What Grafana finds, of the rules as they are rendered. ask: answers of several statements at once."""
    groups = GrafanaRules().groups(RULES)
    engines = [
        Engine(rule, EVERY_S)
        for group in groups.values()
        for rule in group
        if rule["labels"]["rule"] != "collector-silent"
    ]
    fired, first_s = Fired(), first_ns // NS_PER_S
    for now_s in range(phase_s, (windows + 4) * WINDOW_S, EVERY_S):
        texts = (each.query(first_s + now_s) for each in engines)
        for engine, answer in zip(engines, ask("; ".join(texts)), strict=True):
            for change in engine.evaluate(answer, now_s):
                key = (engine.rule["uid"], _thing(engine.rule, dict(change.labels)))
                _note(fired, key, change.fires, now_s)
    return fired


def _note(fired: Fired, key: tuple[str, str], fires: bool, at_s: int) -> None:
    if fires:
        fired.setdefault(key, []).append((at_s, -1))
    else:
        begin, _ = fired[key].pop()
        fired[key].append((begin, at_s))


def _thing(rule: dict[str, Any], labels: Mapping[str, str]) -> str:
    """The thing of a row with these tags, by the evaluator's own words for it."""
    (table,) = {each.table for each in WATCHES if each.rule.name == rule["labels"]["rule"]}
    assert set(labels) == set(tags(table))
    return str(things(recording.frame(table, 0, [labels]))[0])


def asker(influxd: Influxd, database: str = DATABASE) -> Callable[[str], list[Series]]:
    """Asks InfluxDB as Grafana does."""

    def ask(text: str) -> list[Series]:
        return [_series(result) for result in influxd.asked(text, database, "ms")]

    return ask


def _series(result: dict[str, Any]) -> Series:
    made: dict[Labels, list[float]] = {}
    for series in result.get("series", ()):
        assert series["columns"] == ["time", "v"], "exactly one value column"
        labels = tuple(sorted(series["tags"].items()))
        assert labels not in made, "each instance once"
        made[labels] = [float(value) for _, value in series["values"]]
    return made


def played(influxd: Influxd) -> tuple[list[dict[str, Frame]], int]:
    """The recording, written; and when its first window began."""
    now_ns = time.time_ns()
    first_ns = now_ns - now_ns % WINDOW_NS - (recording.WINDOWS + 10) * WINDOW_NS
    windows = list(recording.frames(first_ns))
    write(influxd, windows)
    return windows, first_ns


def difference(
    windows: list[dict[str, Frame]], first_ns: int, ask: Callable[[str], list[Series]], phase_s: int
) -> dict[tuple[str, str], tuple[list[Interval], list[Interval]]]:
    """Where the two do not agree: by uid and thing, when it fired here and there."""
    ours, grafanas = here(windows, first_ns), there(ask, first_ns, phase_s, len(windows))
    assert {uid for uid, _ in ours} == {
        f"linkgauge-{each.rule.name}{'-' if each.direction else ''}{each.direction}" for each in WATCHES
    }, "every rule is hit"
    return {
        key: (ours.get(key, []), grafanas.get(key, []))
        for key in ours.keys() | grafanas.keys()
        if not _agree(ours.get(key, []), grafanas.get(key, []))
    }


@pytest.fixture(scope="module")
def recorded(influxd: Influxd) -> tuple[list[dict[str, Frame]], int]:
    return played(influxd)


@pytest.mark.parametrize("phase_s", [0, 4])
def test_alerts_fire_and_end_within_one_evaluation(
    influxd: Influxd, recorded: tuple[list[dict[str, Frame]], int], phase_s: int
) -> None:
    windows, first_ns = recorded
    assert difference(windows, first_ns, asker(influxd), phase_s) == {}


def _agree(ours: list[Interval], grafanas: list[Interval]) -> bool:
    return len(ours) == len(grafanas) and all(
        abs(one - other) <= EVERY_S
        for mine, its in zip(ours, grafanas, strict=True)
        for one, other in zip(mine, its, strict=True)
    )


def _of_one_link(
    influxd: Influxd, rows: list[dict[str, Any]], database: str
) -> tuple[list[Interval], list[Interval]]:
    """Intervals of link-unreachable here and there, of one link with these rows, a window each."""
    now_ns = time.time_ns()
    first_ns = now_ns - now_ns % WINDOW_NS - (len(rows) + 10) * WINDOW_NS
    link: dict[str, Any] = {"link": "j1>g1@backbone", "measured": 1, "fit": 1, "unanswered_s": 0.0}
    windows = [
        {"state": recording.frame("state", first_ns + at * WINDOW_NS, [{**link, **row}])}
        for at, row in enumerate(rows)
    ]
    write(influxd, windows, database)
    key = ("linkgauge-link-unreachable", link["link"])
    ours, grafanas = here(windows, first_ns), there(asker(influxd, database), first_ns, 0, len(rows))
    return ours.get(key, []), grafanas.get(key, [])


DOWN, UP, NOT_KNOWN = {"unanswered_s": 5.0}, {"unanswered_s": 0.0}, {"unanswered_s": float("nan")}


def test_windows_that_are_not_known_hold_an_alert_here_and_end_it_there(influxd: Influxd) -> None:
    rows = [UP] * 5 + [DOWN] * 2 + [NOT_KNOWN] * 10 + [UP] * 8
    ((begin, end),), ((its_begin, its_end),) = _of_one_link(influxd, rows, "not_known")
    assert abs(begin - its_begin) <= EVERY_S
    assert end == (17 + 4) * WINDOW_S + LAG_S, "four clear windows after the unknown ones"
    assert abs(its_end - (7 + 4) * WINDOW_S) <= 2 * EVERY_S, "as if they had been clear"


def test_an_unfit_window_counts_in_neither(influxd: Influxd) -> None:
    rows = [UP] * 5 + [{**DOWN, "fit": 0}] * 3 + [UP] * 8
    assert _of_one_link(influxd, rows, "unfit") == ([], [])


def test_a_drill_is_told_here_and_not_there(influxd: Influxd) -> None:
    rows = [UP] * 5 + [{**DOWN, "drill": 1}] * 3 + [UP] * 8
    ours, grafanas = _of_one_link(influxd, rows, "drills")
    assert len(ours) == 1, "to the receivers of drills"
    assert grafanas == []


def test_announced_work_is_muted_in_grafana_and_does_not_change_what_fires(influxd: Influxd) -> None:
    rows = [UP] * 5 + [{**DOWN, "maintenance": 1}] * 3 + [UP] * 8
    ours, grafanas = _of_one_link(influxd, rows, "work")
    assert _agree(ours, grafanas)
    assert len(grafanas) == 1


def test_a_collector_that_writes_no_more_is_told_within_three_minutes(influxd: Influxd) -> None:
    now_ns = time.time_ns()
    first_s = (now_ns - now_ns % WINDOW_NS) // NS_PER_S - 1_000
    (rule,) = (
        each
        for group in GrafanaRules().groups(RULES).values()
        for each in group
        if each["labels"]["rule"] == "collector-silent"
    )
    windows = [
        {
            "collector": recording.frame(
                "collector", (first_s + at * WINDOW_S) * NS_PER_S, [{"collector": name}]
            )
        }
        for name, count in (("dead", 20), ("alive", 60))
        for at in range(count)
    ]
    write(influxd, windows, "silent")
    engine, ask, told = Engine(rule, EVERY_S), asker(influxd, "silent"), []
    for now_s in range(EVERY_S, 60 * WINDOW_S, EVERY_S):
        text = engine.query(first_s + now_s)
        text = text.replace(
            " GROUP BY", f" AND time <= {1_000 * (first_s + now_s - WINDOW_S - LAG_S)}ms GROUP BY"
        )
        told += engine.evaluate(ask(text)[0], now_s)
    real = [change for change in told if change.labels[0][0] == "collector"]
    assert [dict(change.labels) for change in real] == [{"collector": "dead"}]
    assert 60 <= real[0].at_s - 20 * WINDOW_S <= 180
