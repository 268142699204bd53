"""What a window leads to: who is told, what is held back, the rows of places and alerts, over restarts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from alerts.causes.explanation import Explanation, SameThing, Suspecting
from alerts.causes.located import Recalled
from alerts.delivery.book import Book
from alerts.engine import AlertEngine, Outcome
from alerts.evaluation.evaluate import Window
from alerts.event import Event, Fired
from alerts.receivers.receiver import Policy, Receiver
from alerts.roll.silences import Listed
from alerts.roll.subject import Subjects
from alerts.rule import load_rules
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.inventory import Inventory, load
from linkgauge.schema import NODE, PLACE
from tests.alerts.deaf import Deaf
from tests.alerts.roll.test_subject import TEXT
from tests.alerts.world import FIRST_NS, WINDOW_NS, FakeClock, lossy, slow, spec, specs, state, table_rows

LINK = str(spec().link)
DEAD = {"unanswered_s": 10.0}
ALIVE = {"unanswered_s": 0.0}


@dataclass
class OneNode:
    """A cause that finds node z-1 where two links or more have breached in this window."""

    found: list[int] = field(default_factory=list)
    fails: bool = False

    def places(self, judged: Mapping[str, Frame], memory: Suspecting, window: Window) -> Frame:
        if self.fails:
            raise RuntimeError("a bug")
        bad = {thing for each in memory.suspects("state") for thing in each.things[each.now]}
        self.found.append(len(bad))
        at = (window.start_ns - FIRST_NS) // WINDOW_NS
        row = {"place": "z-1", "kind": "node", "direction": "in", "links_bad": len(bad), "sure_ratio": 1.0}
        return table_rows(PLACE, [row] if len(bad) > 1 else [], at)

    def troubles(self, about: str) -> dict[str, str]:
        return {}

    def kept(self) -> Recalled:
        return Recalled()

    def resume(self, recalled: Recalled) -> None:
        """There is nothing to remember."""

    def explained(self, firing: Sequence[Fired]) -> dict[str, Explanation]:
        by = next((each.id for each in firing if each.labels["rule"] == "common-cause"), "")
        links = [each for each in firing if "link" in each.labels]
        return {each.id: Explanation(by, "node z-1", "node z-1 explains it") for each in links if by}


class Run:
    """An engine on the book of a folder."""

    def __init__(
        self, folder: Path, links: int = 3, receivers: Sequence[Receiver] = (), **parts: Any
    ) -> None:
        self.book = Book(folder / "alerts.db")
        self.specs = specs(links) if links > 1 else [spec()]
        self.engine = AlertEngine(
            load_rules(), Subjects(self.specs), self.book, receivers, FakeClock(), **parts
        )

    def observe(self, rows: Sequence[Mapping[str, Any]], window: int) -> Outcome:
        return self.engine.observe({"state": state(rows, window, self.specs)})


def told(events: Sequence[Event]) -> list[str]:
    return [("+" if isinstance(event, Fired) else "-") + event.id for event in events]


def rows(outcome: Outcome) -> list[tuple[str, int, int]]:
    frame = outcome.frames["alert"]
    columns = (frame.text("rule"), frame.count("firing"), frame.count("held_back"))
    return [(str(rule), int(firing), int(held)) for rule, firing, held in zip(*columns, strict=True)]


def test_one_place_is_told_for_its_links(tmp_path: Path) -> None:
    cause = OneNode()
    run = Run(tmp_path, cause=cause)
    outcome = run.observe([DEAD, DEAD, ALIVE], 0)
    assert told(outcome.events) == ["+common-cause/node:z-1/in"]
    assert outcome.frames["place"].count("links_bad").tolist() == [2]
    assert sorted(rows(outcome)) == [
        ("common-cause", 1, 0), ("link-unreachable", 1, 1), ("link-unreachable", 1, 1),
    ]  # fmt: skip
    assert set(outcome.frames["alert"].text("cause")) == {"", "common-cause/node:z-1/in"}
    for at in range(1, 4):
        assert run.observe([ALIVE] * 3, at).events == []
    ends = run.observe([ALIVE] * 3, 4)
    assert told(ends.events) == ["-common-cause/node:z-1/in"]
    assert sorted(rows(ends)) == [
        ("common-cause", 0, 0), ("link-unreachable", 0, 1), ("link-unreachable", 0, 1),
    ]  # fmt: skip
    assert run.engine.counters["held_back"] == 2


def test_a_link_that_stays_in_trouble_is_told_when_its_explanation_ends(tmp_path: Path) -> None:
    run = Run(tmp_path, cause=OneNode())
    run.observe([DEAD, DEAD, ALIVE], 0)
    events = [told(run.observe([DEAD, ALIVE, ALIVE], at).events) for at in range(1, 5)]
    link = str(run.specs[0].link)
    assert events == [[], [], [], ["-common-cause/node:z-1/in", f"+link-unreachable/{link}/-"]]
    (alert,) = run.engine.active()
    assert (alert["told"], alert["held"], alert["cause"], alert["place"]) == (True, None, None, "node z-1")


def test_a_held_alert_is_held_over_a_restart(tmp_path: Path) -> None:
    first = Run(tmp_path, cause=OneNode())
    first.observe([DEAD, DEAD, ALIVE], 0)
    first.book.close()
    second = Run(tmp_path, cause=OneNode())
    assert {alert["held"] for alert in second.engine.active()} == {None, "node z-1 explains it"}
    assert second.observe([DEAD, DEAD, ALIVE], 0).events == []
    assert second.observe([DEAD, DEAD, ALIVE], 1).events == []
    assert len(second.engine.active()) == 3


def test_loss_is_explained_by_a_link_that_is_unreachable(tmp_path: Path) -> None:
    run = Run(tmp_path, links=1)
    events = [told(run.observe([{**DEAD, **lossy(0.5)}], at).events) for at in range(4)]
    assert events == [[f"+link-unreachable/{LINK}/-"], [], [], []]
    assert {alert["rule"]: alert["cause"] for alert in run.engine.active()} == {
        "link-unreachable": None,
        **dict.fromkeys(("link-loss", "loss-bursts"), f"link-unreachable/{LINK}/-"),
    }  # fmt: skip
    rest = [told(run.observe([{**ALIVE, **lossy(-0.001)}], at).events) for at in range(4, 12)]
    assert [event for events in rest for event in events] == [f"-link-unreachable/{LINK}/-"]


def test_a_cause_that_fails_silences_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = Run(tmp_path, cause=OneNode(fails=True))
    assert len(run.observe([DEAD, DEAD, ALIVE], 0).events) == 2
    assert run.engine.counters["cause_failed"] == 1
    assert "alerts are told without it" in caplog.text


def test_a_link_that_is_no_longer_expected_is_no_alert(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.engine.watch(Subjects(run.specs[:1]))
    outcome = run.observe([DEAD] * 3, 0)
    assert told(outcome.events) == [f"+link-unreachable/{run.specs[0].link}/-"]
    assert len(run.engine.active()) == 1


def test_what_a_window_says_in_sentences(tmp_path: Path) -> None:
    run = Run(tmp_path, links=1)
    frames = {
        "state": state([{**slow(3_500), **ALIVE}]),
        "node": table_rows(
            NODE,
            [
                {
                    "node": "z-1",
                    "site": "z",
                    "down_ratio": 1.0,
                    "links_in": 4,
                    "links_in_down": 4,
                    "silent_s": 20.0,
                    "certificate_left_s": 86_400.0,
                }
            ],
        ),
    }
    said = {
        event.labels["rule"]: event.summary
        for event in run.engine.observe(frames).events
        if isinstance(event, Fired)
    }
    assert said["certificate-expiring"] == (
        "the certificate that z-1 (z) shows has 24 h left (as others read it there, of several the first to "
        "expire; below 0: it has expired), wanted 14 days, since 12:03:00 UTC"
    )
    assert said["node-down"] == (
        "none of the 4 links to z-1 (z) that others measure is answered (4 of 4; its own agent was heard 20 "
        "s ago), since 12:03:00 UTC"
    )


def test_nothing_judged_is_nothing_said(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.engine.observe({}) == Outcome()


def test_the_body_of_a_notice(tmp_path: Path) -> None:
    run = Run(tmp_path, links=1, receivers=[Deaf("hook", Policy(drills=True))])
    run.observe([{**DEAD, "drill": 1}], 0)
    body = json.loads(run.book.waiting("hook", 1)[0].body)
    assert body["labels"]["drill"] == "true"
    assert (body["about"], body["direction"], body["held"]) == (LINK, "-", None)


MAINTENANCE = """
maintenance:
  - {from: 2025-11-21T12:03:00+00:00, until: 2025-11-21T12:03:30+00:00, reason: new fibre, sites: [guiyang]}
