"""Of a corrected row the store keeps the correction, in whichever order the copies come."""

from __future__ import annotations

import contextlib
import itertools

import pytest

from collector.journal.batch_log import again_for
from collector.sinks.influx import InfluxSink
from collector.sinks.line_protocol import LineMaker
from collector.sinks.revisions import Revisions
from collector.sinks.sink import Delivery
from linkgauge.errors import SinkBusy
from linkgauge.schema import WINDOW
from tests.collector.archive.world import LINKS, delivery, revised, tags
from tests.collector.world import health


class Points:
    """A database that keeps of each point what was written last: revisions by measurement, tags and time."""

    def __init__(self) -> None:
        self.revisions: dict[str, int] = {}
        self.away = False

    def write(self, body: bytes) -> None:
        if self.away:
            raise SinkBusy("away")
        for line in body.decode().split("\n"):
            head, fields, time = line.rsplit(" ", 2)
            for name, _, value in (field.partition("=") for field in fields.split(",")):
                if name == "revision":
                    self.revisions[f"{head} {time}"] = int(value[:-1])

    def close(self) -> None:
        pass


def sink_of(points: Points) -> InfluxSink:
    return InfluxSink(lambda: points, LineMaker(tags))


@pytest.mark.parametrize("order", list(itertools.permutations((0, 1, 2))))
@pytest.mark.parametrize("at_once", [True, False])
def test_the_correction_stays_in_whichever_order_the_copies_come(
    order: tuple[int, ...], at_once: bool
) -> None:
    points = Points()
    sink = sink_of(points)
    copies = [delivery(seq, revised(1, revision)) for seq, revision in enumerate(order, 5)]
    for batches in [copies] if at_once else [[each] for each in copies]:
        sink.write(batches)
    sink.write([delivery(8, revised(2, 0)), delivery(9, health("a"))])  # another window
    assert sorted(points.revisions.values()) == [0] * len(LINKS) + [2] * len(LINKS)


def test_what_is_left_out_is_counted() -> None:
    sink = sink_of(Points())
    sink.write([delivery(5, revised(1, 1))])
    assert sink.revisions.left_out == 0
    sink.write([delivery(6, revised(1, 0))])
    assert sink.revisions.left_out == len(LINKS)
    sink.write([delivery(7, revised(1, 1))])  # the same again
    assert sink.revisions.left_out == len(LINKS)


def test_what_is_left_out_of_a_delivery_that_comes_again_counts_once() -> None:
    points = Points()
    sink = sink_of(points)
    entries = [delivery(5, revised(1, 1)), delivery(6, revised(1, 0))]
    for points.away in (True, True, False):
        with contextlib.suppress(SinkBusy):
            sink.write(entries)
    assert sink.revisions.left_out == len(LINKS)
    assert list(points.revisions.values()) == [1] * len(LINKS)


def test_a_dead_letter_of_another_sink_is_not_written_again() -> None:
    points = Points()
    frames = {WINDOW.name: revised(1, 0)}
    sink = sink_of(points)
    sink.write([Delivery(1, "a", "b", 1, frames, via=again_for("peer"))])
    assert points.revisions == {}
    sink.write([Delivery(2, "a", "b", 1, frames, via=again_for("influxdb"))])
    assert len(points.revisions) == len(LINKS)


def test_only_so_many_are_remembered_those_noted_last() -> None:
    told = Revisions(most=4)
    for seq in range(1, 6):
        told.note(revised(seq, 1))
    kept = [told.newest(revised(seq, 0)).rows for seq in range(1, 6)]
    assert kept == [2, 2, 2, 0, 0]
