"""Alerts of two collectors: told by the one on duty, ended by the one that told them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from alerts.book import Book
from alerts.engine import AlertEngine, Outcome
from alerts.event import Event, Fired, Resolved
from alerts.subject import Subjects
from collector.plans.plan_book import PlanBook
from console.on_duty import HANDED_OVER, DutyObserver
from linkgauge.clock import SystemClock
from linkgauge.frame import Frame
from linkgauge.schema import ALERT, PLACE, STATE
from linkgauge.table import Table
from tests.collector.world import write_inventory

EMPTY = Frame.of(STATE, {"link": [], "start_ns": [], "length_ns": []})


def fired(name: str, rule: str = "r") -> Fired:
    return Fired(
        name, 0, 0, {}, {"rule": rule, "severity": "s", "link": "l", "direction": "d"}, "", "", (), ""
    )


def ended(name: str, rule: str = "r") -> Resolved:
    return Resolved(fired(name, rule), 0, {}, "")


def rows(table: Table, about: list[str], rules: list[str]) -> Frame:
    keys = {key: ["x"] * len(about) for key in table.keys}
    named = {"about": about, "rule": rules} if table is ALERT else {"place": about}
    return Frame.of(table, {**keys, **named, "start_ns": [0] * len(about)})


class Scripted(AlertEngine):
    """Finds what it is told to find; notes what its receivers would hear."""

    def __init__(self, book: Book) -> None:
        super().__init__([], Subjects(), book, [], SystemClock())
        self.finds: list[Event] = []
        self.frames: dict[str, Frame] = {}
        self.told: list[str] = []
        self.watched: list[int] = []

    def watch(self, subjects: Subjects) -> None:
        self.watched.append(len(subjects.links))

    def observe(self, judged: Mapping[str, Frame], tell: Callable[[Event], bool] = lambda _: True) -> Outcome:
        self.tell([event for event in self.finds if tell(event)])
        return Outcome(self.finds, self.frames)

    def tell(self, events: object) -> None:
        for event in msgspec.convert(events, list[Event]):
            self.told.append(("+" if isinstance(event, Fired) else "-") + event.id)


@pytest.fixture
def engine(tmp_path: Path) -> Scripted:
    return Scripted(Book(tmp_path / "alerts.sqlite"))


def test_off_duty_nothing_new_is_told_but_the_end_of_what_was(engine: Scripted) -> None:
    on = True
    observer = DutyObserver(engine, list, lambda: on)
    engine.finds = [fired("a"), fired("b"), ended("b")]
    observer({"state": EMPTY})
    on = False
    engine.finds = [fired("c"), ended("c"), ended("a"), ended("b")]
    observer({"state": EMPTY})
    assert engine.told == ["+a", "+b", "-b", "-a"]
    engine.finds = [ended("a")]
    observer({"state": EMPTY})
    assert engine.told == ["+a", "+b", "-b", "-a"]


def test_when_duty_begins_the_last_windows_are_told(engine: Scripted) -> None:
    on = False
    observer = DutyObserver(engine, list, lambda: on)
    for number in range(HANDED_OVER + 2):
        engine.finds = [fired(str(number))]
        observer({"state": EMPTY})
    assert engine.told == []
    on = True
    engine.finds = [ended("5")]
    observer({"state": EMPTY})
    assert engine.told == ["+2", "+3", "+4", "+5", "-5"]
    observer({"state": EMPTY})
    assert engine.told[5:] == ["-5"]


def test_an_inventory_that_changed_is_watched_first(engine: Scripted, tmp_path: Path) -> None:
    specs = list(PlanBook(write_inventory(tmp_path)).specs())
    given = [specs[:1]]
    observer = DutyObserver(engine, lambda: given[0], lambda: True)
    observer({"state": EMPTY})
    given[0] = specs
    observer({"state": EMPTY})
    observer({"state": EMPTY})
    assert engine.watched == [len(specs)]


def test_off_duty_a_collector_tells_of_itself_all_the_same(engine: Scripted) -> None:
    on = False
    observer = DutyObserver(engine, list, lambda: on, own_rules=["sink-held"])
    engine.finds = [fired("a"), fired("held", "sink-held")]
    engine.frames = {
        "alert": rows(ALERT, ["a", "held"], ["r", "sink-held"]),
        "place": rows(PLACE, ["p"], []),
    }
    kept = observer({"state": EMPTY})
    assert engine.told == ["+held"]
    assert {name: frame.text("about").tolist() for name, frame in kept.items()} == {"alert": ["held"]}
    engine.finds, engine.frames = [ended("held", "sink-held")], {}
    assert observer({"state": EMPTY}) == {}
    assert engine.told == ["+held", "-held"]
    on = True
    engine.finds, engine.frames = [], {"alert": rows(ALERT, ["b"], ["r"])}
    kept = observer({"state": EMPTY})
    assert engine.told == ["+held", "-held", "+a"]
    assert kept["alert"].text("about").tolist() == ["a", "b"]
    assert kept["place"].text("place").tolist() == ["p"]
    assert list(observer({"state": EMPTY})["alert"].text("about")) == ["b"]
