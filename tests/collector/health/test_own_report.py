"""The collector's own report: verdicts and health journalled like any batch, waiting while nothing can be."""

from __future__ import annotations

import math
from collections.abc import Callable

from collector.health.metrics import Metrics
from collector.health.own_report import AGENT, WAITING, OwnReport
from collector.intake import Intake
from linkgauge.errors import StoreError
from linkgauge.frame import Frame
from linkgauge.packing import unpack
from linkgauge.schema import STATE
from linkgauge.wire import MAX_BODY_BYTES, Batch, decode
from tests.collector.world import NOW_NS, WINDOW_NS, StillClock

HEALTH: dict[str, float | int | str] = {
    "batches_accepted": 7,
    "archive_lag_s": 7.0,
    "influx_lag_s": math.nan,
    "archive_head": "ab12",
}


def state(start_ns: int) -> Frame:
    columns = {"link": ["a>b@n"], "start_ns": [start_ns], "length_ns": [WINDOW_NS], "verdict": [1]}
    return Frame.of(STATE, columns)


class Shelf:
    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.full = False

    def append(
        self,
        agent: str,
        boot: str,
        number: int,
        created_ns: int,
        received_ns: int,
        body: bytes,
        via: str = "",
    ) -> bool:
        if self.full:
            raise StoreError("full")
        self.kept.append(body)
        return True

    def batches(self) -> list[Batch]:
        return [decode(unpack(body, MAX_BODY_BYTES)) for body in self.kept]


class World:
    def __init__(self, on_duty: Callable[[], bool] = lambda: True) -> None:
        self.shelf, self.metrics, self.broken = Shelf(), Metrics(), False
        intake = Intake(self.shelf, frozenset, StillClock(), self.metrics)
        self.own = OwnReport("here", intake, self.health, StillClock(), self.metrics, on_duty)

    def health(self) -> dict[str, float | int | str]:
        if self.broken:
            raise StoreError("the journal cannot be read")
        return dict(HEALTH)


def test_the_own_report_has_verdicts_and_health() -> None:
    world = World()
    world.own.publish(state(NOW_NS))
    world.own.publish_again(state(NOW_NS))
    first, again = world.shelf.batches()
    assert (first.agent, first.number, set(first.frames)) == (AGENT, 1, {"state", "collector"})
    health = first.frames["collector"]
    assert health.text("collector").tolist() == ["here"]
    assert health.count("batches_accepted").tolist() == [7]
    assert health.real("archive_lag_s").tolist() == [7.0]
    assert math.isnan(health.real("influx_lag_s")[0])
    assert health.text("archive_head").tolist() == ["ab12"]
    assert set(again.frames) == {"state"}


def test_verdicts_of_more_links_than_a_batch_holds_are_journalled_in_parts() -> None:
    world, links = World(), [f"a-node-of-a-name-of-some-length-{at}>b@backbone" for at in range(100_000)]
    columns = {"link": links, "start_ns": [NOW_NS] * len(links), "length_ns": [WINDOW_NS] * len(links)}
    world.own.publish(Frame.of(STATE, columns))
    batches = world.shelf.batches()
    assert [link for batch in batches for link in batch.frames["state"].text("link").tolist()] == links
    assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))
    assert ["collector" in batch.frames for batch in batches] == [True] + [False] * (len(batches) - 1)
    world.own.publish_again(Frame.of(STATE, columns))
    assert len(world.shelf.batches()) == 2 * len(batches) > 2


def test_off_duty_there_is_health_but_no_verdict() -> None:
    world = World(lambda: False)
    world.own.publish(state(NOW_NS))
    world.own.publish_again(state(NOW_NS))
    assert [set(batch.frames) for batch in world.shelf.batches()] == [{"collector"}]


def test_without_health_the_verdicts_are_journalled_all_the_same() -> None:
    world = World()
    world.broken = True
    world.own.publish(state(NOW_NS))
    assert [set(batch.frames) for batch in world.shelf.batches()] == [{"state"}]


def test_own_reports_wait_while_the_journal_is_full_and_the_loss_is_counted() -> None:
    world = World()
    world.shelf.full = True
    for at in range(WAITING + 5):
        world.own.publish(state(NOW_NS + at * WINDOW_NS))
    world.shelf.full = False
    world.own.publish(state(NOW_NS + 999 * WINDOW_NS))
    assert [batch.number for batch in world.shelf.batches()] == list(range(7, WAITING + 7))
    assert world.metrics.values()["faults_total:own_report_dropped"] == 6
