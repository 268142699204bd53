"""The sink: which slots a delivery touches, and what it says when they cannot be noted."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from collector.rollup.merge import roll_up
from collector.rollup.notes import Notes
from collector.rollup.sink import RollupSink
from collector.rollup.slot import HOUR_NS, SHORT_NS, Slot, Touch
from collector.sinks.sink import Delivery
from linkgauge.errors import SinkHeld, StoreError
from linkgauge.frame import Frame
from linkgauge.schema import WINDOW_5M
from tests.collector.rollup.windows import T0_NS, Sampled, frame_of
from tests.collector.world import NOW_NS, StillClock, health


class FakeNotes(Notes):
    """Keeps what is noted in memory; or fails."""

    def __init__(self) -> None:
        self.noted: set[Touch] = set()
        self.broken = False

    def note(self, touches: Iterable[Touch], now_ns: int) -> None:
        if self.broken:
            raise StoreError("rollup.sqlite: the disk is full")
        self.noted |= set(touches)

    def close(self) -> None:
        pass


def _delivery(seq: int, agent: str, frame: Frame) -> Delivery:
    return Delivery(seq, agent, "b", seq, {frame.table.name: frame})


def test_windows_touch_their_slot_and_short_rows_their_hour() -> None:
    notes = FakeNotes()
    sink = RollupSink(notes, StillClock())
    starts = (T0_NS, T0_NS + 1, T0_NS + SHORT_NS, T0_NS + HOUR_NS)
    short = roll_up(
        frame_of([Sampled(at, link=link) for at in starts for link in ("a>b@n", "b>a@n")]), WINDOW_5M
    )
    sink.write(
        [
            _delivery(3, "a", frame_of([Sampled(at) for at in starts[:3]])),
            _delivery(5, "a", frame_of([Sampled(starts[1])])),
            _delivery(6, "@collector", short),
            _delivery(7, "a", health("a")),
        ]
    )
    first, second = Slot(T0_NS, SHORT_NS), Slot(T0_NS + SHORT_NS, SHORT_NS)
    hours = [Slot(T0_NS, HOUR_NS), Slot(T0_NS + HOUR_NS, HOUR_NS)]
    wanted = {Touch(first, "a", 5), Touch(second, "a", 3)}
    assert notes.noted == wanted | {Touch(hour, agent, 6) for hour in hours for agent in ("a", "b")}
    assert sink.tables == {"window", "window_5m", "state"}


def test_what_cannot_be_noted_is_held() -> None:
    notes = FakeNotes()
    notes.broken = True
    with pytest.raises(SinkHeld, match="disk is full"):
        RollupSink(notes, StillClock(NOW_NS)).write([_delivery(1, "a", frame_of([Sampled(T0_NS)]))])
