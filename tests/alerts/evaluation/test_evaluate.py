"""Hold, clear, unknown and memory of the evaluation: tables of meaning, and columns against a slow twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.evaluation.evaluate import REWIND_WINDOWS, Change, Evaluator, Window
from alerts.evaluation.history import MOST_UNKNOWN
from alerts.evaluation.memory import Memory
from alerts.rule import Rule, load_rules
from linkgauge.frame import Frame
from linkgauge.schema import COLLECTOR, NODE, PLACE, SINK, STATE
from tests.alerts.world import (
    FIRST_NS,
    NAN,
    WINDOW_NS,
    lossy,
    rule,
    series,
    specs,
    state,
    table_rows,
)

BAD, OK = 0.13, -0.001
LETTERS = {"B": BAD, ".": OK, "?": NAN}


def loss(hold: int = 2, clear: int = 2, unknown: str = "holds", most: int = 60) -> Rule:
    return rule("link-loss", hold_windows=hold, clear_windows=clear, unknown=unknown, unknown_windows=most)


def told(changes: Sequence[Change]) -> list[str]:
    return [change.kind for change in changes]


def marks(windows: str, evaluator: Evaluator) -> str:
    """For each window what happened to the forward loss alert of one link: F fires, O over, U unjudged."""
    found = ""
    for frame in series([LETTERS[letter] for letter in windows]):
        kinds = told(evaluator.step({"state": frame}))
        assert len(kinds) <= 1
        found += {"fires": "F", "over": "O", "unjudged": "U"}[kinds[0]] if kinds else "-"
    return found


@pytest.mark.parametrize(
    ("changed", "windows", "expected"),
    [
        (loss(), "B...", "----"),
        (loss(), "BB..", "-F-O"),
        (loss(), ".B.B..", "---FO-"),
        (loss(3, 6), "BBB......", "--F-----O"),
        (loss(3, 6), "B.B.B....BB...", "----F---OF--O-"),
        (loss(3, 6), "BB......B", "---------"),
        (loss(3, 6), "BBBBBBBBB..B....B....", "--F------------O-----"),
        (loss(1, 4), "B...B....B", "F-------OF"),
        (loss(6, 6), "BBBBB.B", "------F"),
        (loss(), "....", "----"),
    ],
)
def test_at_least_so_many_of_the_last(changed: Rule, windows: str, expected: str) -> None:
    assert marks(windows, Evaluator([changed])) == expected


@pytest.mark.parametrize(
    ("changed", "windows", "expected"),
    [
        (loss(), "B????B", "-----F"),
        (loss(), "B?????B", "-------"),
        (loss(), "B????.????B", "----------F"),
        (loss(3, 6), "B?B?B", "----F"),
        (loss(), "BB" + "?" * 20 + "..", "-F" + "-" * 21 + "O"),
        (loss(), "BB." + "?" * 20 + ".", "-F-" + "-" * 20 + "O"),
        (loss(most=6), "BB?????..", "-F------O"),
        (loss(most=6), "BB??????..", "-F-----U--"),
        (loss(most=6), "BB??????BB", "-F-----U-F"),
        (loss(most=6), "BB" + "?????B" * 5, "-F" + "------" * 5),
        (loss(most=6), "??????????BB", "-----------F"),
    ],
)
def test_an_unknown_window_is_none_where_unknown_holds(changed: Rule, windows: str, expected: str) -> None:
    assert marks(windows, Evaluator([changed])) == expected


@pytest.mark.parametrize(
    ("changed", "windows", "expected"),
    [
        (loss(unknown="clears"), "B?B??", "--FO-"),
        (loss(unknown="clears"), "BB??BB", "-F-O-F"),
        (loss(1, 4, "clears"), "B????", "F---O"),
        (loss(3, 6, "clears", 6), "BBB??B???????", "--F------O---"),
        (loss(3, 6, "clears"), "BB?????B", "-------F"),
        (loss(3, 6, "clears"), "BB??????B", "---------"),
    ],
)
def test_an_unknown_window_is_clear_where_unknown_clears(changed: Rule, windows: str, expected: str) -> None:
    assert marks(windows, Evaluator([changed])) == expected


@pytest.mark.parametrize(
    ("windows", "since"),
    [("BB", 0), ("..B.B", 2), ("B..BB", 3), ("B?B", 0), ("B.?.??BB", 6), (".B???B", 1)],
)
def test_since_is_the_first_breach_that_counts(windows: str, since: int) -> None:
    evaluator = Evaluator([loss()])
    found = [
        change
        for frame in series([LETTERS[letter] for letter in windows])
        for change in evaluator.step({"state": frame})
    ]
    assert [change.since_ns for change in found] == [FIRST_NS + since * WINDOW_NS]
    assert found[0].at_ns == FIRST_NS + len(windows) * WINDOW_NS


def test_an_unfit_window_is_unknown_even_with_a_number() -> None:
    evaluator = Evaluator([loss()])
    frames = [state([{**lossy(BAD), "fit": 0}], at) for at in range(4)]
    assert [change for frame in frames for change in evaluator.step({"state": frame})] == []


def test_the_rules_numbers_in_the_window_that_decided() -> None:
    evaluator = Evaluator([loss()])
    (fires,) = [change for frame in series([BAD, BAD]) for change in evaluator.step({"state": frame})]
    assert fires.numbers["loss_lower_ratio"] == pytest.approx(0.131)
    assert fires.row == 0
    gone = state([{}], 2).take(np.array([], np.intp))
    ends = [
        evaluator.step({"state": gone}, Window(FIRST_NS + at * WINDOW_NS, WINDOW_NS)) for at in range(2, 62)
    ]
    assert [(at, told(each)) for at, each in enumerate(ends) if each] == [(59, ["unjudged"])]
    assert ends[-1][0].row == -1
    assert np.isnan(ends[-1][0].numbers["loss_lower_ratio"])
    assert ends[-1][0].seen_ns == FIRST_NS + 2 * WINDOW_NS


def test_the_same_or_an_older_window_changes_nothing() -> None:
    evaluator = Evaluator([loss()])
    first, second, third = ({"state": frame} for frame in series([BAD, BAD, OK]))
    assert evaluator.step(first) == evaluator.step(first) == []
    assert told(evaluator.step(second)) == ["fires"]
    before = evaluator.snapshot()
    assert evaluator.step(second) == evaluator.step(first) == []
    assert evaluator.snapshot() == before
    assert evaluator.ignored == 3
    assert evaluator.step(third) == []


def test_a_clock_that_was_set_back_is_followed_with_histories_anew() -> None:
    evaluator = Evaluator([loss()])
    frames = [{"state": frame} for frame in series([BAD, BAD, BAD, *[OK] * 5, BAD])]
    assert evaluator.step(frames[REWIND_WINDOWS + 6]) == []
    assert evaluator.step(frames[0]) == []
    (fires,) = evaluator.step(frames[1])
    assert fires.since_ns == FIRST_NS
    assert evaluator.ignored == 0


def test_time_in_which_nothing_was_stepped() -> None:
    """What fires goes on; what does not begins anew, as after unknown windows."""
    rules = [loss(most=6)]
    for away, expected in ((MOST_UNKNOWN - 1, ["fires"]), (MOST_UNKNOWN, [])):
        evaluator = Evaluator(rules)
        evaluator.step({"state": state([lossy(BAD)], 0)})
        assert told(evaluator.step({"state": state([lossy(BAD)], 1 + away)})) == expected
    evaluator = Evaluator(rules)
    for at in (0, 1):
        evaluator.step({"state": state([lossy(BAD)], at)})
    for at in (100, 101):
        assert evaluator.step({"state": state([lossy(NAN)], at)}) == []
    (active,) = evaluator.active()
    assert active.unmeasured_since_ns == FIRST_NS + 2 * WINDOW_NS
    assert not active.breaches_now


def test_links_in_any_order_and_links_that_come_and_go() -> None:
    links = specs(4)
    evaluator = Evaluator([loss()])
    rows = [lossy(each) for each in (OK, BAD, OK, BAD)]
    evaluator.step({"state": state(rows, 0, links)})
    mixed = state(rows, 1, links).take(np.array([3, 0, 2, 1]))
    changes = sorted(evaluator.step({"state": mixed}), key=lambda change: change.row)
    assert [(change.thing, change.row) for change in changes] == [
        (str(links[3].link), 0),
        (str(links[1].link), 3),
    ]
    fewer = state([lossy(OK), lossy(OK)], 2, links[:2])
    assert evaluator.step({"state": fewer}) == []
    assert [each.thing for each in evaluator.active()] == [str(links[at].link) for at in (1, 3)]
    evaluator.forget("state", {str(links[3].link)})
    assert [each.thing for each in evaluator.active()] == [str(links[1].link)]


def test_every_table_and_both_sides_of_a_bound() -> None:
    evaluator = Evaluator(load_rules())
    frames = {
        "state": state([{"unanswered_s": 0.0}]),
        "node": table_rows(
            NODE, [{"node": "a-1", "down_ratio": 1.0}, {"node": "b-1", "certificate_left_s": 86_400.0}]
        ),
        "sink": table_rows(SINK, [{"collector": "c", "sink": "archive", "lag_s": 400.0, "behind_s": 400.0}]),
        "collector": table_rows(COLLECTOR, [{"collector": "c", "dead_letters": 2}]),
        "place": table_rows(PLACE, [{"place": "a-1", "kind": "node", "links_bad": 4}]),
    }
    found = {(change.watch.rule.name, change.thing) for change in evaluator.step(frames)}
    assert found == {
        ("certificate-expiring", "b-1"), ("node-down", "a-1"), ("dead-letters", "c"),
        ("common-cause", "node:a-1"),
    }  # fmt: skip
    lagging = [each for each in evaluator.suspects("sink") if each.watch.rule.name == "collector-backlog"]
    assert [(each.things.tolist(), each.breached.tolist()) for each in lagging] == [(["c/archive"], [1])]


def test_a_place_that_is_no_longer_found_ends_after_its_clear_windows() -> None:
    evaluator = Evaluator(load_rules())
    evaluator.step({"place": table_rows(PLACE, [{"place": "a-1", "kind": "node", "links_bad": 4}])})
    none = table_rows(PLACE, [])
    ends = [
        evaluator.step({"place": none}, Window(FIRST_NS + at * WINDOW_NS, WINDOW_NS)) for at in range(1, 5)
    ]
    assert [told(each) for each in ends] == [[], [], [], ["over"]]


def test_a_table_that_is_not_there_is_left_as_it_is() -> None:
    evaluator = Evaluator(load_rules())
    down = {"node": "a-1", "down_ratio": 1.0}
    evaluator.step({"node": table_rows(NODE, [down]), "state": state([lossy(OK)])})
    evaluator.step({"state": state([lossy(OK)], 1)})
    assert [each.thing for each in evaluator.active()] == ["a-1"]


def test_frames_without_rows_need_a_window() -> None:
    with pytest.raises(ValueError, match="say which it is"):
        Evaluator(load_rules()).step({"place": table_rows(PLACE, [])})


def _written(memory: Memory) -> Memory:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=Memory)


@pytest.mark.parametrize("changed", [loss(most=6), loss(3, 6, "clears")])
def test_memory_goes_on_where_it_was(changed: Rule) -> None:
    windows = ".BB?.B..BB?????????B.BB?B"
    expected = marks(windows, Evaluator([changed]))
    for cut in range(len(windows)):
        found, evaluator = "", Evaluator([changed])
        for at, frame in enumerate(series([LETTERS[letter] for letter in windows])):
            if at == cut:
                memory, evaluator = evaluator.snapshot(), Evaluator([changed])
                evaluator.restore(_written(memory))
                assert evaluator.snapshot() == memory
            kinds = told(evaluator.step({"state": frame}))
            found += {"fires": "F", "over": "O", "unjudged": "U"}[kinds[0]] if kinds else "-"
        assert found == expected


def test_what_is_in_order_is_not_remembered() -> None:
    evaluator = Evaluator(load_rules())
    links = specs(1_000)
    for at in range(3):
        evaluator.step({"state": state([lossy(BAD), *[lossy(OK)] * 999], at, links)})
    assert [len(each.things) for each in evaluator.snapshot().watches] == [1, 1]  # link-loss, loss-bursts
    for at in range(3, 20):
        evaluator.step({"state": state([lossy(OK)] * 1_000, at, links)})
    assert evaluator.snapshot().watches == []


def test_memory_of_a_rule_that_is_gone_is_left_out_and_a_damaged_one_refused() -> None:
    evaluator = Evaluator([loss()])
    for frame in series([BAD, BAD]):
        evaluator.step({"state": frame})
    memory = evaluator.snapshot()
    other = Evaluator([rule("link-delay")])
    other.restore(memory)
    assert other.active() == []
    broken = msgspec.structs.replace(memory.watches[0], bad=[])
    with pytest.raises(ValueError, match="different lengths"):
        Evaluator([loss()]).restore(msgspec.structs.replace(memory, watches=[broken]))


@dataclass
class _Twin:
    """The meaning, one link at a time, in the words of the contract: a list of the windows that count."""

    rule: Rule
    known: list[tuple[int, bool]] = field(default_factory=list)
    """Window and whether it breached."""
    firing: bool = False
    unknown: int = 0
    since: int = -1

    def step(self, at: int, excess: float) -> str:
        if np.isnan(excess) and self.rule.unknown == "holds":
            self.unknown += 1
            if self.firing and self.unknown >= self.rule.unknown_windows:
                self.firing, self.known = False, []
                return "unjudged"
            if not self.firing and self.unknown >= MOST_UNKNOWN:
                self.known = []
            return ""
        self.unknown = 0
        self.known = [*self.known, (at, excess > 0)][-self.rule.windows :]
        breached = [window for window, bad in self.known if bad]
        before, self.firing = self.firing, len(breached) >= self.rule.hold_windows
        if self.firing and not before:
            self.since = breached[0]
        return {(False, True): "fires", (True, False): "over"}.get((before, self.firing), "")


RUN = st.lists(st.tuples(st.sampled_from([BAD, BAD, OK, OK, NAN]), st.integers(1, 8)), max_size=12)


@given(
    st.lists(RUN, min_size=1, max_size=4), st.integers(1, 4), st.integers(1, 6),
    st.sampled_from(["holds", "clears"]), st.integers(2, 12), st.integers(0, 30), st.randoms(),
)  # fmt: skip
def test_columns_against_the_twin(
    runs: list[list[tuple[float, int]]],
    hold: int,
    clear: int,
    unknown: str,
    most: int,
    restart: int,
    chance: object,
) -> None:
    columns = [[value for value, times in run for _ in range(times)] for run in runs]
    length = max(len(column) for column in columns)
    columns = [column + [NAN] * (length - len(column)) for column in columns]
    links = specs(len(columns))
    changed = loss(hold, clear, unknown, most)
    evaluator, twins = Evaluator([changed]), [_Twin(changed) for _ in links]
    for at in range(length):
        if at == restart:
            memory, evaluator = evaluator.snapshot(), Evaluator([changed])
            evaluator.restore(_written(memory))
        frame = state([lossy(column[at]) for column in columns], at, links)
        order = np.arange(len(links))
        chance.shuffle(order)  # type: ignore[attr-defined] # hypothesis gives a Random
        found = {change.thing: change for change in evaluator.step({"state": frame.take(order)})}
        for link, column, twin in zip(links, columns, twins, strict=True):
            expected, change = twin.step(at, column[at]), found.get(str(link.link))
            assert (change.kind if change else "") == expected
            if change:
                assert change.since_ns == FIRST_NS + twin.since * WINDOW_NS
    firing = {str(link.link) for link, twin in zip(links, twins, strict=True) if twin.firing}
    assert {each.thing for each in evaluator.active()} == firing


def _many(links: int, excess: float, window: int) -> Frame:
    names = [f"n{at}>z@net" for at in range(links)]
    columns = {"link": names, "start_ns": np.full(links, FIRST_NS + window * WINDOW_NS)}
    columns |= {"length_ns": np.full(links, WINDOW_NS), "fit": np.ones(links)}
    return Frame.of(STATE, columns | {n: np.full(links, v) for n, v in lossy(excess).items()})


def test_everything_fires_at_once_and_ends() -> None:
    evaluator = Evaluator([rule("link-loss")])
    found = [len(evaluator.step({"state": _many(5_000, BAD, at)})) for at in range(3)]
    assert found == [0, 5_000, 0]
    ends = [len(evaluator.step({"state": _many(5_000, OK, at)})) for at in range(3, 9)]
    assert ends == [0, 0, 0, 0, 0, 5_000]
