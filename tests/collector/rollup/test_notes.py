"""Notes: what is ready, in which order, what stays when it is touched again, and what is due."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.rollup.notes import Due, Grace, Notes
from collector.rollup.slot import HOUR_NS, SHORT_NS, Slot, Touch
from linkgauge.clock import NS_PER_S
from tests.collector.rollup.windows import T0_NS
from tests.collector.world import StillClock

GRACE = Grace(30 * NS_PER_S, 120 * NS_PER_S)
SHORT = [Slot(T0_NS + at * SHORT_NS, SHORT_NS) for at in range(12)]
HOUR = Slot(T0_NS, HOUR_NS)
LATER_NS = T0_NS + 10 * HOUR_NS


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Notes]:
    made = Notes(tmp_path / "rollup.sqlite", StillClock())
    yield made
    made.close()


def test_a_slot_is_ready_when_it_is_over_and_the_archive_has_its_rows(notes: Notes) -> None:
    notes.note([Touch(SHORT[0], "a", 7), Touch(SHORT[0], "b", 9)], T0_NS)
    over_ns = SHORT[0].end_ns + GRACE.short_ns
    assert notes.ready(over_ns - 1, 9, GRACE) is None
    assert notes.ready(over_ns, 6, GRACE) is None
    assert notes.ready(over_ns, 8, GRACE) == (SHORT[0], {"a": 7})
    assert notes.ready(over_ns, 9, GRACE) == (SHORT[0], {"a": 7, "b": 9})


def test_newest_or_oldest_comes_first_and_some_may_be_skipped(notes: Notes) -> None:
    notes.note([Touch(slot, "a", 1) for slot in SHORT[:3]], T0_NS)
    for newest, order in ((True, SHORT[2::-1]), (False, SHORT[:3])):
        for skipped in range(3):
            found = notes.ready(LATER_NS, 1, GRACE, newest, order[:skipped])
            assert found is not None
            assert found[0] == order[skipped]
    assert notes.ready(LATER_NS, 1, GRACE, skip=SHORT[:3]) is None


def test_a_slot_touched_again_meanwhile_stays(notes: Notes) -> None:
    notes.note([Touch(SHORT[0], "a", 1), Touch(SHORT[0], "b", 2)], T0_NS)
    found = notes.ready(LATER_NS, 2, GRACE)
    assert found is not None
    notes.note([Touch(SHORT[0], "a", 5), Touch(SHORT[0], "b", 1)], T0_NS)
    notes.forget(*found)
    assert notes.ready(LATER_NS, 4, GRACE) is None
    assert notes.ready(LATER_NS, 5, GRACE) == (SHORT[0], {"a": 5})


def test_an_hour_waits_for_its_parts_agent_by_agent(notes: Notes) -> None:
    notes.note([Touch(HOUR, "a", 1), Touch(HOUR, "b", 1), Touch(SHORT[3], "a", 9)], T0_NS)
    assert notes.ready(LATER_NS, 5, GRACE) == (HOUR, {"b": 1})
    notes.forget(SHORT[3], {"a": 9})
    assert notes.ready(LATER_NS, 5, GRACE) == (HOUR, {"a": 1, "b": 1})
    assert notes.ready(HOUR.end_ns + GRACE.hour_ns - 1, 5, GRACE) is None


def test_due_tells_how_many_wait_and_since_when(notes: Notes) -> None:
    assert notes.due(LATER_NS, GRACE) == Due(0, None)
    notes.note([Touch(SHORT[1], "a", 1), Touch(SHORT[1], "b", 1), Touch(SHORT[2], "a", 1)], T0_NS)
    over_ns = SHORT[1].end_ns + GRACE.short_ns
    assert notes.due(over_ns - 1, GRACE) == Due(0, None)
    assert notes.due(over_ns + 1, GRACE) == Due(1, over_ns)
    assert notes.due(LATER_NS, GRACE) == Due(2, over_ns)
    assert notes.counts() == {SHORT_NS: (2, SHORT[1].start_ns, SHORT[2].start_ns)}


def test_what_is_noted_late_is_due_since_then_and_noting_again_does_not_renew_it(notes: Notes) -> None:
    for now_ns in (LATER_NS, LATER_NS + HOUR_NS):
        notes.note([Touch(SHORT[0], "a", 1)], now_ns)
    assert notes.due(LATER_NS + HOUR_NS, GRACE) == Due(1, LATER_NS)


def test_notes_outlive_the_process(tmp_path: Path) -> None:
    for _ in range(2):
        notes = Notes(tmp_path / "notes.sqlite", StillClock())
        notes.note([Touch(SHORT[0], "a", 1)], T0_NS)
        notes.close()
    notes = Notes(tmp_path / "notes.sqlite", StillClock())
    assert notes.ready(LATER_NS, 1, GRACE) == (SHORT[0], {"a": 1})
    notes.close()
