"""Who is told and who is held back; what comes out again, and when."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import msgspec
import pytest

from alerts.causes.explanation import Explanation, SameThing
from alerts.evaluation.evaluate import Window
from alerts.event import Event, Fired, Resolved
from alerts.roll.roll import Alert, Roll
from alerts.rule import load_rules
from tests.alerts.world import FIRST_NS, WINDOW_NS

LINK = "a>b@net"


def fired(rule: str, about: str = LINK, direction: str = "-", **labels: str) -> Fired:
    made = {
        "rule": rule,
        "severity": "page",
        "direction": direction,
        "network": "net",
        "site": "a",
        "team": "t",
    }
    return Fired(
        f"{rule}/{about}/{direction}", FIRST_NS, FIRST_NS + WINDOW_NS, {}, {**made, **labels}, "",
        "it is bad", ("look",), "", about,
    )  # fmt: skip


@dataclass
class World:
    """A roll that is stepped by hand."""

    roll: Roll = field(default_factory=lambda: Roll({"burn-fast": 3 * WINDOW_NS}))
    explained: dict[str, Explanation] = field(default_factory=dict)
    silence: str | None = None
    window: int = 0

    def begin(self, one: Fired) -> str:
        self.roll.begin((one.labels["rule"], "", one.about), one)
        return one.id

    def end(self, one: Fired) -> None:
        self.roll.end((one.labels["rule"], "", one.about), Resolved(one, 0, {}, "over"))

    def step(self, breaching: Collection[Fired] = ()) -> list[Event]:
        keys = {(one.labels["rule"], "", one.about) for one in breaching}
        window = Window(FIRST_NS + self.window * WINDOW_NS, WINDOW_NS)
        self.window += 1
        return self.roll.decide(self.explained, lambda _: self.silence, keys, window)


def test_what_nothing_explains_is_told_at_once_and_once() -> None:
    world, one = World(), fired("link-loss")
    world.begin(one)
    assert world.step([one]) == [one]
    assert world.step([one]) == []
    world.end(one)
    assert [type(event) for event in world.step()] == [Resolved]


def test_what_is_held_back_is_told_when_it_outlives_its_explanation() -> None:
    world, one = World(), fired("link-loss")
    world.explained[world.begin(one)] = Explanation("node-down/b/-", "node b", "node-down explains it")
    assert world.step([one]) == world.step([one]) == []
    world.explained.clear()
    assert world.step() == []
    (told,) = world.step([one])
    assert isinstance(told, Fired)
    assert (told.held, told.place) == ("node-down explains it", "node b")
    assert world.step([one]) == []


def test_what_is_held_back_until_it_ends_is_never_told() -> None:
    world, one = World(), fired("link-loss")
    world.explained[world.begin(one)] = Explanation("node-down/b/-")
    assert world.step([one]) == []
    world.end(one)
    assert world.step() == []


def test_what_only_looks_back_waits_for_its_aftermath() -> None:
    world, one = World(), fired("burn-fast")
    world.explained[world.begin(one)] = Explanation("link-loss/a>b@net/forward")
    world.step([one])
    world.explained.clear()
    assert [world.step([one]) != [] for _ in range(5)] == [False, False, False, True, False]


def test_a_silence_that_ends() -> None:
    world, one = World(silence="announced work: new fibre"), fired("link-loss")
    world.begin(one)
    assert world.step([one]) == []
    assert [alert.held for alert in world.roll] == ["announced work: new fibre"]
    world.silence = None
    (told,) = world.step([one])
    assert isinstance(told, Fired)
    assert told.held == "announced work: new fibre"


def test_what_was_told_is_not_taken_back_and_names_its_cause_later() -> None:
    world, one = World(), fired("link-loss")
    world.begin(one)
    world.step([one])
    world.explained[one.id] = Explanation("node-down/b/-")
    assert world.step([one]) == []
    (alert,) = world.roll
    assert (alert.told, alert.by) == (True, "node-down/b/-")
    world.end(one)
    assert len(world.step()) == 1


def test_a_place_that_does_not_hold_back_is_told_with_the_alert() -> None:
    world, one = World(), fired("link-loss")
    world.explained[world.begin(one)] = Explanation("", "hop 10.0.0.1 or hop 10.0.0.2")
    (told,) = world.step([one])
    assert isinstance(told, Fired)
    assert (told.place, told.held) == ("hop 10.0.0.1 or hop 10.0.0.2", "")


def test_rows_of_alerts() -> None:
    world, one, other = World(), fired("link-loss", direction="forward"), fired("burn-fast")
    world.begin(one)
    world.explained[world.begin(other)] = Explanation(one.id)
    world.step([one, other])
    rows = world.roll.rows(Window(FIRST_NS + WINDOW_NS, WINDOW_NS))
    assert rows.text("rule").tolist() == ["link-loss", "burn-fast"]
    assert rows.count("firing").tolist() == [1, 1]
    assert rows.count("held_back").tolist() == [0, 1]
    assert rows.text("cause").tolist() == ["", one.id]
    assert rows.real("since_s").tolist() == [20.0, 20.0]
    assert set(rows.text("about")) == {LINK}
    world.end(one)
    world.step([other])
    rows = world.roll.rows(Window(FIRST_NS + 2 * WINDOW_NS, WINDOW_NS))
    assert list(zip(rows.text("rule"), rows.count("firing"), rows.text("summary"), strict=True)) == [
        ("burn-fast", 1, "it is bad"),
        ("link-loss", 0, "over"),
    ]
    assert world.roll.rows(Window(0, WINDOW_NS)).rows == 1


def test_the_roll_can_be_written_down() -> None:
    world, one = World(), fired("link-loss")
    world.explained[world.begin(one)] = Explanation("node-down/b/-", "node b")
    world.step([one])
    alerts = msgspec.msgpack.decode(msgspec.msgpack.encode(list(world.roll)), type=list[Alert])
    assert list(Roll({}, alerts)) == list(world.roll)


@pytest.mark.parametrize(
    ("firing", "expected"),
    [
        ([fired("link-loss", direction="forward"), fired("link-unreachable")],
         {f"link-loss/{LINK}/forward": f"link-unreachable/{LINK}/-"}),
        ([fired("link-loss"), fired("link-unreachable", "c>d@net")], {}),
        ([fired("congestion-marks", direction="backward"), fired("link-loss", direction="forward"),
          fired("link-loss", direction="backward")],
         {f"congestion-marks/{LINK}/backward": f"link-loss/{LINK}/backward"}),
        ([fired("agent-silent", "b"), fired("node-down", "b")], {"agent-silent/b/-": "node-down/b/-"}),
        ([fired("common-cause", "node:b", place="b", kind="node"), fired("node-down", "b")],
         {"common-cause/node:b/-": "node-down/b/-"}),
        ([fired("common-cause", "site:b", place="b", kind="site"), fired("node-down", "b")], {}),
    ],
)  # fmt: skip
def test_the_same_thing_explains(firing: list[Fired], expected: dict[str, str]) -> None:
    found = SameThing(load_rules()).explained(firing)
    assert {about: each.by for about, each in found.items()} == expected
