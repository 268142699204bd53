"""Alerts of two collectors: told by the one on duty, ended by the one that told them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from alerts.delivery.book import Book, Stands
from alerts.engine import AlertEngine, Outcome
from alerts.event import Event, Fired, Resolved
from alerts.receivers.receiver import Policy
from alerts.roll.subject import Subjects
from collector.peer.standby import Duty, PeerAnswer
from collector.plans.plan_book import PlanBook
from console.on_duty import DutyObserver
from linkgauge.clock import NS_PER_S, SystemClock
from linkgauge.frame import Frame
from linkgauge.schema import ALERT, PLACE, STATE
from linkgauge.table import Table
from tests.alerts.world import FIRST_NS, WINDOW_NS, FakeClock, rule, spec, state
from tests.collector.world import write_inventory

ROW = state([{}])


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
        told, untold = self._ours.split(self.finds, [tell(event) for event in self.finds], 0)
        self._write(told)
        return Outcome(self.finds, self.frames, untold)

    def _write(self, events: Sequence[Event]) -> None:
        super()._write(events)
        self.told += [("+" if isinstance(event, Fired) else "-") + event.id for event in events]


@pytest.fixture
def engine(tmp_path: Path) -> Scripted:
    return Scripted(Book(tmp_path / "alerts.sqlite"))


def test_off_duty_nothing_new_is_told_but_the_end_of_what_was(engine: Scripted) -> None:
    on = True
    observer = DutyObserver(engine, list, lambda: on)
    engine.finds = [fired("a"), fired("b"), ended("b")]
    observer({"state": ROW})
    on = False
    engine.finds = [fired("c"), ended("c"), ended("a"), ended("b")]
    observer({"state": ROW})
    assert engine.told == ["+a", "+b", "-b", "-a"]
    engine.finds = [ended("a")]
    observer({"state": ROW})
    assert engine.told == ["+a", "+b", "-b", "-a"]


def test_when_duty_begins_what_the_peer_did_not_tell_for_sure_is_told(engine: Scripted) -> None:
    on, peer_told_ns = False, 0
    observer = DutyObserver(engine, list, lambda: on, peer_told_ns=lambda: peer_told_ns)
    for number in range(6):
        engine.finds = [fired(str(number))]
        observer({"state": state([{}], number)})
        peer_told_ns = FIRST_NS + min(3, number + 1) * WINDOW_NS
    assert engine.told == []
    on = True
    engine.finds = [ended("5")]
    observer({"state": state([{}], 6)})
    assert engine.told == ["+2", "+3", "+4", "+5", "-5"]
    observer({"state": ROW})
    assert engine.told[5:] == ["-5"]


def test_an_inventory_that_changed_is_watched_first(engine: Scripted, tmp_path: Path) -> None:
    specs = list(PlanBook(write_inventory(tmp_path)).specs())
    given = [specs[:1]]
    observer = DutyObserver(engine, lambda: given[0], lambda: True)
    observer({"state": ROW})
    given[0] = specs
    observer({"state": ROW})
    observer({"state": ROW})
    assert engine.watched == [len(specs)]


def test_off_duty_a_collector_tells_of_itself_all_the_same(engine: Scripted) -> None:
    on = False
    observer = DutyObserver(engine, list, lambda: on, own_rules=["sink-held"])
    engine.finds = [fired("a"), fired("held", "sink-held")]
    engine.frames = {
        "alert": rows(ALERT, ["a", "held"], ["r", "sink-held"]),
        "place": rows(PLACE, ["p"], []),
    }
    kept = observer({"state": state([{}])})
    assert engine.told == ["+held"]
    assert {name: frame.text("about").tolist() for name, frame in kept.items()} == {"alert": ["held"]}
    engine.finds, engine.frames = [ended("held", "sink-held")], {}
    assert observer({"state": ROW}) == {}
    assert engine.told == ["+held", "-held"]
    on = True
    engine.finds, engine.frames = [], {"alert": rows(ALERT, ["b"], ["r"])}
    kept = observer({"state": ROW})
    assert engine.told == ["+held", "-held", "+a"]
    assert kept["alert"].text("about").tolist() == ["a", "b"]
    assert kept["place"].text("place").tolist() == ["p"]
    assert list(observer({"state": ROW})["alert"].text("about")) == ["b"]


class Deaf:
    """A receiver that is never asked; one that forgets, when resend_s is set."""

    kind, trouble = "alertmanager", None

    def __init__(self, name: str, resend_s: float | None = None, teams: tuple[str, ...] = ()) -> None:
        self.name, self.policy = name, Policy(teams=teams, resend_s=resend_s)

    def deliver(self, bodies: Sequence[bytes]) -> str:
        raise AssertionError("nothing is delivered here")

    def close(self) -> None:
        """Nothing is held."""


class Standby:
    """A collector that follows a peer, with what it needs to go on after a restart."""

    def __init__(self, folder: Path, on: bool = False, teams: tuple[str, ...] = ()) -> None:
        self.clock, self.on, self.peer_told_ns, self.teams = FakeClock(), on, 0, teams
        self.book = Book(folder / "alerts.sqlite")
        self.links = [spec("a-1", "b-1"), spec("c-1", "b-1")]
        self.begin()

    def begin(self) -> None:
        """It starts, or starts anew."""
        receivers = [Deaf("mail", teams=self.teams), Deaf("noc", 60.0)]
        self.engine = AlertEngine(
            [rule("link-unreachable")], Subjects(self.links), self.book, receivers, self.clock
        )
        self.observer = DutyObserver(
            self.engine, lambda: list(self.links), lambda: self.on, peer_told_ns=lambda: self.peer_told_ns
        )

    def window(self, number: int, *unanswered_s: float) -> None:
        self.clock.advance(max(0, FIRST_NS + (number + 1) * WINDOW_NS - self.clock.now().wall_ns))
        rows = [{"unanswered_s": each} for each in unanswered_s]
        self.observer({"state": state(rows, number, self.links)})

    def told(self, receiver: str = "mail") -> list[str]:
        bodies = [json.loads(each.body) for each in self.book.waiting(receiver, 99)]
        return [f"{each['status']} {each['link'][:3]}" for each in bodies]

    def stands(self) -> list[str]:
        return [json.loads(each)["link"][:3] for each in self.book.standing("noc", 0)]


class Healthy:
    """A peer that works."""

    def ask(self) -> PeerAnswer:
        return PeerAnswer()


def test_what_fires_before_a_standby_is_started_anew_is_told_when_duty_begins(tmp_path: Path) -> None:
    standby = Standby(tmp_path)
    standby.window(0, 8.0, 0.0)
    standby.peer_told_ns = FIRST_NS + 2 * WINDOW_NS
    standby.window(3, 8.0, 8.0)
    standby.begin()
    standby.window(4, 8.0, 8.0)
    standby.on = True
    standby.window(5, 8.0, 8.0)
    assert standby.told() == ["firing c-1"], "the other was told by the peer"
    assert standby.stands() == ["a-1", "c-1"], "who forgets hears of both from now on"
    standby.begin()
    standby.on, standby.peer_told_ns = False, 0
    standby.window(6, 8.0, 8.0)
    standby.on = True
    standby.window(7, 8.0, 8.0)
    assert standby.told() == ["firing c-1"], "the peer never answered in this life; what it told is known"


def test_what_the_peer_told_is_not_known_when_the_clock_was_set_back_since(tmp_path: Path) -> None:
    standby = Standby(tmp_path)
    standby.peer_told_ns = standby.clock.now().wall_ns + 3_600 * NS_PER_S
    standby.window(0, 8.0, 0.0)
    standby.begin()
    standby.on, standby.peer_told_ns = True, 0
    standby.window(1, 8.0, 0.0)
    assert standby.told() == ["firing a-1"], "rather once more than never"
    again = tmp_path / "again"
    again.mkdir()
    standby = Standby(again)
    standby.window(0, 8.0, 0.0)
    standby.begin()
    standby.peer_told_ns = standby.clock.now().wall_ns + 3_600 * NS_PER_S
    standby.window(1, 8.0, 0.0)
    standby.on, standby.peer_told_ns = True, 0
    standby.window(2, 8.0, 0.0)
    assert standby.told() == ["firing a-1"], "also when it was set back in this life"
    duty = Duty(standby.clock, 10 * NS_PER_S, Healthy())
    duty.step()
    assert duty.peer_told_ns() > 0
    standby.clock.advance(-3_600 * NS_PER_S)
    assert duty.peer_told_ns() == 0


def test_a_standby_that_is_on_duty_from_its_first_window_tells_what_nobody_told(tmp_path: Path) -> None:
    """Its windows are short, and its peer was gone before it was started anew."""
    standby = Standby(tmp_path)
    standby.window(0, 8.0, 0.0)
    standby.begin()
    standby.on = True
    standby.window(1, 8.0, 8.0)
    assert standby.told() == ["firing a-1", "firing c-1"]
    assert standby.stands() == ["a-1"], "who forgets is told again; of the other once it was told"
    standby.begin()
    standby.window(2, 8.0, 8.0)
    assert standby.told() == ["firing a-1", "firing c-1"], "nothing twice"


def test_a_standby_started_anew_ends_what_it_told_and_repeats_nothing(tmp_path: Path) -> None:
    standby = Standby(tmp_path, on=True)
    standby.window(0, 8.0, 0.0)
    (notice,) = standby.book.waiting("noc", 9)
    standby.book.delivered([notice.seq], 0, [Stands("noc", notice.alert, notice.body, None)])
    standby.on, standby.peer_told_ns = False, FIRST_NS
    standby.begin()
    assert standby.stands() == ["a-1"]
    for number in range(1, 6):
        standby.window(number, 0.0, 0.0)
    assert standby.told() == ["firing a-1", "resolved a-1"]
    assert standby.stands() == []


def test_off_duty_the_end_of_a_link_that_is_taken_away_is_told_by_who_told_its_beginning(
    tmp_path: Path,
) -> None:
    standby = Standby(tmp_path, on=True)
    standby.window(0, 8.0, 0.0)
    standby.on = False
    standby.window(1, 8.0, 8.0)
    standby.links = [spec("z-1", "b-1")]
    for number in (2, 3):
        standby.window(number, 0.0)
    assert standby.told() == ["firing a-1", "resolved a-1"]


@pytest.mark.parametrize("window_s", [1, 10])
def test_a_peer_whose_judge_stands_still_leaves_nothing_untold(tmp_path: Path, window_s: int) -> None:
    """It answers well for 30 s more; then it is at fault, and three windows later the standby is on duty."""
    standby, still_s = Standby(tmp_path), 0

    class Peer:
        def ask(self) -> PeerAnswer:
            return PeerAnswer(fault="no verdicts" if still_s > 30 else None)

    duty = Duty(standby.clock, window_s * NS_PER_S, Peer())
    for still_s in range(0, 100, window_s):
        duty.step()
        standby.on, standby.peer_told_ns = duty.on(), duty.peer_told_ns()
        frame = state([{"unanswered_s": 8.0}, {"unanswered_s": 0.0}], 0, standby.links)
        length_ns = window_s * NS_PER_S
        moved = {"start_ns": [FIRST_NS + still_s * NS_PER_S] * 2, "length_ns": [length_ns] * 2}
        standby.observer({"state": Frame.of(STATE, {**frame.columns, **moved})})
        standby.clock.advance(length_ns)
    assert standby.told() == ["firing a-1"]


@pytest.mark.parametrize(("told_ns", "teams", "first"), [(0, ["c"], 0), (FIRST_NS, [], 1)])
def test_a_place_that_grew_off_duty_is_told_to_the_new_teams_or_to_everybody_but_once(
    tmp_path: Path, told_ns: int, teams: list[str], first: int
) -> None:
    """To everybody where nobody was told of its beginning either, which was forgotten over a restart."""
    book = Book(tmp_path / "alerts.sqlite")
    engine = AlertEngine([], Subjects(), book, [Deaf("mail", teams=("c",))], SystemClock())
    whole = msgspec.structs.replace(fired("a"), teams_later=("c",))
    engine._roll.begin(("r", "d", "l"), whole)
    (alert,) = engine._roll
    alert.told, alert.told_ns = True, told_ns
    engine.take_over([msgspec.structs.replace(whole, teams_now=("c",))], FIRST_NS)
    (notice,) = book.waiting("mail", 9)
    assert json.loads(notice.body)["teams_now"] == teams
    assert engine.counters["fired"] == first
    book.close()


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize(("since", "hears"), [(2, ["c"]), (6, [])])
def test_a_team_that_a_place_comes_to_concern_off_duty_hears_of_it_also_after_a_crash(
    tmp_path: Path, crash: bool, since: int, hears: list[str]
) -> None:
    """Unless the peer told it for sure."""
    standby = Standby(tmp_path, teams=("c",))
    standby.window(0, 8.0, 0.0)
    standby.window(1, 8.0, 0.0)
    (alert,) = standby.engine._roll
    (widened,) = standby.engine._roll.widen({alert.fired.id: ["c"]})
    standby.engine._roll.widen = lambda teams: [widened]  # type: ignore[method-assign]
    standby.window(4, 8.0, 0.0)
    if crash:
        standby.begin()
    else:
        standby.engine._roll.widen = lambda teams: []  # type: ignore[method-assign]
    standby.on, standby.peer_told_ns = True, FIRST_NS + since * WINDOW_NS
    standby.window(5, 8.0, 0.0)
    standby.begin()
    standby.window(6, 8.0, 0.0)
    told = [json.loads(each.body) for each in standby.book.waiting("mail", 9)]
    assert [each["teams_now"] for each in told] == [[each] for each in hears], "once"
