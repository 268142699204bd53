"""The judging loop: no window skipped in silence, no fault contagious."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from collector.health.metrics import Metrics
from collector.live.judged import Judged, Stage
from collector.live.judging import MOST_AGAIN, JudgingLoop
from collector.live.recent import Past
from collector.live.told import Told
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.model import LinkSpec
from linkgauge.schema import STATE
from tests.collector.world import NOW_NS, WINDOW_NS, StillClock, until

DELAY_NS = 3 * NS_PER_S
BACK_NS = 6 * WINDOW_NS


def _state(start_ns: int, verdicts: Sequence[int] = (0,)) -> Frame:
    count = len(verdicts)
    columns = {"link": [f"a>b{at}@n" for at in range(count)], "start_ns": [start_ns] * count}
    return Frame.of(STATE, {**columns, "length_ns": [WINDOW_NS] * count, "verdict": verdicts})


class Present:
    """A live state that is empty, but may remember what was judged."""

    def __init__(self, last_ns: int | None = None) -> None:
        self.last_ns = last_ns
        self.late_ns: set[int] = set()

    def late(self) -> list[int]:
        return sorted(self.late_ns)

    def period(self, start_ns: int) -> Past:
        self.late_ns.discard(start_ns)
        return Past.empty()

    def set_back(self, start_ns: int, now_ns: int) -> None:
        self.set_back_to = start_ns, now_ns

    def last_judged_ns(self) -> int | None:
        return self.last_ns


def noting(starts: list[int]) -> Stage:
    def note(judged: Judged) -> None:
        starts.append(int(judged["state"].count("start_ns")[0]))

    return note


class World:
    def __init__(self, last_ns: int | None = None, back_ns: int = BACK_NS) -> None:
        self.clock, self.metrics = StillClock(), Metrics()
        self.judged: list[int] = []
        self.published: list[int] = []
        self.again: list[int] = []
        self.fail = False
        self.verdicts = [0]
        self.live = Present(last_ns)
        self.loop = JudgingLoop(
            self.clock,
            self.live,
            self._judge,
            [self._broken, noting(self.published)],
            [noting(self.again)],
            lambda: (),
            self.metrics,
            WINDOW_NS,
            DELAY_NS,
            back_ns,
        )

    def _judge(self, _past: Past, _specs: Sequence[LinkSpec], start_ns: int) -> Frame:
        if self.fail:
            raise ZeroDivisionError("judge")
        self.judged.append(start_ns)
        return _state(start_ns, self.verdicts)

    def _broken(self, _judged: Judged) -> None:
        raise RuntimeError("publisher")

    def count(self, outcome: str) -> float:
        return self.metrics.values()[f"windows_total:{outcome}"]


def test_a_window_is_judged_once_its_delay_is_over() -> None:
    world = World()
    assert world.loop.step() == 3.0  # the window before the last one is judged at once
    assert world.judged == [NOW_NS - 2 * WINDOW_NS]
    world.clock.wall_ns += DELAY_NS - 1
    assert world.loop.step() == pytest.approx(1e-9)
    assert len(world.judged) == 1
    world.clock.wall_ns += 1
    assert world.loop.step() == 10.0
    assert world.judged[1:] == [NOW_NS - WINDOW_NS]
    assert world.published == world.judged
    assert world.count("judged") == 2
    assert world.metrics.values()["faults_total:publisher"] == 2


def test_what_a_stage_adds_is_there_for_those_behind_it_though_one_fails() -> None:
    world, seen = World(), list[set[str]]()

    def see(judged: Judged) -> Judged:
        seen.append(set(judged))
        return {f"more{len(judged)}": judged["state"]}

    world.loop._publish = (see, world._broken, see, see)
    world.loop.step()
    assert seen == [{"state"}, {"state", "more1"}, {"state", "more1", "more2"}]


def test_windows_of_an_absence_are_judged_in_order() -> None:
    world = World()
    world.loop.step()
    world.clock.wall_ns += 4 * WINDOW_NS
    world.loop.step()
    assert world.judged == [NOW_NS + at * WINDOW_NS for at in range(-2, 3)]


def test_windows_older_than_a_period_are_counted_as_missed() -> None:
    world = World()
    world.loop.step()
    world.clock.wall_ns += 20 * WINDOW_NS
    world.loop.step()
    assert len(world.judged) == 1 + 6
    assert world.judged[-1] == NOW_NS + 18 * WINDOW_NS
    assert world.count("missed") == 14


def test_a_restart_goes_on_where_the_last_life_ended() -> None:
    world = World(last_ns=NOW_NS - 5 * WINDOW_NS)
    world.loop.step()
    assert world.judged == [NOW_NS + at * WINDOW_NS for at in (-4, -3, -2)]


def test_a_clock_set_back_does_not_stop_judging(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.loop.step()
    world.clock.wall_ns -= 100 * WINDOW_NS
    world.loop.step()
    assert world.judged[-1] == NOW_NS - 102 * WINDOW_NS
    assert world.live.set_back_to == (NOW_NS - 102 * WINDOW_NS, world.clock.wall_ns)
    assert "clock_set_back" in caplog.text


def test_a_judge_that_fails_is_counted_and_the_next_window_judged() -> None:
    world = World()
    world.fail = True
    world.loop.step()
    world.fail = False
    world.clock.wall_ns += WINDOW_NS
    world.loop.step()
    assert world.judged == [NOW_NS - WINDOW_NS]
    assert world.count("failed") == 1


def test_a_window_whose_rows_came_late_is_judged_again() -> None:
    world = World()
    world.loop.step()
    world.live.late_ns = {NOW_NS + at * WINDOW_NS for at in (-20, -2, -1, 7)}  # -2 was judged, -1 is not due
    world.verdicts = [1]
    world.loop.step()
    world.loop.step()
    assert world.published == [NOW_NS - 2 * WINDOW_NS]
    assert world.again == [NOW_NS - 2 * WINDOW_NS]
    assert (world.count("judged"), world.count("again")) == (1, 1)


def test_of_a_window_judged_again_only_what_changed_is_told() -> None:
    world, told = World(), list[list[str]]()

    def tell(judged: Judged) -> None:
        told.append(judged["state"].text("link").tolist())

    world.loop._publish_again = (tell,)
    world.verdicts = [0, 1, 2]
    world.loop.step()
    for verdicts in ([0, 1, 2], [0, 2, 2], [0, 2, 2], [1, 2, 2, 1]):
        world.verdicts, world.live.late_ns = verdicts, {NOW_NS - 2 * WINDOW_NS}
        world.loop.step()
    assert told == [["a>b1@n"], [f"a>b{at}@n" for at in range(4)]]
    assert world.count("again") == 4


def test_what_was_told_is_remembered_for_a_bounded_time() -> None:
    told = Told(3)
    assert [told.changed(_state(at + 1)).rows for at in range(5)] == [1] * 5
    assert [told.changed(_state(at)).rows for at in (5, 4, 3)] == [0] * 3
    assert told.changed(_state(1)).rows == 1
    assert told.changed(_state(9, ())).rows == 0
    nan, other = (_with_delay(value) for value in (np.nan, 1.0))
    assert [told.changed(each).rows for each in (nan, nan, other, other, nan)] == [1, 0, 1, 0, 1]


def _with_delay(delay_us: float) -> Frame:
    return Frame.of(STATE, {"link": ["a>b@n"], "start_ns": [77], "delay_us": [delay_us]})


def test_late_windows_do_not_hold_the_loop_up() -> None:
    world = World(back_ns=40 * WINDOW_NS)
    world.loop.step()
    late = [NOW_NS - at * WINDOW_NS for at in range(30, 2, -1)]
    world.live.late_ns = set(late)
    world.loop.step()
    assert world.again == late[:MOST_AGAIN]
    world.loop.step()
    assert world.again == late


def test_who_tells_no_verdicts_for_three_windows_says_so() -> None:
    world = World()
    world.loop._publish = world.loop._publish[1:]  # without the broken one
    world.loop.step()
    for _ in range(5):
        world.clock.wall_ns += WINDOW_NS
        assert world.loop.fault() is None
        world.loop.step()
    world.fail = True
    for at in range(5):
        world.clock.wall_ns += WINDOW_NS
        assert (world.loop.fault() is None) == (at < 3)
        for _ in range(3):  # also steps in which nothing is due
            world.loop.step()
    world.fail = False
    world.clock.wall_ns += WINDOW_NS
    assert "no verdicts were told for 60 s" in str(world.loop.fault())
    world.loop.step()
    assert world.loop.fault() is None
    world.clock.wall_ns += 4 * WINDOW_NS  # it does not return
    assert world.loop.fault() is not None


def test_verdicts_that_no_publisher_took_were_not_told() -> None:
    world = World()
    for _ in range(5):
        world.loop.step()
        world.clock.wall_ns += WINDOW_NS
    assert world.published == world.judged
    assert world.loop.fault() is not None


def test_the_thread_judges_and_stops() -> None:
    world = World()
    world.loop.start()
    until(lambda: len(world.judged) == 1)
    world.loop.stop()
    assert not world.loop.alive


def test_a_window_that_is_named_as_changed_is_judged_again() -> None:
    world = World()
    world.loop.step()
    changed = [NOW_NS - 20 * WINDOW_NS, NOW_NS - 2 * WINDOW_NS]
    world.loop._changed = lambda: changed
    world.verdicts = [1]
    world.loop.step()
    assert world.again == [NOW_NS - 2 * WINDOW_NS]