silences:
  - {until: 2025-11-21T12:04:00+00:00, reason: known to the carrier, rules: [link-delay]}
"""


@pytest.fixture
def listed(tmp_path: Path) -> Callable[[], Inventory]:
    path = tmp_path / "inventory.yaml"
    path.write_text(TEXT + MAINTENANCE, encoding="utf-8")
    inventory = load(path)
    return lambda: inventory


def test_announced_work_and_silences_hold_back_until_they_end(
    tmp_path: Path, listed: Callable[[], Inventory]
) -> None:
    run = Run(tmp_path, links=1, silences=Listed(listed))
    events = [told(run.observe([{**DEAD, **slow(5_000)}], at).events) for at in range(8)]
    assert events[:3] == [[], [], []]
    assert events[3] == [f"+link-unreachable/{LINK}/-"]
    assert [at for at, each in enumerate(events) if f"+link-delay/{LINK}/-" in each] == [5]
    silences = Listed(listed)
    labels = {"rule": "link-delay", **spec().tags}
    times = [Window(FIRST_NS + at * 10 * NS_PER_S, 10 * NS_PER_S) for at in (0, 4, 6)]
    assert [silences.silenced(labels, window) for window in times] == [
        "announced work: new fibre", "silence: known to the carrier", None,
    ]  # fmt: skip


def test_the_plainest_cause_finds_no_place(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert SameThing(load_rules()).places({}, run.engine._evaluator, Window(0, WINDOW_NS)).rows == 0
