"""Events of links: steps, changed ways and sizes within the span, against a slow twin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkgauge.frame import Frame
from linkgauge.schema import EVENT
from quality.objectives import Objectives
from quality.signals.changes import MOST_EVENTS, MTU_NS, Changes
from tests.quality.traces import ALONE, BOTH, Trace, event
from tests.quality.world import START_NS, WINDOW_NS, row

STEP: dict[str, Any] = {"before_us": 4_000.0, "after_us": 5_500.0}


def told_of(*events: Frame, windows: int = 1) -> dict[str, Any]:
    """STATE after these events and so many windows."""
    trace = Trace(ALONE)
    trace.then(row(), events=events)
    return [trace.then(row())[0] for _ in range(windows)][-1]


@pytest.mark.parametrize("kind", ["reroute", "below-ip"])
def test_a_step_of_the_smallest_delay_is_told_for_a_period(kind: str) -> None:
    assert told_of(event(kind, 0, **STEP))["delay_step_us"] == 1_500
    assert told_of(event(kind, 0, **STEP), windows=89)["delay_step_us"] == 1_500
    assert math.isnan(told_of(event(kind, 0, **STEP), windows=91)["delay_step_us"])


@pytest.mark.parametrize(
    ("before_us", "after_us"), [(4_000.0, 3_000.0), (4_000.0, 4_090.0), (math.nan, 4_000.0)]
)
def test_a_fall_a_small_step_and_an_unknown_one_are_none(before_us: float, after_us: float) -> None:
    told = told_of(event("below-ip", 0, before_us=before_us, after_us=after_us))
    assert math.isnan(told["delay_step_us"])


def test_a_step_that_was_taken_back_is_over() -> None:
    up, down = event("below-ip", 0, **STEP), event("below-ip", 0.5, before_us=5_500.0, after_us=4_000.0)
    assert math.isnan(told_of(down, up)["delay_step_us"])


def test_ways_that_flows_changed_at_the_same_time_are_one_change() -> None:
    events = [event("path", 0, length=3), event("path", 0.5, length=1), event("reroute", 2, **STEP)]
    assert told_of(*events)["path_changes"] == 1
    assert told_of(*events, event("path", -20))["path_changes"] == 2
    assert math.isnan(told_of()["path_changes"])


def test_a_smaller_mtu_is_told_until_it_is_back() -> None:
    less = event("mtu", 0, before="9000", after="1500")
    assert told_of(less)["mtu_shrunk_bytes"] == 7_500
    assert told_of(less, event("mtu", 0.2, before="1500", after="1400"))["mtu_shrunk_bytes"] == 7_600
    assert math.isnan(told_of(less, event("mtu", 0.2, before="1500", after="9000"))["mtu_shrunk_bytes"])
    assert math.isnan(told_of(event("mtu", 0, before="1500", after="9000"))["mtu_shrunk_bytes"])


def test_a_smaller_mtu_that_nobody_undid_is_told_for_a_day() -> None:
    changes, objectives = Changes(90 * WINDOW_NS), Objectives.of(ALONE)

    def told(at_ns: int) -> float:
        changes.forget(at_ns - 91 * WINDOW_NS)
        return float(changes.columns(at_ns, objectives)["mtu_shrunk_bytes"][0])

    changes.put(np.array([0]), event("mtu", 0, before="9000", after="1500"))
    changes.put(np.array([0]), event("path", 0))
    assert told(START_NS + 200 * WINDOW_NS) == told(START_NS + MTU_NS) == 7_500
    assert changes.rows == 1
    changes.put(np.array([0]), event("mtu", 400, before="1500", after="9000"))
    assert math.isnan(told(START_NS + MTU_NS))
    assert math.isnan(told(START_NS + 401 * WINDOW_NS + MTU_NS))
    changes.put(np.array([0]), event("mtu", 9_000, before="9000", after="1500"))
    end_ns = START_NS + 9_001 * WINDOW_NS + MTU_NS
    assert (told(end_ns - 1), math.isnan(told(end_ns))) == (7_500, True)


def test_events_of_another_class_or_link_do_not_count() -> None:
    other = event("path", 0, of_class="46")
    assert math.isnan(told_of(other, event("path", 0, link="x>y@net"))["path_changes"])


@pytest.mark.parametrize(
    "columns", [{"kind": "mtu", "before": "much", "after": "1500"}, {"kind": "mtu", "before": "1500"},
                {"kind": "flood"}, {"kind": "reroute"}, {"kind": "mtu", "before": "1500", "after": "99999"}]
)  # fmt: skip
def test_what_makes_no_sense_is_counted_and_left_out(columns: dict[str, Any]) -> None:
    changes = Changes(90 * WINDOW_NS)
    changes.put(np.array([0]), event(columns.pop("kind"), 0, **columns))
    assert (changes.unreadable, changes.rows) == (1, 0)


def test_a_way_that_flaps_fills_no_memory() -> None:
    changes = Changes(10_000 * WINDOW_NS)
    for at in range(100):
        changes.put(np.array([0]), event("path", 2 * at))
        changes.put(np.array([0]), event("path", 2 * at))
    assert changes.rows == MOST_EVENTS
    told = changes.columns(START_NS + 200 * WINDOW_NS, Objectives.of(ALONE))
    assert told["path_changes"].tolist() == [MOST_EVENTS]


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 1), st.sampled_from(["path", "reroute", "mtu"]), st.integers(-40, 5), st.integers(0, 9)
    ),
    max_size=12,
    unique_by=lambda each: each[:3],
)


@settings(max_examples=80, deadline=None)
@given(EVENTS, st.integers(1, 12))
def test_against_a_twin(events: list[tuple[int, str, int, int]], batch: int) -> None:
    objectives, span = Objectives.of(BOTH), 30
    links, changes = list(objectives.rows), Changes(span * WINDOW_NS)
    for at in range(0, len(events), batch):
        piece = events[at : at + batch]
        frame = Frame.of(
            EVENT,
            {
                "link": [links[each[0]] for each in piece], "class": ["0"] * len(piece),
                "kind": [each[1] for each in piece],
                "start_ns": [START_NS + each[2] * WINDOW_NS for each in piece],
                "length_ns": [each[3] * WINDOW_NS for each in piece],
                "before": ["1500"] * len(piece), "after": [str(1_490 - each[2]) for each in piece],
                "before_us": [1_000.0] * len(piece), "after_us": [1_000.0 + 200 * each[3] for each in piece],
            },
        )  # fmt: skip
        changes.put(np.array([each[0] for each in piece], np.intp), frame)
    told = changes.columns(START_NS + WINDOW_NS, objectives)
    for link in range(2):
        mine = [each for each in events if each[0] == link and each[2] < 1 and each[2] + each[3] > 1 - span]
        assert told["path_changes"][link] == pytest.approx(_ways(mine), nan_ok=True)
        steps = sorted((each[2], each[3]) for each in mine if each[1] == "reroute")
        rise = 200.0 * steps[-1][1] if steps else math.nan
        assert told["delay_step_us"][link] == pytest.approx(rise if rise > 100 else math.nan, nan_ok=True)
        sizes = sorted(
            (each[2], 1_490 - each[2])
            for each in events
            if each[0] == link and each[2] < 1 and each[1] == "mtu"
        )
        shrunk = max(1_500, *(each[1] for each in sizes)) - sizes[-1][1] if sizes else 0
        assert told["mtu_shrunk_bytes"][link] == pytest.approx(shrunk or math.nan, nan_ok=True)


def _ways(events: list[tuple[int, str, int, int]]) -> float:
    """Groups of changes of the way whose times overlap."""
    count, end = 0, -math.inf
    for _, _, start, length in sorted(
        (each for each in events if each[1] != "mtu"), key=lambda each: each[2]
    ):
        count += start >= end
        end = max(end, start + length)
    return count or math.nan
